"""Keeping scikit-learn and pandas out of a job of the built-in algorithm.

xgboost and pyarrow import them, where they are installed, only to recognise their objects. This algorithm never hands
them any, and without the two a job begins more than a second earlier.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

_LEFT_OUT = ("sklearn", "pandas")


class _Absent:
    """An import finder that stands before all others and says that these modules are not installed."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in _LEFT_OUT:
            raise ModuleNotFoundError(f"{name} is left out of this job", name=name)


@contextmanager
def lean_imports() -> Iterator[None]:
    """Within the block, scikit-learn and pandas cannot be imported, unless they were before."""
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)
