"""Every operation of every served service, there and back, with botocore as the client."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.parsers import create_parser

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.wire.engine import Routed
from tests.substrate.wire.requests import botocore_request, response_dict
from tests.substrate.wire.sampling import sample
from tests.substrate.wire.services import SERVED, engine

#: Operations that share method and path with their successor, which must win.
SUCCESSORS = {
    ("s3", "GetBucketLifecycle"): "GetBucketLifecycleConfiguration",
    ("s3", "PutBucketLifecycle"): "PutBucketLifecycleConfiguration",
    ("s3", "GetBucketNotification"): "GetBucketNotificationConfiguration",
    ("s3", "PutBucketNotification"): "PutBucketNotificationConfiguration",
}

#: AWS tells it from ListBuckets by the host name, s3express-control; here only its own query field does.
BY_HOST = {("s3", "ListDirectoryBuckets")}

#: Empty structures cannot be written in the query protocol, so a required one is missing when all of it is optional.
UNWRITABLE = {("sts", "AssumeRoot"), ("iam", "CreateDelegationRequest")}

#: Their answers are event streams, which no complete response can be.
EVENT_STREAMS = {
    ("sagemaker-runtime", "InvokeEndpointWithResponseStream"),
    ("lambda", "InvokeWithResponseStream"),
    ("logs", "GetLogObject"),
    ("logs", "StartLiveTail"),
    ("s3", "SelectObjectContent"),
}

#: botocore reads the text of the root in a handler of its client, not in its parser; tested on its own below.
BARE_TEXT = {("s3", "GetBucketLocation")}

#: Two members of the (deprecated) output share one element name, so botocore reads one of them twice.
AMBIGUOUS = {("s3", "GetBucketNotification")}

PROTOCOLS = [(name, protocol) for name in SERVED for protocol in engine().service(name).protocols]


def _operations(service: str) -> list[Any]:
    found = engine().service(service)
    return [found.operation(name) for name in sorted(found.operation_names)]


@pytest.mark.parametrize(("service", "protocol"), PROTOCOLS)
@pytest.mark.parametrize("everything", [True, False], ids=["every-member", "required-members"])
def test_what_botocore_sends_is_routed_and_read_as_it_was_meant(service: str, protocol: str, everything: bool) -> None:
    model = engine().service(service).model
    wrong = []
    for operation in _operations(service):
        params = sample(operation.input_shape, everything=everything) if operation.input_shape else {}
        request = botocore_request(model, operation, params, protocol)
        routed = engine().route(request)
        expected = SUCCESSORS.get((service, operation.name), operation.name)
        if (service, operation.name) in BY_HOST and not everything:
            expected = "ListBuckets"
        if (routed.service, routed.operation, routed.protocol) != (service, expected, protocol):
            wrong.append((operation.name, "routed to", routed))
            continue
        if not everything and protocol == "query" and (service, operation.name) in UNWRITABLE:
            continue
        if expected != operation.name:
            continue
        parsed = routed.parse(request)
        if not everything and protocol == "rest-json" and operation.input_shape is not None:
            # botocore writes an absent structure payload as {}, which is an empty structure.
            payload = operation.input_shape.serialization.get("payload")
            parsed = {name: value for name, value in parsed.items() if name != payload or value or name in params}
        if parsed != params:
            wrong.append((operation.name, parsed, params))
    assert wrong == []


@pytest.mark.parametrize(("service", "protocol"), PROTOCOLS)
@pytest.mark.parametrize("everything", [True, False], ids=["every-member", "required-members"])
def test_what_is_answered_is_read_by_botocore_as_it_was_meant(service: str, protocol: str, everything: bool) -> None:
    parser = create_parser(protocol)
    wrong = []
    for operation in _operations(service):
        if (service, operation.name) in EVENT_STREAMS | BARE_TEXT | AMBIGUOUS:
            continue
        shape = operation.output_shape
        result = sample(shape, everything=everything) if shape else {}
        routed = Routed(service, operation.name, protocol, None, None)  # type: ignore[arg-type]
        response = response_dict(engine().serialize(service, operation.name, result, "the-id", routed))
        if operation.has_streaming_output:
            response["body"] = io.BytesIO(response["body"])
        parsed = parser.parse(response, shape)
        metadata = parsed.pop("ResponseMetadata")
        if metadata.get("RequestId") != "the-id" and protocol != "smithy-rpc-v2-cbor":
            wrong.append((operation.name, metadata))
        for name, value in parsed.items():
            if isinstance(value, io.BytesIO):
                parsed[name] = value.read()
        if not everything:
            parsed = {name: item for name, item in parsed.items() if name in result or _is_there(shape, name, item)}
        if parsed != result:
            wrong.append((operation.name, parsed, result))
    assert wrong == []


def _is_there(shape: Any, name: str, value: Any) -> bool:
    """Whether a member came from the result: payloads and header maps are made up empty, and every answer has these."""
    serialization = shape.members[name].serialization
    always = serialization.get("location") == "statusCode" or serialization.get("name", "").lower() == "content-type"
    return bool(value) and not always


def test_every_exception_to_the_round_trips_is_an_operation_that_exists() -> None:
    for service, operation in {*SUCCESSORS, *BY_HOST, *UNWRITABLE, *EVENT_STREAMS, *BARE_TEXT, *AMBIGUOUS}:
        assert operation in engine().service(service).operation_names


@pytest.mark.parametrize(("service", "operation"), sorted(EVENT_STREAMS))
def test_an_event_stream_is_refused_as_a_complete_response(service: str, operation: str) -> None:
    with pytest.raises(Fault, match="event stream"):
        engine().serialize(service, operation, {}, "the-id")


def test_get_bucket_location_is_the_text_of_its_root() -> None:
    there = engine().serialize("s3", "GetBucketLocation", {"LocationConstraint": "eu-west-1"}, "the-id")
    here = engine().serialize("s3", "GetBucketLocation", {}, "the-id")
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    assert there.body.endswith(f'<LocationConstraint xmlns="{namespace}">eu-west-1</LocationConstraint>'.encode())
    assert here.body.endswith(f'<LocationConstraint xmlns="{namespace}"></LocationConstraint>'.encode())


def test_empty_lists_are_written_and_absent_ones_are_not() -> None:
    assert engine().serialize("sagemaker", "ListTags", {"Tags": []}, "the-id").body == b'{"Tags":[]}'
    assert engine().serialize("sagemaker", "ListTags", {}, "the-id").body == b"{}"
    assert b"<Buckets></Buckets>" in engine().serialize("s3", "ListBuckets", {"Buckets": []}, "the-id").body


def test_strict_engine_refuses_results_that_the_output_shape_does_not_allow() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-job/a"
    for result, words in [
        ({"TrainingJobArn": arn, "Extra": 1}, "Extra is unknown"),
        ({}, "'trainingJobArn' failed to satisfy constraint: Member must not be null"),
        ({"TrainingJobArn": None}, "is None; leave it out"),
        ({"TrainingJobArn": 7}, "is int, not string"),
    ]:
        with pytest.raises(Fault, match=words):
            engine().serialize("sagemaker", "CreateTrainingJob", result, "the-id")
