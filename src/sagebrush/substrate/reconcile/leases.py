"""Taking, renewing and giving back leases.

Lease time is the store's: monotonic on one machine, the database's with PostgreSQL. A lease is over when its time is
up, or at once when its owner is a process of this machine that lives no more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, or_, select, update

from sagebrush.substrate.reconcile.owner import is_dead
from sagebrush.substrate.resources.lease import Lease
from sagebrush.substrate.resources.tables import resources
from sagebrush.substrate.store import Store

LEASE_SECONDS = 30
_C = resources.c


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of one loop; ``owner`` is its process's identity and something unique."""

    store: Store
    owner: str

    def due(self, kinds: Collection[str], holding: Collection[str]) -> bool:
        """Whether anything waits that might be taken; a read, so that idling commits nothing."""
        return len(self.store.read(lambda conn: self._free(conn, kinds, holding, 1))) > 0

    def take(self, kinds: Collection[str], holding: Collection[str], limit: int) -> list[Lease]:
        """Lease up to ``limit`` resources of these kinds that are due and in nobody's hands."""

        def claim(tx: Connection) -> list[Lease]:
            until = self._until(tx)
            taken = []
            for resource_id, token in self._free(tx, kinds, holding, limit):
                values = {"lease_owner": self.owner, "lease_token": token + 1, "lease_until_us": until}
                tx.execute(update(resources).where(_C.id == resource_id).values(**values))
                taken.append(Lease(resource_id, self.owner, token + 1))
            return taken

        return self.store.write(claim)

    def renew(self) -> set[str]:
        """Prolong everything that is held; the ids of it. What is not among them was lost."""

        def prolong(tx: Connection) -> set[str]:
            mine = _C.lease_owner == self.owner
            tx.execute(update(resources).where(mine).values(lease_until_us=self._until(tx)))
            return set(tx.execute(select(_C.id).where(mine)).scalars())

        return self.store.write(prolong)

    def put_to_sleep(self, lease: Lease, wakes_seen: int) -> bool:
        """Give a lease back and let the resource sleep; True when somebody woke it since ``wakes_seen``.

        Commits nothing where the lease is gone already, as after a terminal transition.
        """
        if self.store.read(lambda conn: conn.execute(select(_C.id).where(_mine(lease))).first()) is None:
            return False

        def give_back(tx: Connection) -> bool:
            wakes = tx.execute(select(_C.wakes).where(_mine(lease))).scalar()
            if wakes is None:
                return False
            sleep = case((_C.wakes == wakes_seen, None), else_=_C.wake_at_us)
            values = {"lease_owner": None, "lease_until_us": None, "wake_at_us": sleep}
            tx.execute(update(resources).where(_mine(lease)).values(**values))
            return bool(wakes != wakes_seen)

        return self.store.write(give_back)

    def give_back(self, leases: Sequence[Lease]) -> None:
        """Give leases back as they are: whoever looks next may take the resources up."""

        def free(tx: Connection) -> None:
            for lease in leases:
                tx.execute(update(resources).where(_mine(lease)).values(lease_owner=None, lease_until_us=None))

        if leases:
            self.store.write(free)

    def _free(
        self, connection: Connection, kinds: Collection[str], holding: Collection[str], limit: int
    ) -> list[tuple[str, int]]:
        """(id, lease token) of what is due and free, longest due first."""
        waiting = _C.wake_at_us.is_not(None) & (_C.wake_at_us <= self.store.clock.now_us())
        owners = connection.execute(select(_C.lease_owner).where(waiting, _C.lease_owner.is_not(None)).distinct())
        one_host = self.store.dialect == "sqlite"
        dead = [owner for (owner,) in owners if owner != self.owner and is_dead(owner, one_host=one_host)]
        over = _C.lease_until_us <= self.store.lease_time_us(connection)
        rows = connection.execute(
            select(_C.id, _C.lease_token)
            .where(waiting, _C.kind.in_(kinds), _C.deleted_us.is_(None))
            .where(or_(_C.lease_owner.is_(None), over, _C.lease_owner.in_(dead)))
            .order_by(_C.wake_at_us, _C.id)
            .limit(limit + len(holding))
        )
        return [(row.id, row.lease_token) for row in rows if row.id not in holding][:limit]

    def _until(self, tx: Connection) -> int:
        return self.store.lease_time_us(tx) + LEASE_SECONDS * 1_000_000


def release_all(tx: Connection) -> None:
    """Nobody works on anything: for a database that was copied to another place, where other clocks and processes are.

    Tokens stay, so that whoever held a lease there writes nothing here.
    """
    tx.execute(update(resources).where(_C.lease_owner.is_not(None)).values(lease_owner=None, lease_until_us=None))


def _mine(lease: Lease) -> ColumnElement[bool]:
    return (_C.id == lease.resource_id) & (_C.lease_owner == lease.owner) & (_C.lease_token == lease.token)
