"""DescribeTrainingJob."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import fetch, transitions_of
from sagebrush.training import tables
from sagebrush.training.model import description
from sagebrush.training.resources import TRAINING_JOB


def describe_training_job(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The job as it stands, with the last value of each metric so far. Raises ValidationException when missing."""

    def look(conn: Connection) -> dict[str, Any]:
        row = fetch(conn, TRAINING_JOB, call.account, call.region, request["TrainingJobName"])
        shown = description.describe(row, transitions_of(conn, row.id))
        if "metrics" not in row.body and (live := tables.metrics_of(conn, row.id)):
            shown["FinalMetricDataList"] = description.final_metrics(live)
        return shown

    return call.platform.store.read(look)
