"""IAM and STS on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.iam.serving import Caller, Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.store.close()


@pytest.fixture
def admin(served: Served) -> Caller:
    return served.operator
