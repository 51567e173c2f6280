"""Durations and deadlines. All times are microseconds UTC, all durations whole seconds as SageMaker reports them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SECOND_US = 1_000_000
#: "The default value is 1 day. The maximum value is 28 days." (StoppingCondition, API Reference)
DEFAULT_MAX_RUNTIME = 86_400
LONGEST_MAX_RUNTIME = 28 * 86_400


def seconds_between(start_us: int, end_us: int) -> int:
    """Elapsed seconds, begun ones counted whole; at least 1, as the API's shape demands."""
    return max(1, -(-(end_us - start_us) // _SECOND_US))


def runtime_deadline_us(stopping_condition: Mapping[str, Any], first_started_us: int) -> int:
    """When MaxRuntimeInSeconds is over; it bounds all attempts of a job together."""
    seconds = int(stopping_condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME))
    return first_started_us + seconds * _SECOND_US


def wait_deadline_us(stopping_condition: Mapping[str, Any], created_us: int) -> int | None:
    """When MaxWaitTimeInSeconds (waiting and running together) is over; None where it is not set."""
    seconds = stopping_condition.get("MaxWaitTimeInSeconds")
    return None if seconds is None else created_us + int(seconds) * _SECOND_US
