"""The SQL of the outbox."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from sagebrush.substrate.store import STATE

outbox = Table(
    "outbox",
    STATE.metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String(36), nullable=False),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("source", String(128), nullable=False),
    Column("detail_type", String(256), nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("resource_arn", String(2048), nullable=False),
    Column("causation_id", String(128), nullable=False),
    Column("detail", Text, nullable=False),
)
Index("outbox_resource", outbox.c.resource_arn, outbox.c.sequence)
Index("outbox_time", outbox.c.time_us)

# One row: the last sequence given. A database's own sequences have gaps and are not in commit order; a consumer that
# remembers a position would pass by an event that commits late.
outbox_head = Table(
    "outbox_head",
    STATE.metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
)

outbox_consumers = Table(
    "outbox_consumers",
    STATE.metadata,
    Column("consumer", String(128), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)
