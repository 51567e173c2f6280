"""Every ``python`` and ``sh`` block of docs/ runs, in page order, as a user's own process under ``sagebrush exec``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.journeys.running import CLIENTS_V2, ROOT, SAGEBRUSH, RunningPlatform

pytestmark = pytest.mark.journey
PAGES = sorted(p for p in (ROOT / "docs").glob("*.md") if re.search(r"^```(python|sh)$", p.read_text(), re.MULTILINE))


def test_there_are_pages_with_examples() -> None:
    assert {p.name for p in PAGES} >= {"training.md", "s3.md", "identity.md", "logs-and-metrics.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_examples_of_the_page_run(platform: RunningPlatform, page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    path = f"{CLIENTS_V2 / 'bin'}:{SAGEBRUSH.parent}:{os.environ['PATH']}"
    for index, (language, code) in enumerate(blocks):
        if language == "python":
            file = tmp_path / f"block_{index}.py"
            file.write_text(code)
            command = [str(CLIENTS_V2 / "bin" / "python"), str(file)]
        else:
            command = ["bash", "-euo", "pipefail", "-c", f'export PATH="{path}"; cd "{tmp_path}"\n{code}']
        result = platform.command("exec", "--", *command, timeout=300, check=False)
        assert result.returncode == 0, f"{page.name}, block {index}:\n{code}\n{result.stdout}\n{result.stderr}"
