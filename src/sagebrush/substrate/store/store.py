"""The contract of a store, whatever database stands behind it."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import Fault

T = TypeVar("T")
Hook = Callable[[], None]

_log = logging.getLogger(__name__)

BEFORE_WAKE_UP = faultpoints.declare("store.before-wake-up")


class StoreClosed(Fault):
    """The store was closed before the work was done; nothing of it was committed."""


class StoreUnavailable(Fault):
    """The database could not take the change: locked by another process, disk full, I/O error.

    Raised when beginning or committing failed. The change is not visible, but after an error of the disk itself (a
    failed fsync) nobody can promise that it will not come back after a power cut: repeat it only if it is idempotent.
    """


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since opening: durable commits and the transactions they carried. More transactions than commits means
    that writers shared an fsync."""

    commits: int = 0
    transactions: int = 0


class Store(ABC):
    """Durable state.

    ``write(fn)``: ``fn(connection)`` is short, does no I/O of its own and may be run again; when ``write`` returns its
    effect is on disk. If it raises, nothing of it happened and the exception reaches the caller. Many threads may
    write at once; the store decides how many transactions share a commit. ``fn`` never commits, rolls back, or calls
    the store again: what it needs it does on its connection (``begin_nested`` is allowed).

    ``read(fn)``: ``fn(connection)`` sees one consistent snapshot that includes every write acknowledged before; it
    never waits for a writer and cannot write. A ``read`` inside a ``read`` sees the same snapshot; a ``write`` inside
    a ``read`` is refused, because what it wrote would rest on an old snapshot.

    ``after_commit(hook)`` from inside ``fn`` runs ``hook`` once the effect is durable, before ``write`` returns; hooks
    are short (they hold up the writer) and must not call the store.
    """

    dialect: str

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._local = threading.local()

    @abstractmethod
    def write(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn`` in a transaction; durable when it returns."""

    @abstractmethod
    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run ``fn`` on a snapshot."""

    @abstractmethod
    def close(self) -> None:
        """Finish accepted writes, refuse later ones, release everything. A second call does nothing."""

    @abstractmethod
    def stats(self) -> Statistics:
        """What was committed since opening."""

    @abstractmethod
    def lease_time_us(self, connection: Connection) -> int:
        """The time leases are measured in: monotonic on one host (SQLite), the database's where many hosts share it."""

    def after_commit(self, hook: Hook) -> None:
        """From inside ``write``'s ``fn``: run ``hook`` once its effect is durable (and only then)."""
        hooks: list[Hook] | None = getattr(self._local, "hooks", None)
        if hooks is None:
            raise Fault("after_commit outside of write")
        hooks.append(hook)

    def _run(self, fn: Callable[[Connection], T], connection: Connection) -> tuple[T, list[Hook]]:
        """Run ``fn`` collecting its after-commit hooks."""
        hooks: list[Hook] = []
        self._local.hooks = hooks
        try:
            return fn(connection), hooks
        finally:
            self._local.hooks = None

    def _run_hooks(self, hooks: list[Hook]) -> None:
        """After the commit: a hook that fails is our defect, and no reason to call a durable write failed."""
        if hooks:
            faultpoints.reach(BEFORE_WAKE_UP)
        for hook in hooks:
            try:
                hook()
            except Exception:
                _log.exception("an after-commit hook failed; the commit itself stands")

    def _refuse_nesting(self) -> None:
        if getattr(self._local, "hooks", None) is not None:
            raise Fault("the store was called inside write's function: use the connection it was given")

    def _refuse_write_in_read(self) -> None:
        if getattr(self._local, "reading", None) is not None:
            raise Fault("write inside read's function: what it wrote would rest on an old snapshot")
