"""CloudWatch Logs: groups, streams and events over ``substrate/telemetry``.

``groups.py`` and ``streams.py`` hold the verbs of the two nouns, ``events.py`` writing and reading, ``patterns.py``
the filter patterns of FilterLogEvents, ``names.py`` names and ARNs.
"""

from sagebrush.aws.logs import events, groups, names, streams
from sagebrush.substrate.calls import Capability, Service

_GROUP_OPERATIONS = (
    "CreateLogGroup",
    "CreateLogStream",
    "DeleteLogGroup",
    "DeleteRetentionPolicy",
    "DescribeLogStreams",
    "FilterLogEvents",
    "PutRetentionPolicy",
)
_STREAM_OPERATIONS = ("DeleteLogStream", "GetLogEvents", "PutLogEvents")
_TAG_OPERATIONS = ("ListTagsForResource", "TagResource", "UntagResource")

CAPABILITY = Capability(
    name="logs",
    services=(
        Service(
            name="logs",
            iam_prefix="logs",
            operations={
                "CreateLogGroup": groups.create_log_group,
                "CreateLogStream": streams.create_log_stream,
                "DeleteLogGroup": groups.delete_log_group,
                "DeleteLogStream": streams.delete_log_stream,
                "DeleteRetentionPolicy": groups.delete_retention_policy,
                "DescribeLogGroups": groups.describe_log_groups,
                "DescribeLogStreams": streams.describe_log_streams,
                "FilterLogEvents": events.filter_log_events,
                "GetLogEvents": events.get_log_events,
                "ListTagsForResource": groups.list_tags_for_resource,
                "PutLogEvents": events.put_log_events,
                "PutRetentionPolicy": groups.put_retention_policy,
                "TagResource": groups.tag_resource,
                "UntagResource": groups.untag_resource,
            },
            resource_arns={
                "DescribeLogGroups": names.all_groups,
                **dict.fromkeys(_GROUP_OPERATIONS, names.group_arns),
                **dict.fromkeys(_STREAM_OPERATIONS, names.stream_arns),
                **dict.fromkeys(_TAG_OPERATIONS, names.tagged_arns),
            },
        ),
    ),
)
