"""ListMetrics."""

from __future__ import annotations

from typing import Any

from sagebrush.aws.cloudwatch import rules
from sagebrush.substrate.calls import Call
from sagebrush.substrate.telemetry import tokens

PAGE = 500
_RECENT_US = 3 * 3600 * 1_000_000


def list_metrics(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Series by namespace, name and dimensions, 500 to a page."""
    namespace, name = request.get("Namespace"), request.get("MetricName")
    dimensions = {d["Name"]: d.get("Value") for d in request.get("Dimensions", [])}
    recent = request.get("RecentlyActive") is not None
    bound_to: dict[str, Any] = {"operation": call.operation, "account": call.account, "namespace": namespace}
    bound_to |= {"name": name, "dimensions": dimensions, "recent": recent}
    after = 0
    if "NextToken" in request:
        try:
            (after,) = tokens.unseal(bound_to, request["NextToken"])
        except ValueError:
            raise rules.invalid_value("Invalid NextToken") from None
    store = rules.store(call)
    since_us = call.platform.clock.now_us() - _RECENT_US if recent else None
    found = call.platform.store.read(
        lambda conn: store.list_series(
            conn,
            namespace=namespace,
            name=name,
            dimensions=dimensions,
            since_us=since_us,
            after=after,
            limit=PAGE + 1,
        )
    )
    result: dict[str, Any] = {
        "Metrics": [
            {
                "Namespace": s.namespace,
                "MetricName": s.name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in s.dimensions.items()],
            }
            for s in found[:PAGE]
        ]
    }
    if len(found) > PAGE:
        result["NextToken"] = tokens.seal(bound_to, [found[PAGE - 1].id])
    return result
