"""Conditions on the caller's address look at the connection, not at what a client claims."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.journeys.running import RunningPlatform

pytestmark = pytest.mark.journey


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Sagebrush-Source-Ip"])
def test_a_header_does_not_change_where_a_caller_is(platform: RunningPlatform, header: str) -> None:
    iam, name = platform.client("iam"), f"elsewhere-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    allowed = {"Effect": "Allow", "Action": ["s3:*", "sagemaker:*"], "Resource": "*"}
    allowed["Condition"] = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="from-elsewhere", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")

    def claim(request: Any, **_: Any) -> None:
        request.headers[header] = "203.0.113.7"

    for service, operation in (("s3", "list_buckets"), ("sagemaker", "list_training_jobs")):
        client = session.client(service, endpoint_url=platform.endpoint_url)
        client.meta.events.register("before-send", claim)
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)()
        assert caught.value.response["Error"]["Code"].startswith("AccessDenied")
