"""How a commit reaches the reconcile loop without waiting for the next look."""

from __future__ import annotations

import threading


class Wakeups:
    """The set of resources somebody changed; safe from any thread."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._lock = threading.Lock()
        self.event = threading.Event()

    def notify(self, resource_id: str) -> None:
        """Say that a resource is worth a look now."""
        with self._lock:
            self._ids.add(resource_id)
        self.event.set()

    def take(self) -> set[str]:
        """Everything said since the last take."""
        with self._lock:
            self.event.clear()
            ids, self._ids = self._ids, set()
        return ids
