"""Log streams and metric series: what CloudWatch Logs and CloudWatch show, and where the platform itself writes them.

Start with :class:`LogStore` (``append``, ``read``, ``filter``, ``tail``) and :class:`MetricStore` (``put``,
``statistics``). Both work inside the caller's transaction, so that what a writer has handed over and how far it has
read its source are committed together. The AWS operations on top are ``aws/logs`` and ``aws/cloudwatch``.
"""

from __future__ import annotations

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.store import Store
from sagebrush.substrate.telemetry.groups import LogGroup, LogStream
from sagebrush.substrate.telemetry.logs import LogStore
from sagebrush.substrate.telemetry.metrics import MetricStore
from sagebrush.substrate.telemetry.pages import FilteredPage, LogEvent, LogPage
from sagebrush.substrate.telemetry.series import Aggregate, MetricPoint, Series

__all__ = [
    "Aggregate",
    "FilteredPage",
    "LogEvent",
    "LogGroup",
    "LogPage",
    "LogStore",
    "LogStream",
    "MetricPoint",
    "MetricStore",
    "Series",
    "Telemetry",
]


class Telemetry:
    """The log and metric stores of one account and region."""

    def __init__(self, store: Store, clock: Clock, *, account: str = "123456789012", region: str = "us-east-1"):
        self.store = store
        self.clock = clock
        self.account = account
        self.region = region
        self.logs = LogStore(clock, account, region)
        self.metrics = MetricStore(clock, account, region)

    def of(self, account: str, region: str) -> Telemetry:
        """The same stores, seen from another account or region."""
        if (account, region) == (self.account, self.region):
            return self
        return Telemetry(self.store, self.clock, account=account, region=region)
