"""What nobody asks for any more goes; everything else stays."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from sagebrush.server.housekeeping import EVENT_DAYS, Housekeeping
from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.events import read_after
from sagebrush.substrate.resources import insert
from sagebrush.substrate.telemetry import Telemetry
from sagebrush.substrate.telemetry.expiry import METRIC_DAYS
from sagebrush.substrate.telemetry.tables import log_chunks, metric_points
from tests.conftest import Database
from tests.substrate.declared import JOB, call_on, platform_on

DAY_US = 86_400_000_000


def count(table: Any, conn: Connection) -> int:
    return int(conn.execute(select(func.count()).select_from(table)).scalar_one())


def test_old_events_expired_logs_and_ancient_metrics_go_and_the_rest_stays(database: Database) -> None:
    clock = ManualClock()
    store = database.open(clock=clock)
    platform = platform_on(store, clock)
    telemetry = Telemetry(store, clock)

    def fill(name: str) -> None:
        def write(tx: Connection) -> None:
            insert(tx, JOB, call=call_on(platform), name=name, body={})
            for group in ("kept", "expiring"):
                telemetry.logs.append(tx, group, name, [(clock.now_us() // 1000, name)])
            telemetry.metrics.put(tx, "space", "metric", {}, clock.now_us(), 1.0)

        store.write(write)

    fill("old")
    store.write(lambda tx: telemetry.logs.set_retention(tx, "expiring", 7))
    clock.advance((METRIC_DAYS + 1) * 86_400)
    fill("new")
    keeper = Housekeeping(platform)
    assert keeper.tidy() == 3
    assert keeper.tidy() == 0
    names = [event.detail["TrainingJobName"] for event in store.read(lambda conn: read_after(conn, 0, 10))]
    assert names == ["new"]
    assert store.read(lambda conn: (count(log_chunks, conn), count(metric_points, conn))) == (3, 1)
    assert EVENT_DAYS < METRIC_DAYS
    store.close()
