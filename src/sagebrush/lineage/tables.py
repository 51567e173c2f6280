"""The edges of lineage: one row for each association."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Index, Row, String, Table, UniqueConstraint, and_, or_, select
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert as sql_insert

from sagebrush.substrate.store import STATE
from sagebrush.substrate.store.text import sorted_text

associations = Table(
    "lineage_associations",
    STATE.metadata,
    # A ULID: ties of a sorted list are cut by it.
    Column("id", sorted_text(26), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("source_arn", sorted_text(256), nullable=False),
    Column("destination_arn", sorted_text(256), nullable=False),
    # What the ends say they are (ArtifactType ...): it never changes, so it is kept here to filter and sort by.
    Column("source_type", sorted_text(256), nullable=False),
    Column("destination_type", sorted_text(256), nullable=False),
    Column("association_type", String(16)),
    Column("created_us", BigInteger, nullable=False),
    Column("created_by", String(2048), nullable=False),
    UniqueConstraint("source_arn", "destination_arn", name="uq_lineage_associations_ends"),
)
Index("ix_lineage_associations_destination", associations.c.destination_arn)
Index("ix_lineage_associations_created", *(associations.c[n] for n in ("account", "region", "created_us", "id")))

_C = associations.c
SORTED_BY: Mapping[str, Any] = {
    "SourceArn": _C.source_arn,
    "DestinationArn": _C.destination_arn,
    "SourceType": _C.source_type,
    "DestinationType": _C.destination_type,
    "CreationTime": _C.created_us,
}


def find(connection: Connection, source_arn: str, destination_arn: str) -> Row[Any] | None:
    """The association between these two."""
    return connection.execute(
        select(associations).where(_C.source_arn == source_arn, _C.destination_arn == destination_arn)
    ).first()


def add(tx: Connection, values: Mapping[str, Any]) -> None:
    """A new association."""
    tx.execute(sql_insert(associations).values(**values))


def remove(tx: Connection, association_id: str) -> None:
    """Take an association away."""
    tx.execute(sql_delete(associations).where(_C.id == association_id))


def is_associated(connection: Connection, arn: str) -> bool:
    """Whether anything is associated with it, in either direction."""
    ends = or_(_C.source_arn == arn, _C.destination_arn == arn)
    return connection.execute(select(_C.id).where(ends).limit(1)).first() is not None


def page(
    connection: Connection,
    conditions: Sequence[Any],
    *,
    sort_by: str,
    descending: bool,
    after: tuple[Any, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Up to ``limit`` associations in order, behind the position ``after``."""
    key = SORTED_BY[sort_by]
    query = select(associations).where(*conditions)
    if after is not None:
        value, last = after
        further = key < value if descending else key > value
        tie = _C.id < last if descending else _C.id > last
        query = query.where(or_(further, and_(key == value, tie)))
    order = (key.desc(), _C.id.desc()) if descending else (key, _C.id)
    return connection.execute(query.order_by(*order).limit(limit)).all()
