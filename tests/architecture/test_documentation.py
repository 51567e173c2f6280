"""ARCHITECTURE.md stays short, and each invariant it claims names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_architecture_page_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 250


def test_every_invariant_names_a_test_that_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text.partition("## Invariants")[2].partition("\n## ")[0]
    named = re.findall(r"`(tests/\S+?\.py)::(\w+)`", section)
    assert len(named) >= 8
    for file, name in named:
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


def test_every_package_says_what_it_is() -> None:
    packages = list((ROOT / "src" / "sagebrush").rglob("__init__.py"))
    assert len(packages) > 20
    silent = [str(p.relative_to(ROOT)) for p in packages if not p.read_text().lstrip().startswith('"""')]
    assert silent == []
