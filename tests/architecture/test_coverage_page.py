"""docs/coverage.md is generated, current, and names tests that exist."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sagebrush.server.coverage import page

ROOT = Path(__file__).parents[2]


def test_coverage_page_is_current() -> None:
    assert (ROOT / "docs" / "coverage.md").read_text() == page(ROOT), "run `make coverage`"


def test_every_operation_said_to_execute_names_a_test_that_exists() -> None:
    evidence = tomllib.loads((ROOT / "docs" / "dev" / "executes.toml").read_text())["executes"]
    assert len(evidence) > 10
    for operation, test in evidence.items():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(), f"{operation}: {test}"
