"""The capability's own SQL: attempts of jobs, how far each host's log has been read, the last value of each metric."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.store import STATE

_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

#: An attempt waits for capacity (queued), may have processes (live), or is over (ended). Ids are the queue's order.
QUEUED, LIVE, ENDED = "queued", "live", "ended"

attempts = Table(
    "training_attempts",
    STATE.metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("resource_id", String(26), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    # The environment is still being built: others may pass in the queue.
    Column("building", Boolean, nullable=False),
    Column("admitted_us", BigInteger),
    Column("ended_us", BigInteger),
    # Why the platform ended it: 'runtime' or 'wait'; NULL when it ended by itself or was stopped.
    Column("ending", String(8)),
    UniqueConstraint("resource_id", "number", name="uq_training_attempts_number"),
)
Index("ix_training_attempts_state", attempts.c.state, attempts.c.id)

hosts = Table(
    "training_hosts",
    STATE.metadata,
    Column("resource_id", String(26), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("host", String(16), primary_key=True),
    Column("log_stream", Text, nullable=False),
    Column("log_offset", BigInteger, nullable=False),
)

metrics = Table(
    "training_metrics",
    STATE.metadata,
    Column("resource_id", String(26), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("value", Float(53), nullable=False),
    Column("timestamp_us", BigInteger, nullable=False),
)


class LogMoved(Fault):
    """Somebody else recorded this part of a log already; what was read must not be recorded again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as stored."""

    id: int
    resource_id: str
    number: int
    state: str
    building: bool
    admitted_us: int | None
    ending: str | None


@dataclass(frozen=True, slots=True)
class HostLog:
    """Where a host's log goes and how far it has been read, in bytes of its output file."""

    host: str
    stream: str
    offset: int


def enqueue(tx: Connection, resource_id: str, number: int) -> None:
    """A new attempt at the end of the queue. Repeating it does nothing."""
    same = and_(attempts.c.resource_id == resource_id, attempts.c.number == number)
    if tx.execute(select(attempts.c.id).where(same)).first() is None:
        tx.execute(insert(attempts).values(resource_id=resource_id, number=number, state=QUEUED, building=False))


def last_attempt(conn: Connection, resource_id: str) -> Attempt | None:
    """The newest attempt of a job."""
    query = select(attempts).where(attempts.c.resource_id == resource_id).order_by(attempts.c.number.desc()).limit(1)
    row = conn.execute(query).first()
    if row is None:
        return None
    return Attempt(row.id, row.resource_id, row.number, row.state, row.building, row.admitted_us, row.ending)


def ahead_of(conn: Connection, attempt: Attempt) -> int:
    """How many attempts wait in the queue before this one."""
    earlier = and_(attempts.c.state == QUEUED, attempts.c.id < attempt.id, attempts.c.building.is_(False))
    return int(conn.execute(select(func.count()).select_from(attempts).where(earlier)).scalar_one())


def next_in_queue(conn: Connection, limit: int) -> list[str]:
    """Resource ids of the first attempts that wait for capacity, and not for their environment."""
    waiting = and_(attempts.c.state == QUEUED, attempts.c.building.is_(False))
    query = select(attempts.c.resource_id).where(waiting).order_by(attempts.c.id).limit(limit)
    return list(conn.execute(query).scalars())


def set_building(tx: Connection, attempt: Attempt, building: bool) -> None:
    """Say whether the attempt waits for its environment rather than for capacity."""
    tx.execute(update(attempts).where(attempts.c.id == attempt.id).values(building=building))


def admit(tx: Connection, attempt: Attempt, now_us: int, streams: Iterable[tuple[str, str]]) -> None:
    """The attempt becomes live; ``streams`` are (host, log stream)."""
    live = and_(attempts.c.id == attempt.id, attempts.c.state == QUEUED)
    if tx.execute(update(attempts).where(live).values(state=LIVE, building=False, admitted_us=now_us)).rowcount != 1:
        raise Fault(f"attempt {attempt.number} of {attempt.resource_id} is not in the queue")
    rows = [
        {
            "resource_id": attempt.resource_id,
            "attempt": attempt.number,
            "host": host,
            "log_stream": stream,
            "log_offset": 0,
        }
        for host, stream in streams
    ]
    tx.execute(insert(hosts), rows)


def set_ending(tx: Connection, attempt: Attempt, why: str) -> None:
    """Record why the platform is about to end the attempt; the first reason stays."""
    first = and_(attempts.c.id == attempt.id, attempts.c.ending.is_(None))
    tx.execute(update(attempts).where(first).values(ending=why))


def end(tx: Connection, resource_id: str, now_us: int) -> None:
    """All attempts of the job are over."""
    open_ = and_(attempts.c.resource_id == resource_id, attempts.c.state != ENDED)
    tx.execute(update(attempts).where(open_).values(state=ENDED, ended_us=now_us, building=False))


def is_live(conn: Connection, resource_id: str, number: int) -> bool:
    """Whether this very attempt may have processes now."""
    same = and_(attempts.c.resource_id == resource_id, attempts.c.number == number, attempts.c.state == LIVE)
    return conn.execute(select(attempts.c.id).where(same)).first() is not None


def first_admitted_us(conn: Connection, resource_id: str) -> int | None:
    """When the first attempt began."""
    return conn.execute(select(func.min(attempts.c.admitted_us)).where(attempts.c.resource_id == resource_id)).scalar()


def host_logs(conn: Connection, resource_id: str, number: int) -> list[HostLog]:
    """The logs of an attempt's hosts."""
    query = select(hosts).where(and_(hosts.c.resource_id == resource_id, hosts.c.attempt == number))
    return [HostLog(row.host, row.log_stream, row.log_offset) for row in conn.execute(query)]


def advance_log(tx: Connection, resource_id: str, number: int, host: str, start: int, end: int) -> None:
    """Record that a log has been read from ``start`` to ``end``. Raises LogMoved unless it stands at ``start``."""
    here = and_(
        hosts.c.resource_id == resource_id, hosts.c.attempt == number, hosts.c.host == host, hosts.c.log_offset == start
    )
    if tx.execute(update(hosts).where(here).values(log_offset=end)).rowcount != 1:
        raise LogMoved(f"the log of {host} of {resource_id} does not stand at {start}")


def put_metrics(tx: Connection, resource_id: str, points: Sequence[tuple[str, float, int]]) -> None:
    """Keep the last value of each metric: (name, value, timestamp us), the newest last."""
    for name, value, timestamp_us in points:
        same = and_(metrics.c.resource_id == resource_id, metrics.c.name == name)
        values = {"value": value, "timestamp_us": timestamp_us}
        if tx.execute(update(metrics).where(same).values(**values)).rowcount == 0:
            tx.execute(insert(metrics).values(resource_id=resource_id, name=name, **values))


def metrics_of(conn: Connection, resource_id: str) -> list[dict[str, object]]:
    """The last value of each metric of a job."""
    columns = (metrics.c.name, metrics.c.value, metrics.c.timestamp_us)
    query = select(*columns).where(metrics.c.resource_id == resource_id).order_by(metrics.c.name)
    return [dict(row) for row in conn.execute(query).mappings()]


def forget(tx: Connection, resource_id: str) -> None:
    """Remove everything kept of a deleted job."""
    for table in (attempts, hosts, metrics):
        tx.execute(delete(table).where(table.c.resource_id == resource_id))
