"""Once an hour: what nobody will ask for again is removed, in small transactions that hold up nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from sqlalchemy import Connection

from sagebrush.substrate.events import prune
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.telemetry.expiry import expire

log = logging.getLogger(__name__)

_HOUR: Final = 3600.0
#: Events are for consumers that fell behind, not an archive.
EVENT_DAYS: Final = 30
_DAY_US: Final = 86_400_000_000


class Housekeeping:
    """A thread of the control plane."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Tidy up now, and every hour."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the transaction in hand."""
        self._stopping.set()
        self._thread.join()

    def tidy(self) -> int:
        """Everything that is due; how many rows went."""
        now = self._platform.clock.now_us()
        return sum(
            map(self._repeat, (partial(prune, before_us=now - EVENT_DAYS * _DAY_US), partial(expire, now_us=now)))
        )

    def _repeat(self, step: Callable[[Connection], int]) -> int:
        removed = 0
        while not self._stopping.is_set() and (count := self._platform.store.write(step)):
            removed += count
        return removed

    def _run(self) -> None:
        while True:
            try:
                removed = self.tidy()
                if removed:
                    log.info("housekeeping: %d rows removed", removed)
            except Exception:
                log.exception("housekeeping failed; it is tried again in an hour")
            if self._stopping.wait(_HOUR):
                return
