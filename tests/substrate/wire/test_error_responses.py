"""Errors as botocore's clients of each protocol understand them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.parsers import create_parser

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.http import HttpRequest
from tests.substrate.wire.requests import response_dict
from tests.substrate.wire.services import engine


def answered(service: str, error: CallerError, protocol: str | None = None, method: str = "POST") -> tuple[Any, Any]:
    headers = {"smithy-protocol": "rpc-v2-cbor"} if protocol == "smithy-rpc-v2-cbor" else {}
    if protocol == "query":
        headers = {"content-type": "application/x-www-form-urlencoded"}
    request = HttpRequest(method, "/", "", headers)
    response = engine().serialize_error(service, None, error, "the-id", request=request)
    parsed = create_parser(protocol or engine().service(service).protocol).parse(response_dict(response), None)
    return response, parsed


@pytest.mark.parametrize(
    ("service", "protocol", "content_type"),
    [
        ("sagemaker", "json", "application/x-amz-json-1.1"),
        ("logs", "json", "application/x-amz-json-1.1"),
        ("cloudwatch", "json", "application/x-amz-json-1.0"),
        ("sqs", "json", "application/x-amz-json-1.0"),
        ("cloudwatch", "query", "text/xml"),
        ("cloudwatch", "smithy-rpc-v2-cbor", "application/cbor"),
        ("sagemaker-runtime", "rest-json", "application/json"),
        ("iam", "query", "text/xml"),
        ("s3", "rest-xml", "application/xml"),
    ],
)
def test_each_protocol_carries_code_message_and_request_id(service: str, protocol: str, content_type: str) -> None:
    error = CallerError("SomethingWrong", "It is <wrong> & 'schlecht' ü", status=409)
    response, parsed = answered(service, error, protocol)
    assert parsed["Error"]["Code"] == "SomethingWrong"
    assert parsed["Error"]["Message"] == error.message
    assert parsed["ResponseMetadata"]["RequestId"] == "the-id"
    assert (response.status, response.headers["content-type"]) == (409, content_type)


def test_rest_json_names_the_error_in_a_header() -> None:
    response, _ = answered("sagemaker-runtime", CallerError("ModelError", "boom"))
    assert response.headers["x-amzn-errortype"] == "ModelError"
    assert response.status == 424


def test_members_of_a_modelled_error_travel_with_it() -> None:
    error = CallerError("ModelError", "boom", members={"OriginalStatusCode": 500, "OriginalMessage": "trace", "Odd": 1})
    response, _ = answered("sagemaker-runtime", error)
    shape = engine().service("sagemaker-runtime").error_shape("ModelError")
    parsed = create_parser("rest-json").parse(response_dict(response), shape)
    assert parsed == {"Message": "boom", "OriginalStatusCode": 500, "OriginalMessage": "trace"}


def test_the_message_stands_under_the_name_that_the_model_gives_it() -> None:
    response, _ = answered("sagemaker", CallerError("ResourceNotFound", "gone"))
    assert response.body == b'{"__type":"ResourceNotFound","Message":"gone"}'
    response, _ = answered("sagemaker", CallerError("ValidationException", "bad"))
    assert response.body == b'{"__type":"ValidationException","message":"bad"}'


def test_query_services_use_the_modelled_status_and_name_the_fault() -> None:
    response, parsed = answered("iam", CallerError("NoSuchEntity", "none"))
    assert response.status == 404
    assert parsed["Error"]["Type"] == "Sender"
    response, parsed = answered("iam", CallerError("InternalFailure", "ours", status=500))
    assert (response.status, parsed["Error"]["Type"]) == (500, "Receiver")


def test_services_that_once_spoke_query_send_its_code_along() -> None:
    response, parsed = answered("cloudwatch", CallerError("DashboardNotFoundError", "no dashboard"))
    assert response.headers["x-amzn-query-error"] == "ResourceNotFound;Sender"
    assert parsed["Error"]["Code"] == "ResourceNotFound"
    assert parsed["Error"]["QueryErrorCode"] == "DashboardNotFoundError"


def test_s3_errors_carry_their_members_and_both_ids() -> None:
    error = CallerError("NoSuchKey", "The specified key does not exist.", status=404, members={"Key": "a<b"})
    response, parsed = answered("s3", error)
    assert parsed["Error"] == {"Code": "NoSuchKey", "Message": "The specified key does not exist.", "Key": "a<b"}
    assert parsed["ResponseMetadata"]["HostId"] == "the-id"
    assert b"<RequestId>the-id</RequestId><HostId>the-id</HostId></Error>" in response.body


def test_an_answer_to_head_has_no_body() -> None:
    response, parsed = answered("s3", CallerError("NoSuchKey", "gone", status=404), method="HEAD")
    assert response.body == b""
    assert (parsed["Error"]["Code"], parsed["Error"]["Message"]) == ("404", "Not Found")


def test_nothing_a_message_holds_breaks_out_of_a_header() -> None:
    response, _ = answered("sagemaker-runtime", CallerError("Bad\r\nSet-Cookie: a=b", "x"))
    assert "\n" not in "".join(response.headers.values())
