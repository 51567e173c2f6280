"""When an access key was last used, and for what: remembered as it happens, written about once a minute.

AWS: https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html. A process that is killed loses
what it saw in its last minute; a use after that, or the next one, is written as ever.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.identity.access_key_ids import LONG_LIVED
from sagebrush.substrate.identity.tables import iam_access_keys
from sagebrush.substrate.store import Store

log = logging.getLogger(__name__)
#: Seconds between two writes of one process.
EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class KeyUse:
    """``used_us`` microseconds since 1970; ``service`` as requests are signed for it."""

    used_us: int
    service: str


class KeyUses:
    """Thread-safe; every process that verifies signatures has its own."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._unwritten: dict[str, KeyUse] = {}
        self._written_us: int | None = None
        self._timer: threading.Timer | None = None

    def note(self, access_key_id: str, service: str) -> None:
        """A request was made with this key now. Sessions' keys are not kept: they end by themselves."""
        if not access_key_id.startswith(LONG_LIVED):
            return
        now_us = self._clock.monotonic_us()
        with self._lock:
            self._unwritten[access_key_id] = KeyUse(self._clock.now_us(), service)
            due = self._written_us is None or now_us - self._written_us >= EVERY_S * 1_000_000
            if due:
                self._written_us = now_us
            elif self._timer is None:
                self._timer = threading.Timer(EVERY_S, self._write_late)
                self._timer.daemon = True
                self._timer.start()
        if due:
            self.write()

    def write(self) -> None:
        """Write what is not written yet. A store that cannot be written costs no request: it is tried again later."""
        with self._lock:
            uses, self._unwritten, self._timer = self._unwritten, {}, None
        if not uses:
            return
        try:
            self._store.write(lambda tx: _record(tx, uses))
        except SQLAlchemyError as error:
            log.warning("the last uses of %d access keys are not written yet: %s", len(uses), error)
            with self._lock:
                self._unwritten = uses | self._unwritten

    def _write_late(self) -> None:
        try:
            self.write()
        except Exception:  # on a thread of its own there is nobody to tell but the log
            log.exception("the last uses of access keys were not written")


def last_use(connection: Connection, access_key_id: str) -> KeyUse | None:
    """The newest use that was written."""
    chosen = select(iam_access_keys.c.used_us, iam_access_keys.c.used_service)
    row = connection.execute(chosen.where(iam_access_keys.c.access_key_id == access_key_id)).first()
    return KeyUse(row.used_us, row.used_service) if row is not None and row.used_us is not None else None


def _record(tx: Connection, uses: Mapping[str, KeyUse]) -> None:
    used_us = iam_access_keys.c.used_us
    for access_key_id, use in uses.items():
        older = update(iam_access_keys).where(
            iam_access_keys.c.access_key_id == access_key_id, or_(used_us.is_(None), used_us < use.used_us)
        )
        tx.execute(older.values(used_us=use.used_us, used_service=use.service))
