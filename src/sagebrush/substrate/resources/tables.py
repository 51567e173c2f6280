"""The tables behind every declared resource: rows, history, tags, outbox, meters."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from sagebrush.substrate.store import STATE

resources = Table(
    "resources",
    STATE.metadata,
    Column("id", String(26), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("name", String(256), nullable=False),
    Column("parent", String(26)),
    Column("arn", String(2048), nullable=False),
    Column("status", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("modified_us", BigInteger, nullable=False),
    # Counts changes; a writer that saw an older generation is refused.
    Column("generation", Integer, nullable=False),
    Column("owner_token", String(2048)),
    # The lease: who works on the row, its fencing number, and until when. wake_at_us NULL: nothing to do.
    Column("lease_owner", String(128)),
    Column("lease_token", Integer, nullable=False),
    Column("lease_until_us", BigInteger),
    Column("wake_at_us", BigInteger),
    Column("deleted_us", BigInteger),
    Column("body", Text, nullable=False),
    Column("body_version", Integer, nullable=False),
)
# A deleted name may be used again, so uniqueness is among the living.
_LIVING = text("deleted_us IS NULL")
Index(
    "resources_name",
    resources.c.account,
    resources.c.region,
    resources.c.kind,
    resources.c.name,
    unique=True,
    sqlite_where=_LIVING,
    postgresql_where=_LIVING,
)
Index("resources_arn", resources.c.arn, unique=True, sqlite_where=_LIVING, postgresql_where=_LIVING)
Index("resources_owner", resources.c.owner_token, unique=True)
Index("resources_created", resources.c.account, resources.c.region, resources.c.kind, resources.c.created_us)
Index("resources_modified", resources.c.account, resources.c.region, resources.c.kind, resources.c.modified_us)
Index("resources_parent", resources.c.parent)
_WAITING = text("wake_at_us IS NOT NULL")
Index("resources_wake", resources.c.wake_at_us, sqlite_where=_WAITING, postgresql_where=_WAITING)

history = Table(
    "resource_history",
    STATE.metadata,
    Column("resource_id", String(26), ForeignKey("resources.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("status", String(64), nullable=False),
    Column("secondary", String(64)),
    Column("message", Text, nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
)

tags = Table(
    "resource_tags",
    STATE.metadata,
    Column("resource_id", String(26), ForeignKey("resources.id"), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", String(256), nullable=False),
)

outbox = Table(
    "outbox",
    STATE.metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("source", String(128), nullable=False),
    Column("detail_type", String(256), nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("resource_arn", String(2048), nullable=False),
    Column("causation_id", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)

outbox_consumers = Table(
    "outbox_consumers",
    STATE.metadata,
    Column("consumer", String(128), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

meters = Table(
    "meters",
    STATE.metadata,
    Column("id", String(26), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("resource_arn", String(2048), nullable=False),
    Column("status", String(64), nullable=False),
    Column("secondary", String(64)),
    Column("time_us", BigInteger, nullable=False),
    Column("attributes", Text, nullable=False),
)
Index("meters_resource", meters.c.resource_arn, meters.c.time_us)
Index("meters_time", meters.c.account, meters.c.time_us)
