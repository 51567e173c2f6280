"""Taking, renewing and giving back leases. Time is monotonic on one machine, the database's with PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, select, text, update

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.reconcile.owner import boot_id, is_dead
from sagebrush.substrate.resources.rows import Lease
from sagebrush.substrate.resources.tables import resources
from sagebrush.substrate.store import Store

LEASE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of one process (``owner``) in one store."""

    store: Store
    clock: Clock
    owner: str

    def due(self, kinds: Collection[str]) -> bool:
        """Whether anything waits that this process might take; a read, so that idling commits nothing."""
        return self.store.read(lambda c: bool(self._candidates(c, kinds, 1)))

    def take(self, kinds: Collection[str], limit: int) -> list[Lease]:
        """Lease up to ``limit`` resources that are due and free, their dead owner's, or expired."""

        def claim(tx: Connection) -> list[Lease]:
            taken = []
            until = self._now(tx) + LEASE_SECONDS * 1_000_000
            for resource_id, token in self._candidates(tx, kinds, limit):
                where = (resources.c.id == resource_id) & (resources.c.lease_token == token)
                values = {"lease_owner": self.owner, "lease_token": token + 1, "lease_until_us": until}
                if tx.execute(update(resources).where(where).values(**values)).rowcount == 1:
                    taken.append(Lease(resource_id, self.owner, token + 1))
            return taken

        return self.store.write(claim)

    def renew(self, leases: Iterable[Lease]) -> None:
        """Prolong what is held; a lease that was lost meanwhile stays lost."""
        held = list(leases)

        def prolong(tx: Connection) -> None:
            until = self._now(tx) + LEASE_SECONDS * 1_000_000
            for lease in held:
                tx.execute(update(resources).where(_mine(lease)).values(lease_until_us=until))

        if held:
            self.store.write(prolong)

    def release(self, lease: Lease, *, asleep_since_us: int | None) -> None:
        """Give a lease back. With ``asleep_since_us`` (wall time) the resource sleeps unless woken after that."""

        def give_back(tx: Connection) -> None:
            tx.execute(update(resources).where(_mine(lease)).values(lease_owner=None, lease_until_us=None))
            if asleep_since_us is not None:
                not_woken = (resources.c.id == lease.resource_id) & (resources.c.wake_at_us < asleep_since_us)
                tx.execute(update(resources).where(not_woken).values(wake_at_us=None))

        self.store.write(give_back)

    def _candidates(self, connection: Connection, kinds: Collection[str], limit: int) -> list[tuple[str, int]]:
        c = resources.c
        rows = connection.execute(
            select(c.id, c.lease_token, c.lease_owner, c.lease_until_us)
            .where(c.wake_at_us.is_not(None), c.wake_at_us <= self.clock.now_us(), c.kind.in_(kinds))
            .where(c.deleted_us.is_(None), c.lease_owner.is_(None) | (c.lease_owner != self.owner))
            .order_by(c.wake_at_us, c.id)
        )
        now = self._now(connection)
        free: list[tuple[str, int]] = []
        dead: dict[str, bool] = {}
        for resource_id, token, owner, until in rows:
            if owner is not None:
                if owner not in dead:
                    dead[owner] = is_dead(owner) or (self.store.dialect == "sqlite" and not owner.startswith(boot_id()))
                if not dead[owner] and until is not None and until > now:
                    continue
            free.append((resource_id, token))
            if len(free) >= limit:
                break
        return free

    def _now(self, connection: Connection) -> int:
        if self.store.dialect == "postgresql":
            seconds = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
            return int(seconds * 1_000_000)
        return self.clock.monotonic_us()


def _mine(lease: Lease) -> ColumnElement[bool]:
    c = resources.c
    return (c.id == lease.resource_id) & (c.lease_owner == lease.owner) & (c.lease_token == lease.token)
