"""CloudWatch metrics over ``substrate/telemetry``.

``put.py`` takes metric data, ``statistics.py`` answers GetMetricStatistics and GetMetricData, ``listing.py``
ListMetrics; ``rules.py`` holds names, dimensions and the errors.
"""

from sagebrush.aws.cloudwatch import listing, put, statistics
from sagebrush.substrate.calls import Capability, Service

CAPABILITY = Capability(
    name="cloudwatch",
    services=(
        Service(
            name="cloudwatch",
            iam_prefix="cloudwatch",
            condition_keys=put.condition_keys,
            operations={
                "GetMetricData": statistics.get_metric_data,
                "GetMetricStatistics": statistics.get_metric_statistics,
                "ListMetrics": listing.list_metrics,
                "PutMetricData": put.put_metric_data,
            },
        ),
    ),
)
