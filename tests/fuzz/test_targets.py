"""A short trial of ``make fuzz``, the same in every run, and proof that it would notice a broken promise."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.fuzz.__main__ import run
from tests.fuzz.targets import SEEDS, TARGETS

FUZZER = importlib.util.find_spec("atheris") is not None
needs_fuzzer = pytest.mark.skipif(not FUZZER, reason="atheris has no build for this Python and machine")


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_inputs_to_begin_with_keep_every_promise(name: str) -> None:
    assert SEEDS[name]
    for seed in [*SEEDS[name], b"", b"\x00" * 64, b"\xff" * 64]:
        TARGETS[name](seed)


@needs_fuzzer
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_no_input_that_coverage_leads_to_breaks_a_promise(name: str, tmp_path: Path) -> None:
    runs = 300 if name == "archives" else 3000
    done = run(name, tmp_path, f"-runs={runs}", "-seed=11")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    tried = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert tried is not None, done.stderr[-2000:]
    assert int(tried[1]) >= runs


@needs_fuzzer
def test_a_broken_promise_is_noticed_and_its_input_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sagebrush.aws.s3.xml as xml\nxml.parse = lambda body, root: (_ for _ in ()).throw(IndexError(root))\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    done = run("s3_documents", tmp_path, "-runs=100", "-seed=11")
    assert done.returncode != 0
    assert "IndexError" in done.stdout + done.stderr
    assert list((tmp_path / "s3_documents").glob("crash-*"))
