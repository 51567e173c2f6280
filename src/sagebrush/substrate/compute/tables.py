"""The SQL of capacity: what running jobs have reserved of this host."""

from __future__ import annotations

from sqlalchemy import Column, Float, Table, Text

from sagebrush.substrate.store import STATE

reservations = Table(
    "reservations",
    STATE.metadata,
    Column("owner_id", Text, primary_key=True),
    Column("vcpus", Float, nullable=False),
    Column("memory_gib", Float, nullable=False),
)
