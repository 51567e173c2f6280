"""Removing what is not kept any longer: log events beyond their group's retention, metrics beyond CloudWatch's.

Readers hide expired events at once; their chunks go when the last event in them has expired.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, select, tuple_

from sagebrush.substrate.telemetry.tables import log_chunks, log_groups, metric_points

_DAY_MS: Final = 86_400_000
#: CloudWatch keeps metrics for 15 months (source: "Metrics retention", CloudWatch User Guide).
METRIC_DAYS: Final = 455


def expire(tx: Connection, now_us: int, *, most: int = 500) -> int:
    """Remove up to ``most`` log chunks and as many metric points; how many went, 0 when nothing is left to remove."""
    return _expire_logs(tx, now_us // 1000, most) + _expire_metrics(tx, now_us, most)


def _expire_logs(tx: Connection, now_ms: int, most: int) -> int:
    c = log_chunks.c
    kept = select(log_groups.c.id, log_groups.c.retention_days).where(log_groups.c.retention_days.is_not(None))
    removed = 0
    for group_id, days in tx.execute(kept).all():
        over = (c.group_id == group_id) & (c.max_ms < now_ms - days * _DAY_MS)
        chunks = tx.execute(select(c.stream_id, c.first_sequence).where(over).limit(most - removed)).all()
        if chunks:
            tx.execute(delete(log_chunks).where(tuple_(c.stream_id, c.first_sequence).in_([tuple(k) for k in chunks])))
        removed += len(chunks)
        if removed >= most:
            break
    return removed


def _expire_metrics(tx: Connection, now_us: int, most: int) -> int:
    # Points are numbered as they are put: the oldest come first, so only those are looked at.
    c = metric_points.c
    oldest = tx.execute(select(c.id, c.timestamp_us).order_by(c.id).limit(most)).all()
    until = now_us - METRIC_DAYS * _DAY_MS * 1000
    over = [point.id for point in oldest if point.timestamp_us < until]
    if over:
        tx.execute(delete(metric_points).where(c.id.in_(over)))
    return len(over)
