"""The SQL of logs and metrics, in the state database."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from sagebrush.substrate.store import STATE

#: SQLite numbers rows itself only in a column declared INTEGER.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

log_groups = Table(
    "log_groups",
    STATE.metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("retention_days", Integer),
    Column("group_class", Text, nullable=False),
    Column("tags", Text, nullable=False),
    UniqueConstraint("account", "region", "name", name="uq_log_groups_name"),
)

log_streams = Table(
    "log_streams",
    STATE.metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("group_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("next_sequence", BigInteger, nullable=False),
    Column("first_event_ms", BigInteger),
    Column("last_event_ms", BigInteger),
    Column("last_ingestion_ms", BigInteger),
    Column("stored_bytes", BigInteger, nullable=False),
    UniqueConstraint("group_id", "name", name="uq_log_streams_name"),
    Index("ix_log_streams_last_event", "group_id", "last_event_ms", "name"),
)

# One row holds many events. ``payload`` comes last: SQLite reads the columns before it without touching its pages.
log_chunks = Table(
    "log_chunks",
    STATE.metadata,
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("first_sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("group_id", BigInteger, nullable=False),
    Column("events", Integer, nullable=False),
    Column("raw_bytes", Integer, nullable=False),
    Column("min_ms", BigInteger, nullable=False),
    Column("max_ms", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("ix_log_chunks_forward", "stream_id", "min_ms", "first_sequence", "max_ms"),
    Index("ix_log_chunks_backward", "stream_id", "max_ms", "first_sequence"),
    Index("ix_log_chunks_group_forward", "group_id", "min_ms", "stream_id", "first_sequence", "max_ms"),
    Index("ix_log_chunks_group_backward", "group_id", "max_ms", "stream_id", "first_sequence"),
)

metric_series = Table(
    "metric_series",
    STATE.metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("dimensions_hash", Text, nullable=False),
    Column("dimensions", Text, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    UniqueConstraint("account", "region", "namespace", "name", "dimensions_hash", name="uq_metric_series_identity"),
)

# A point is ``samples`` measurements: a single value (samples 1), one value that occurred often, or a statistic set
# (``value`` absent: its distribution is unknown).
metric_points = Table(
    "metric_points",
    STATE.metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("series_id", BigInteger, nullable=False),
    Column("timestamp_us", BigInteger, nullable=False),
    Column("unit", Text, nullable=False),
    Column("value", Float(53)),
    Column("samples", Float(53), nullable=False),
    Column("total", Float(53), nullable=False),
    Column("minimum", Float(53), nullable=False),
    Column("maximum", Float(53), nullable=False),
    Index("ix_metric_points_time", "series_id", "timestamp_us"),
)
