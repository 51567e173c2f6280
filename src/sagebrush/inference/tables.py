"""The capability's own SQL: replicas, what they are made of, what the front door is told, how far its spool is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
    update,
)

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store import STATE

#: A replica is on its way (starting), answers requests (ready), or is being ended and removed (draining).
STARTING, READY, DRAINING = "starting", "ready", "draining"

replicas = Table(
    "inference_replicas",
    STATE.metadata,
    Column("id", String(26), primary_key=True),
    Column("endpoint_id", String(26), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("variant", String(63), nullable=False),
    # Which instance of its variant it is, from 1; its successors have the same number.
    Column("slot", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    # How many processes answer in it, each on a socket of its own: as it was launched, whatever changes here.
    Column("workers", Integer, nullable=False),
    # How long a request may take in it, as it was launched.
    Column("timeout_seconds", Float, nullable=False),
    # Of its predecessors, in a row: how many ended soon (what its start waits for), and how many came to nothing (what
    # ends the endpoint); and when it may be started.
    Column("ends", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("start_at_us", BigInteger, nullable=False),
    Column("launched_us", BigInteger),
    Column("ready_us", BigInteger),
    Column("drained_us", BigInteger),
    Column("log_offset", BigInteger, nullable=False),
)
Index("ix_inference_replicas_endpoint", replicas.c.endpoint_id)

# What the data and code of a revision's models were when it began: every replica of it gets the same.
artefacts = Table(
    "inference_artefacts",
    STATE.metadata,
    Column("endpoint_id", String(26), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("found", Text, nullable=False),
)

routes = Table(
    "inference_routes",
    STATE.metadata,
    Column("endpoint_id", String(26), primary_key=True),
    Column("name", String(63), nullable=False),
    Column("entry", Text, nullable=False),
)

# One row: the version of all routes together, which only grows.
routing = Table(
    "inference_routing",
    STATE.metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

spools = Table(
    "inference_spools",
    STATE.metadata,
    Column("endpoint_id", String(26), primary_key=True),
    Column("file", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)


class Moved(Fault):
    """Somebody else recorded this part of a log or spool already; what was read must not be recorded again."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica as stored. Times are Unix microseconds, None until it comes to that."""

    id: str
    endpoint_id: str
    revision: int
    variant: str
    slot: int
    state: str
    workers: int
    timeout_seconds: float
    ends: int
    failures: int
    start_at_us: int
    launched_us: int | None = None
    ready_us: int | None = None
    drained_us: int | None = None
    log_offset: int = 0

    @property
    def log_stream(self) -> str:
        """Its stream in the endpoint's log group."""
        return f"{self.variant}/{self.id}"

    @property
    def sockets(self) -> tuple[str, ...]:
        """The names of its sockets in its directory."""
        return tuple(f"s{number}" for number in range(self.workers))


def replicas_of(conn: Connection, endpoint_id: str) -> tuple[Replica, ...]:
    """All replicas of an endpoint, those that are being removed included, by age."""
    query = select(replicas).where(replicas.c.endpoint_id == endpoint_id).order_by(replicas.c.id)
    return tuple(Replica(**row) for row in conn.execute(query).mappings())


def find_replica(conn: Connection, replica_id: str) -> Replica | None:
    """The replica with that id, while there is anything left of it."""
    row = conn.execute(select(replicas).where(replicas.c.id == replica_id)).mappings().first()
    return None if row is None else Replica(**row)


def add_replicas(tx: Connection, new: Sequence[Replica]) -> None:
    """Record replicas that are to be started."""
    rows = [{name: getattr(replica, name) for name in replica.__slots__} for replica in new]
    if rows:
        tx.execute(insert(replicas), rows)


def set_launched(tx: Connection, replica_id: str, now_us: int) -> bool:
    """Say that a replica has been launched; False when that was said before."""
    first = and_(replicas.c.id == replica_id, replicas.c.launched_us.is_(None))
    return tx.execute(update(replicas).where(first).values(launched_us=now_us)).rowcount == 1


def set_ready(tx: Connection, ids: Sequence[str], now_us: int) -> None:
    """Replicas that were starting answer requests from now on."""
    starting = and_(replicas.c.id.in_(ids), replicas.c.state == STARTING)
    tx.execute(update(replicas).where(starting).values(state=READY, ready_us=now_us))


def set_draining(tx: Connection, ids: Sequence[str], now_us: int) -> None:
    """Replicas get no requests any more and are to be ended; saying it again changes nothing."""
    living = and_(replicas.c.id.in_(ids), replicas.c.state != DRAINING)
    tx.execute(update(replicas).where(living).values(state=DRAINING, drained_us=now_us))


def remove_replica(tx: Connection, replica_id: str) -> None:
    """Nothing is left of a replica."""
    tx.execute(delete(replicas).where(replicas.c.id == replica_id))


