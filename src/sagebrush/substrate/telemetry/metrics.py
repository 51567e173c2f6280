"""The metric store: putting points and aggregating them by period."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, func, insert, literal_column, select, update

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.telemetry.series import Aggregate, MetricPoint, Series, canonical, digest
from sagebrush.substrate.telemetry.tables import metric_points as points
from sagebrush.substrate.telemetry.tables import metric_series as series

_SECOND_US = 1_000_000


class MetricStore:
    """The metrics of one account and region."""

    def __init__(self, clock: Clock, account: str, region: str):
        self._clock = clock
        self._account = account
        self._region = region

    def _mine(self) -> Any:
        return and_(series.c.account == self._account, series.c.region == self._region)

    def put(
        self,
        tx: Connection,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        timestamp_us: int,
        value: float,
        unit: str | None = None,
    ) -> bool:
        """Add one value, in the caller's transaction.

        Returns False, and stores nothing, for NaN and infinities: CloudWatch has no place for them.
        """
        return self.put_many(tx, namespace, [MetricPoint(name, timestamp_us, value, dimensions, unit)]) == 1

    def put_many(self, tx: Connection, namespace: str, batch: Iterable[MetricPoint]) -> int:
        """Add many points at once; the number stored (those that are not finite are left out)."""
        by_series: dict[tuple[str, str], list[MetricPoint]] = defaultdict(list)
        for point in batch:
            if point.finite():
                by_series[point.name, canonical(point.dimensions)].append(point)
        rows: list[dict[str, Any]] = []
        for (name, dimensions), of_series in by_series.items():
            series_id = self._ensure(tx, namespace, name, dimensions, max(p.timestamp_us for p in of_series))
            for point in of_series:
                samples, total, minimum, maximum = point.statistics()
                row = {"series_id": series_id, "timestamp_us": point.timestamp_us, "unit": point.unit or "None"}
                row |= {"value": point.value, "samples": samples, "total": total}
                rows.append(row | {"minimum": minimum, "maximum": maximum})
        if rows:
            tx.execute(insert(points), rows)
        return len(rows)

    def _ensure(self, tx: Connection, namespace: str, name: str, dimensions: str, last_us: int) -> int:
        identity = {
            "account": self._account,
            "region": self._region,
            "namespace": namespace,
            "name": name,
            "dimensions_hash": digest(dimensions),
        }
        query = select(series.c.id, series.c.last_us).where(
            *(series.c[key] == value for key, value in identity.items())
        )
        row = tx.execute(query).one_or_none()
        if row is None:
            tx.execute(insert(series).values(**identity, dimensions=dimensions, last_us=last_us))
            row = tx.execute(query).one()
        elif row.last_us < last_us:
            tx.execute(update(series).where(series.c.id == row.id).values(last_us=last_us))
        return int(row.id)

    def find(self, conn: Connection, namespace: str, name: str, dimensions: Mapping[str, str]) -> Series | None:
        """The series with exactly these dimensions: CloudWatch never aggregates over dimensions by itself."""
        key = digest(canonical(dimensions))
        query = select(series).where(self._mine(), series.c.namespace == namespace, series.c.name == name)
        row = conn.execute(query.where(series.c.dimensions_hash == key)).one_or_none()
        return None if row is None else _series(row)

    def statistics(
        self,
        conn: Connection,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        *,
        start_us: int,
        end_us: int,
        period_seconds: int,
        unit: str | None = None,
        distribution: bool = False,
    ) -> list[Aggregate]:
        """Aggregates of the points with ``start_us <= time < end_us``, by period and unit, oldest first.

        Periods begin at whole multiples of their length. ``distribution`` adds the single values for percentiles.
        """
        found = self.find(conn, namespace, name, dimensions)
        if found is None:
            return []
        period_us = period_seconds * _SECOND_US
        # A literal, not a parameter: PostgreSQL takes two parameters for two different expressions in GROUP BY.
        bucket = (points.c.timestamp_us // literal_column(str(period_us), BigInteger)).label("bucket")
        condition = and_(
            points.c.series_id == found.id, points.c.timestamp_us >= start_us, points.c.timestamp_us < end_us
        )
        if unit is not None:
            condition = and_(condition, points.c.unit == unit)
        query = select(
            bucket,
            points.c.unit,
            func.sum(points.c.samples).label("samples"),
            func.sum(points.c.total).label("total"),
            func.min(points.c.minimum).label("minimum"),
            func.max(points.c.maximum).label("maximum"),
        )
        query = query.where(condition).group_by(bucket, points.c.unit).order_by(bucket, points.c.unit)
        aggregates = [
            Aggregate(row.bucket * period_us, row.unit, row.samples, row.total, row.minimum, row.maximum)
            for row in conn.execute(query)
        ]
        return self._with_values(conn, aggregates, condition, period_us) if distribution else aggregates

    def _with_values(
        self, conn: Connection, aggregates: list[Aggregate], condition: Any, period_us: int
    ) -> list[Aggregate]:
        values: dict[tuple[int, str], list[tuple[float, float]]] = defaultdict(list)
        unknown: set[tuple[int, str]] = set()
        columns = (points.c.timestamp_us, points.c.unit, points.c.value, points.c.samples)
        for row in conn.execute(select(*columns).where(condition)):
            key = (row.timestamp_us // period_us * period_us, row.unit)
            if row.value is None:
                unknown.add(key)
            else:
                values[key].append((row.value, row.samples))
        # A statistic set hides single values, so a period that holds one has no percentiles.
        known = {key: of_period for key, of_period in values.items() if key not in unknown}
        return [replace(a, distribution=tuple(known.get((a.timestamp_us, a.unit), ()))) for a in aggregates]

    def list_series(
        self,
        conn: Connection,
        *,
        namespace: str | None = None,
        name: str | None = None,
        dimensions: Mapping[str, str | None] | None = None,
        since_us: int | None = None,
        after: int = 0,
        limit: int = 500,
    ) -> list[Series]:
        """Series in the order of their first appearance, beyond the id ``after``.

        ``dimensions`` narrows to series that have each named dimension, with the given value unless it is None.
        """
        query = select(series).where(self._mine()).order_by(series.c.id)
        if namespace is not None:
            query = query.where(series.c.namespace == namespace)
        if name is not None:
            query = query.where(series.c.name == name)
        if since_us is not None:
            query = query.where(series.c.last_us >= since_us)
        found: list[Series] = []
        while len(found) < limit:
            rows = conn.execute(query.where(series.c.id > after).limit(limit)).all()
            found += [s for s in map(_series, rows) if _has(s, dimensions or {})]
            if len(rows) < limit:
                break
            after = rows[-1].id
        return found[:limit]


def _series(row: Any) -> Series:
    return Series(row.namespace, row.name, json.loads(row.dimensions), row.last_us, row.id)


def _has(found: Series, wanted: Mapping[str, str | None]) -> bool:
    return all(name in found.dimensions and value in (None, found.dimensions[name]) for name, value in wanted.items())
