"""Keeping out of a process what its libraries import only where it is installed, to recognise its objects."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType


class _Absent:
    """An import finder that stands before all others and says that these modules are not installed."""

    def __init__(self, names: frozenset[str]):
        self._names = names

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"{name} is left out of this process", name=name)


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Within the block these modules cannot be imported, unless they were before."""
    absent = _Absent(frozenset(names))
    sys.meta_path.insert(0, absent)
    try:
        yield
    finally:
        sys.meta_path.remove(absent)
