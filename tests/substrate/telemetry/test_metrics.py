"""The metric store: aggregates by period, unit and exact dimensions."""

from __future__ import annotations

from typing import Any

import pytest

from sagebrush.substrate.telemetry import Aggregate, MetricPoint, Telemetry

START = 1_700_000_040_000_000
MINUTE = 60_000_000


def put(telemetry: Telemetry, *values: tuple[float, float], name: str = "auc", **dimensions: str) -> list[bool]:
    """Put (seconds after START, value) pairs."""
    return telemetry.store.write(
        lambda tx: [
            telemetry.metrics.put(tx, "ns", name, dimensions, START + int(at * 1e6), value) for at, value in values
        ]
    )


def statistics(telemetry: Telemetry, dimensions: dict[str, str], **asked: Any) -> list[Aggregate]:
    asked = {"start_us": START, "end_us": START + 60 * MINUTE, "period_seconds": 60} | asked
    return telemetry.store.read(lambda conn: telemetry.metrics.statistics(conn, "ns", "auc", dimensions, **asked))


def test_points_are_aggregated_by_whole_periods(telemetry: Telemetry) -> None:
    put(telemetry, (0, 1.0), (30, 3.0), (60, 10.0), (119.9, 20.0), (180, 5.0), job="j")
    found = statistics(telemetry, {"job": "j"})
    assert [(a.timestamp_us, a.samples, a.total, a.minimum, a.maximum) for a in found] == [
        (START, 2, 4.0, 1.0, 3.0),
        (START + MINUTE, 2, 30.0, 10.0, 20.0),
        (START + 3 * MINUTE, 1, 5.0, 5.0, 5.0),
    ]


def test_the_range_includes_its_start_and_excludes_its_end(telemetry: Telemetry) -> None:
    put(telemetry, (0, 1.0), (60, 2.0), (120, 3.0))
    found = statistics(telemetry, {}, start_us=START + MINUTE, end_us=START + 2 * MINUTE)
    assert [a.total for a in found] == [2.0]


def test_dimensions_match_only_as_a_whole_and_in_any_order(telemetry: Telemetry) -> None:
    put(telemetry, (0, 1.0), a="1", b="2")
    assert statistics(telemetry, {"a": "1"}) == []
    assert len(statistics(telemetry, {"b": "2", "a": "1"})) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_left_out_and_said_so(telemetry: Telemetry, value: float) -> None:
    assert put(telemetry, (0, value), (1, 2.0)) == [False, True]
    assert [a.samples for a in statistics(telemetry, {})] == [1]


def test_percentiles_count_samples_and_are_unknown_for_statistic_sets(telemetry: Telemetry) -> None:
    put(telemetry, *((n / 10, float(n)) for n in range(1, 101)))
    (found,) = statistics(telemetry, {}, distribution=True)
    assert (found.percentile(50), found.percentile(99), found.percentile(100)) == (50.0, 99.0, 100.0)
    point = MetricPoint("auc", START, None, samples=3, total=6.0, minimum=1.0, maximum=3.0)
    telemetry.store.write(lambda tx: telemetry.metrics.put_many(tx, "ns", [point]))
    (found,) = statistics(telemetry, {}, distribution=True)
    assert found.percentile(50) is None
    assert (found.samples, found.total) == (103, 5056.0)


def test_units_are_kept_apart(telemetry: Telemetry) -> None:
    points = [MetricPoint("auc", START, 1.0, unit="Seconds"), MetricPoint("auc", START, 2.0, unit="Bytes")]
    telemetry.store.write(lambda tx: telemetry.metrics.put_many(tx, "ns", points))
    assert [a.unit for a in statistics(telemetry, {})] == ["Bytes", "Seconds"]
    assert [a.total for a in statistics(telemetry, {}, unit="Seconds")] == [1.0]


def test_series_are_listed_by_name_and_dimensions_in_pages(telemetry: Telemetry) -> None:
    for n in range(25):
        put(telemetry, (n, 1.0), name="loss" if n % 2 else "auc", job=f"j{n}")
    found: list[str] = []
    after = 0
    while True:
        page = telemetry.store.read(
            lambda conn, at=after: telemetry.metrics.list_series(conn, name="auc", after=at, limit=5)  # type: ignore[misc]
        )
        found += [series.dimensions["job"] for series in page]
        if len(page) < 5:
            break
        after = page[-1].id
    assert found == [f"j{n}" for n in range(0, 25, 2)]
    (only,) = telemetry.store.read(lambda conn: telemetry.metrics.list_series(conn, dimensions={"job": "j3"}))
    assert (only.name, only.namespace) == ("loss", "ns")
    assert telemetry.store.read(lambda conn: telemetry.metrics.list_series(conn, dimensions={"host": None})) == []
