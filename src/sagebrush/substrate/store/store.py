"""The contract of a store, whatever database stands behind it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from sagebrush.substrate.errors import Fault

T = TypeVar("T")


class StoreClosed(Fault):
    """The store was closed before the work was done; nothing of it was committed."""


@dataclass(slots=True)
class Statistics:
    """Counts since opening: durable commits and the transactions they carried."""

    commits: int = 0
    transactions: int = 0


class Store(ABC):
    """Durable state.

    ``write(fn)``: ``fn(connection)`` is short, does no I/O of its own and may be run again; when ``write`` returns its
    effect is on disk. If it raises, nothing of it happened and the exception reaches the caller. Many threads may
    write at once; the store decides how many transactions share a commit.

    ``read(fn)``: ``fn(connection)`` sees one consistent snapshot that includes every write acknowledged before; it
    never waits for a writer.
    """

    dialect: str

    def __init__(self) -> None:
        self.statistics = Statistics()
        self._hooks = threading.local()

    @abstractmethod
    def write(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn`` in a transaction; durable when it returns."""

    @abstractmethod
    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn`` on a snapshot."""

    @abstractmethod
    def close(self) -> None:
        """Finish accepted writes, refuse later ones, release everything."""

    def after_commit(self, hook: Callable[[], None]) -> None:
        """From inside ``write``'s ``fn``: run ``hook`` once its effect is durable (and only then)."""
        hooks: list[Callable[[], None]] | None = getattr(self._hooks, "pending", None)
        if hooks is None:
            raise Fault("after_commit outside of write")
        hooks.append(hook)

    def _run(self, fn: Callable[[Connection], T], connection: Connection) -> tuple[T, list[Callable[[], None]]]:
        """Run ``fn`` collecting its after-commit hooks."""
        hooks: list[Callable[[], None]] = []
        self._hooks.pending = hooks
        try:
            return fn(connection), hooks
        finally:
            self._hooks.pending = None
