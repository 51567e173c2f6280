"""botocore's own protocol cases, run from the server's side: its inputs are our requests, its outputs our results."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.parsers import create_parser

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.http import HttpRequest
from tests.substrate.wire.cases import (
    NOT_FOR_SERVERS_INPUT,
    NOT_FOR_SERVERS_OUTPUT,
    case_engine,
    comparable,
    meant,
)
from tests.substrate.wire.requests import response_dict

Load = Callable[[str, str], list[Any]]

#: File of cases -> (input cases, output cases) in it; ec2 is the one protocol that no served service speaks.
FILES = {
    "query": (38, 38),
    "json": (54, 58),
    "json_1_0": (21, 32),
    "json_1_0-query-compatible": (1, 2),
    "rest-json": (113, 91),
    "rest-xml": (94, 78),
    "smithy-rpc-v2-cbor": (15, 35),
    "smithy-rpc-v2-cbor-query-compatible": (1, 2),
    "smithy-rpc-v2-cbor-non-query-compatible": (1, 0),
}

_SCOPE = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize("file", FILES)
def test_requests_of_the_input_cases_are_read_as_they_were_meant(file: str, protocol_cases: Load) -> None:
    wrong, count = [], 0
    for suite in protocol_cases("input", file):
        for case in suite["cases"]:
            count += 1
            if case["id"] in NOT_FOR_SERVERS_INPUT:
                continue
            engine = case_engine(suite, case)
            request = _request(case["serialized"], engine.service("test").signing_name, file)
            try:
                parsed = engine.route(request).parse(request)
            except CallerError as error:
                wrong.append((case["id"], str(error)))
                continue
            shape = engine.input_shape("test", case["given"]["name"])
            expected = meant(shape, case["params"])
            if _without_query_maps(shape, parsed) != _without_query_maps(shape, expected):
                wrong.append((case["id"], f"{parsed} != {expected}"))
    assert wrong == []
    assert count == FILES[file][0]


@pytest.mark.parametrize("file", FILES)
def test_results_of_the_output_cases_are_understood_by_botocore(file: str, protocol_cases: Load) -> None:
    wrong, count = [], 0
    for suite in protocol_cases("output", file):
        for case in suite["cases"]:
            count += 1
            if case["id"] in NOT_FOR_SERVERS_OUTPUT:
                continue
            actual, expected = _answer(suite, case)
            if comparable(actual) != comparable(expected):
                wrong.append((case["id"], f"{actual} != {expected}"))
    assert wrong == []
    assert count == FILES[file][1]


def test_every_case_said_not_to_apply_exists(protocol_cases: Load) -> None:
    for direction, table in [("input", NOT_FOR_SERVERS_INPUT), ("output", NOT_FOR_SERVERS_OUTPUT)]:
        ids = {case["id"] for file in FILES for suite in protocol_cases(direction, file) for case in suite["cases"]}
        assert set(table) <= ids


def _request(serialized: dict[str, Any], signing_name: str, file: str) -> HttpRequest:
    url = urlsplit(serialized["uri"])
    body = serialized.get("body", "").encode()
    headers = {name.lower(): value for name, value in serialized.get("headers", {}).items()}
    headers["host"] = "127.0.0.1:4600"
    headers["authorization"] = _SCOPE.format(signing_name)
    if "cbor" in file:
        body = base64.b64decode(body)
    return HttpRequest(serialized.get("method", "POST"), url.path, url.query, headers, body)


def _without_query_maps(shape: Any, value: dict[str, Any]) -> Any:
    """A server puts every query field into a map of query fields; the cases say this in one protocol and not in others.

    So fields that a member is bound to are taken out on both sides.
    """
    if shape is None:
        return comparable(value)
    members = shape.members
    bound = {members[name].serialization.get("name", name) for name in members}
    result = dict(value)
    for name, member in members.items():
        if member.type_name == "map" and member.serialization.get("location") == "querystring" and name in result:
            result[name] = {key: item for key, item in result[name].items() if key not in bound}
            if not result[name]:
                del result[name]
    return comparable(result)


def _answer(suite: dict[str, Any], case: dict[str, Any]) -> tuple[Any, Any]:
    """(what botocore makes of our answer, what the case wants it to make)."""
    engine = case_engine(suite, case)
    name = case["given"]["name"]
    service = engine.service("test")
    parser = create_parser(service.protocol)
    if "error" in case:
        return _error_answer(engine, case, parser)
    shape = engine.output_shape("test", name)
    result = meant(shape, case["result"]) if shape is not None else {}
    response = response_dict(engine.serialize("test", name, result, "the-id"))
    if response["status_code"] != case["response"].get("status_code", 200):
        return response["status_code"], case["response"]["status_code"]
    if service.operation(name).has_streaming_output:
        response["body"] = io.BytesIO(response["body"])
    parsed = parser.parse(response, shape) or {}
    parsed.pop("ResponseMetadata", None)
    for key, value in parsed.items():
        if isinstance(value, io.BytesIO):
            parsed[key] = value.read()
    expected = result if shape is not None else case["result"]
    # Absent header maps and payloads are made up empty by botocore.
    parsed = {key: value for key, value in parsed.items() if value not in ({}, b"", "") or key in expected}
    return parsed, expected


def _error_answer(engine: Any, case: dict[str, Any], parser: Any) -> tuple[Any, Any]:
    code = case["errorCode"]
    shape = engine.service("test").error_shape(code)
    members = meant(shape, case["error"]) if shape is not None else case["error"]
    text = case.get("errorMessage") or members.get("message") or members.get("Message") or ""
    further = {key: value for key, value in members.items() if key.lower() != "message"}
    error = CallerError(code, text, members=further)
    response = response_dict(engine.serialize_error("test", case["given"]["name"], error, "the-id"))
    parsed = parser.parse(response, None)
    answer = {"Code": parsed["Error"]["Code"], "Message": parsed["Error"]["Message"] or ""}
    modelled = parser.parse(response, shape) if shape is not None else {}
    modelled.pop("ResponseMetadata", None)
    own = {key: value for key, value in modelled.items() if key.lower() != "message"}
    return {**answer, "members": own}, {"Code": code, "Message": text, "members": further}