def advance_log(tx: Connection, replica_id: str, start: int, end: int) -> None:
    """Record that a replica's log has been read from ``start`` to ``end``. Raises Moved unless it stands at start."""
    here = and_(replicas.c.id == replica_id, replicas.c.log_offset == start)
    if tx.execute(update(replicas).where(here).values(log_offset=end)).rowcount != 1:
        raise Moved(f"the log of {replica_id} does not stand at {start}")


def artefacts_of(conn: Connection, endpoint_id: str, revision: int) -> Mapping[str, Any] | None:
    """What the models of a revision are made of; None before that was found out."""
    same = and_(artefacts.c.endpoint_id == endpoint_id, artefacts.c.revision == revision)
    text = conn.execute(select(artefacts.c.found).where(same)).scalar()
    return None if text is None else json.loads(text)


def put_artefacts(tx: Connection, endpoint_id: str, revision: int, found: Mapping[str, Any]) -> None:
    """Record what the models of a revision are made of, for the first time."""
    tx.execute(insert(artefacts).values(endpoint_id=endpoint_id, revision=revision, found=json.dumps(found)))


def revisions_with_artefacts(conn: Connection, endpoint_id: str) -> list[int]:
    """The revisions of an endpoint whose artefacts are recorded."""
    return list(conn.execute(select(artefacts.c.revision).where(artefacts.c.endpoint_id == endpoint_id)).scalars())


def drop_artefacts(tx: Connection, endpoint_id: str, revision: int) -> None:
    """Forget what the models of a revision are made of."""
    tx.execute(delete(artefacts).where(artefacts.c.endpoint_id == endpoint_id, artefacts.c.revision == revision))


def put_route(tx: Connection, endpoint_id: str, name: str, entry: Mapping[str, Any]) -> bool:
    """What the front door is to be told of an endpoint; False, and no new version, when it was told that already."""
    text = json.dumps(entry, sort_keys=True)
    known = tx.execute(select(routes.c.entry).where(routes.c.endpoint_id == endpoint_id)).scalar()
    if known == text:
        return False
    if known is None:
        tx.execute(insert(routes).values(endpoint_id=endpoint_id, name=name, entry=text))
    else:
        tx.execute(update(routes).where(routes.c.endpoint_id == endpoint_id).values(entry=text))
    raise_version(tx, version(tx) + 1)
    return True


def is_routed(conn: Connection, endpoint_id: str) -> bool:
    """Whether the front door is to know of an endpoint."""
    return conn.execute(select(routes.c.name).where(routes.c.endpoint_id == endpoint_id)).first() is not None


def drop_route(tx: Connection, endpoint_id: str) -> bool:
    """The front door is to know nothing of an endpoint any more; False when that is so already."""
    if tx.execute(delete(routes).where(routes.c.endpoint_id == endpoint_id)).rowcount == 0:
        return False
    raise_version(tx, version(tx) + 1)
    return True


def version(conn: Connection) -> int:
    """The version of all routes together."""
    return int(conn.execute(select(routing.c.version)).scalar() or 0)


def raise_version(tx: Connection, at_least: int) -> None:
    """Let the version be at least this."""
    found = tx.execute(select(routing.c.version)).scalar()
    if found is None:
        tx.execute(insert(routing).values(id=1, version=at_least))
    elif found < at_least:
        tx.execute(update(routing).values(version=at_least))


def all_routes(conn: Connection) -> tuple[int, dict[str, Any]]:
    """The version, and what the front door is to be told by name of endpoint."""
    query = select(routes.c.name, routes.c.entry).order_by(routes.c.endpoint_id)
    return version(conn), {row.name: json.loads(row.entry) for row in conn.execute(query)}


def spool_positions(conn: Connection, endpoint_id: str) -> dict[str, int]:
    """How far the files of an endpoint's spool have been read, in bytes."""
    found = conn.execute(select(spools.c.file, spools.c.position).where(spools.c.endpoint_id == endpoint_id))
    return {row.file: row.position for row in found}


def advance_spool(tx: Connection, endpoint_id: str, file: str, start: int, end: int) -> None:
    """Record that a file has been read from ``start`` to ``end``. Raises Moved unless it stands at ``start``."""
    same = and_(spools.c.endpoint_id == endpoint_id, spools.c.file == file)
    stands = tx.execute(select(spools.c.position).where(same)).scalar()
    if (stands or 0) != start:
        raise Moved(f"{file} of {endpoint_id} does not stand at {start}")
    if stands is None:
        tx.execute(insert(spools).values(endpoint_id=endpoint_id, file=file, position=end))
    else:
        tx.execute(update(spools).where(same).values(position=end))


def forget_spool(tx: Connection, endpoint_id: str, files: Sequence[str]) -> None:
    """Forget files that were read whole and removed."""
    tx.execute(delete(spools).where(and_(spools.c.endpoint_id == endpoint_id, spools.c.file.in_(files))))


def forget(tx: Connection, endpoint_id: str) -> None:
    """Remove everything kept of a deleted endpoint."""
    for table in (replicas, artefacts, spools):
        tx.execute(delete(table).where(table.c.endpoint_id == endpoint_id))
    drop_route(tx, endpoint_id)
