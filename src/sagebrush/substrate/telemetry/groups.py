"""Log groups and log streams: creating, finding, listing, deleting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.telemetry.tables import log_chunks, log_streams
from sagebrush.substrate.telemetry.tables import log_groups as groups

#: The greatest text in the order of both databases for names that start with a prefix.
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class LogGroup:
    """A log group; ``retention_days`` None keeps events for ever."""

    id: int
    name: str
    created_us: int
    retention_days: int | None
    group_class: str
    tags: Mapping[str, str]
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LogStream:
    """A log stream; the event times are None while it is empty."""

    id: int
    group_id: int
    name: str
    created_us: int
    next_sequence: int
    first_event_ms: int | None
    last_event_ms: int | None
    last_ingestion_ms: int | None
    stored_bytes: int


def no_group() -> CallerError:
    """CloudWatch Logs' words for a group that is not there."""
    return CallerError("ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> CallerError:
    """CloudWatch Logs' words for a stream that is not there."""
    return CallerError("ResourceNotFoundException", "The specified log stream does not exist.")


class Groups:
    """The groups of one account and region, and their streams."""

    def __init__(self, clock: Clock, account: str, region: str):
        self._clock = clock
        self._account = account
        self._region = region

    def _mine(self) -> Any:
        return and_(groups.c.account == self._account, groups.c.region == self._region)

    def find_group(self, conn: Connection, name: str) -> LogGroup | None:
        """The group of that name, without its size."""
        row = conn.execute(select(groups).where(self._mine(), groups.c.name == name)).one_or_none()
        return None if row is None else _group(row)

    def group(self, conn: Connection, name: str) -> LogGroup:
        """The group of that name. Raises ResourceNotFoundException."""
        found = self.find_group(conn, name)
        if found is None:
            raise no_group()
        return found

    def create_group(
        self, tx: Connection, name: str, *, group_class: str = "STANDARD", tags: Mapping[str, str] | None = None
    ) -> LogGroup:
        """Create a group. Raises ResourceAlreadyExistsException."""
        if self.find_group(tx, name) is not None:
            raise CallerError("ResourceAlreadyExistsException", "The specified log group already exists")
        values = {
            "account": self._account,
            "region": self._region,
            "name": name,
            "created_us": self._clock.now_us(),
            "group_class": group_class,
            "tags": json.dumps(dict(tags or {})),
        }
        tx.execute(insert(groups).values(**values))
        return self.group(tx, name)

    def set_retention(self, tx: Connection, name: str, days: int | None) -> None:
        """Keep the group's events for so many days; None for ever."""
        group = self.group(tx, name)
        tx.execute(update(groups).where(groups.c.id == group.id).values(retention_days=days))

    def set_tags(self, tx: Connection, name: str, tags: Mapping[str, str]) -> None:
        """Replace the group's tags."""
        group = self.group(tx, name)
        tx.execute(update(groups).where(groups.c.id == group.id).values(tags=json.dumps(dict(tags))))

    def delete_group(self, tx: Connection, name: str) -> None:
        """Delete a group with all its streams and events. Raises ResourceNotFoundException."""
        group = self.group(tx, name)
        tx.execute(delete(log_chunks).where(log_chunks.c.group_id == group.id))
        tx.execute(delete(log_streams).where(log_streams.c.group_id == group.id))
        tx.execute(delete(groups).where(groups.c.id == group.id))

    def list_groups(
        self, conn: Connection, *, prefix: str = "", pattern: str = "", after: str | None = None, limit: int = 50
    ) -> list[LogGroup]:
        """Groups by name, ``limit`` at most, beyond the name ``after``; ``pattern`` is a text within the name."""
        sizes = select(func.coalesce(func.sum(log_streams.c.stored_bytes), 0)).where(
            log_streams.c.group_id == groups.c.id
        )
        query = select(groups, sizes.scalar_subquery().label("size"))
        query = query.where(self._mine()).order_by(groups.c.name).limit(limit)
        if prefix:
            query = query.where(groups.c.name >= prefix, groups.c.name < prefix + _LAST)
        if pattern:
            query = query.where(func.lower(groups.c.name).contains(pattern.lower(), autoescape=True))
        if after is not None:
            query = query.where(groups.c.name > after)
        return [_group(row, row.size) for row in conn.execute(query)]

    def find_stream(self, conn: Connection, group: LogGroup, name: str) -> LogStream | None:
        """The stream of that name in a group."""
        query = select(log_streams).where(log_streams.c.group_id == group.id, log_streams.c.name == name)
        row = conn.execute(query).one_or_none()
        return None if row is None else _stream(row)

    def stream(self, conn: Connection, group_name: str, name: str) -> LogStream:
        """The stream of that name. Raises ResourceNotFoundException for group or stream."""
        found = self.find_stream(conn, self.group(conn, group_name), name)
        if found is None:
            raise no_stream()
        return found

    def create_stream(self, tx: Connection, group_name: str, name: str) -> LogStream:
        """Create an empty stream. Raises ResourceNotFoundException and ResourceAlreadyExistsException."""
        group = self.group(tx, group_name)
        if self.find_stream(tx, group, name) is not None:
            raise CallerError("ResourceAlreadyExistsException", "The specified log stream already exists")
        values = {
            "group_id": group.id,
            "name": name,
            "created_us": self._clock.now_us(),
            "next_sequence": 0,
            "stored_bytes": 0,
        }
        tx.execute(insert(log_streams).values(**values))
        return self.stream(tx, group_name, name)

    def delete_stream(self, tx: Connection, group_name: str, name: str) -> None:
        """Delete a stream and its events. Raises ResourceNotFoundException."""
        stream = self.stream(tx, group_name, name)
        tx.execute(delete(log_chunks).where(log_chunks.c.stream_id == stream.id))
        tx.execute(delete(log_streams).where(log_streams.c.id == stream.id))

    def list_streams(
        self,
        conn: Connection,
        group: LogGroup,
        *,
        prefix: str = "",
        by_last_event: bool = False,
        descending: bool = False,
        after: tuple[int, str] | None = None,
        limit: int | None = 50,
    ) -> list[LogStream]:
        """Streams by name, or by (last event time, name) with empty streams first.

        ``after`` is (last event time, name) of the last stream of the page before; the time counts only when sorting
        by it.
        """
        name = log_streams.c.name
        last = func.coalesce(log_streams.c.last_event_ms, 0)
        keys = (last, name) if by_last_event else (name,)
        query = select(log_streams).where(log_streams.c.group_id == group.id)
        query = query.order_by(*(key.desc() if descending else key.asc() for key in keys))
        if prefix:
            query = query.where(name >= prefix, name < prefix + _LAST)
        if after is not None:
            beyond_name = name < after[1] if descending else name > after[1]
            if by_last_event:
                beyond_time = last < after[0] if descending else last > after[0]
                query = query.where(or_(beyond_time, and_(last == after[0], beyond_name)))
            else:
                query = query.where(beyond_name)
        if limit is not None:
            query = query.limit(limit)
        return [_stream(row) for row in conn.execute(query)]

    def stream_ids(self, conn: Connection, group: LogGroup, names: Sequence[str]) -> dict[int, str]:
        """The named streams of a group by id. Raises ResourceNotFoundException when one is missing."""
        query = select(log_streams.c.id, log_streams.c.name)
        query = query.where(log_streams.c.group_id == group.id, log_streams.c.name.in_(set(names)))
        found = {row.id: row.name for row in conn.execute(query)}
        if len(found) != len(set(names)):
            raise no_stream()
        return found

    def stream_names(self, conn: Connection, ids: set[int]) -> dict[int, str]:
        """Names of streams by id."""
        query = select(log_streams.c.id, log_streams.c.name).where(log_streams.c.id.in_(ids))
        return {row.id: row.name for row in conn.execute(query)}


def _group(row: Row[Any], size: int = 0) -> LogGroup:
    return LogGroup(
        row.id, row.name, row.created_us, row.retention_days, row.group_class, json.loads(row.tags), int(size)
    )


def _stream(row: Row[Any]) -> LogStream:
    return LogStream(
        id=row.id,
        group_id=row.group_id,
        name=row.name,
        created_us=row.created_us,
        next_sequence=row.next_sequence,
        first_event_ms=row.first_event_ms,
        last_event_ms=row.last_event_ms,
        last_ingestion_ms=row.last_ingestion_ms,
        stored_bytes=row.stored_bytes,
    )
