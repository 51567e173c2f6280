"""The tables behind every declared resource: rows, history, tags, meters."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from sagebrush.substrate.store import STATE
from sagebrush.substrate.store.text import sorted_text

resources = Table(
    "resources",
    STATE.metadata,
    Column("id", sorted_text(26), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("name", sorted_text(256), nullable=False),
    # The name of what it belongs to (a user profile's domain, a version's group); '' where it stands by itself.
    Column("parent", sorted_text(256), nullable=False),
    Column("arn", String(2048), nullable=False),
    Column("status", sorted_text(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("modified_us", BigInteger, nullable=False),
    # Counts changes; a writer that saw an older generation is refused.
    Column("generation", Integer, nullable=False),
    Column("owner_token", String(2400)),
    # The lease: who works on the row, its fencing number, and until when.
    Column("lease_owner", String(200)),
    Column("lease_token", Integer, nullable=False),
    Column("lease_until_us", BigInteger),
    # When the reconcile loop should look at it (NULL: nothing to do), and how often somebody outside the loop said so.
    Column("wake_at_us", BigInteger),
    Column("wakes", Integer, nullable=False),
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
    resources.c.parent,
    resources.c.name,
    unique=True,
    sqlite_where=_LIVING,
    postgresql_where=_LIVING,
)
Index("resources_arn", resources.c.arn, unique=True, sqlite_where=_LIVING, postgresql_where=_LIVING)
# Of the dead as well: the repeat of a call must find what the first one made, even if it was deleted since.
Index("resources_owner", resources.c.owner_token, resources.c.kind, unique=True)
# One per order in which lists are sorted, with every column that lists filter by: a page is found in the index alone,
# and only its own rows are read.
_LISTED = ("name", "status", "created_us", "modified_us")
for _sorted in _LISTED:
    _columns = ("account", "region", "kind", _sorted, "id", *(name for name in _LISTED if name != _sorted))
    Index(
        f"resources_by_{_sorted.removesuffix('_us')}",
        *(resources.c[name] for name in _columns),
        sqlite_where=_LIVING,
        postgresql_where=_LIVING,
    )
_WAITING = text("wake_at_us IS NOT NULL")
Index("resources_wake", resources.c.wake_at_us, sqlite_where=_WAITING, postgresql_where=_WAITING)
# Leases are renewed by their owner, every few seconds.
_LEASED = text("lease_owner IS NOT NULL")
Index("resources_lease", resources.c.lease_owner, sqlite_where=_LEASED, postgresql_where=_LEASED)

history = Table(
    "resource_history",
    STATE.metadata,
    Column("resource_id", String(26), ForeignKey("resources.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
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
    Column("key", sorted_text(128), primary_key=True),
    Column("value", String(256), nullable=False),
)
Index("resource_tags_value", tags.c.key, tags.c.value)

# What a resource used, in intervals that neither overlap nor leave gaps; the open one has no end.
meters = Table(
    "meters",
    STATE.metadata,
    Column("id", String(26), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("resource_arn", String(2048), nullable=False),
    Column("resource_id", String(26), nullable=False),
    Column("status", String(64), nullable=False),
    Column("secondary", String(64)),
    Column("started_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("attributes", Text, nullable=False),
)
Index("meters_resource", meters.c.resource_id, meters.c.started_us)
Index("meters_time", meters.c.account, meters.c.started_us)
