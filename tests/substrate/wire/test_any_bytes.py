"""Whatever arrives, the engine answers with a dictionary or a CallerError, and a CallerError can always be told."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from botocore.model import Shape
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import json_explain, validate
from sagebrush.substrate.wire.chunked import ChunkDecoder
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.json_reader import JsonReader, Rejected
from sagebrush.substrate.wire.sigv4 import STREAMING_UNSIGNED_TRAILER, Verified
from tests.substrate.wire.services import SERVED, engine
from tests.substrate.wire.signing import verify

#: The first request of a service loads its model, which takes longer than hypothesis allows an example.
FUZZ = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck), derandomize=True)

TARGETS = st.sampled_from(
    ["SageMaker.CreateTrainingJob", "SageMaker.Search", "SageMaker.", ".", "", "Logs_20140328.PutLogEvents", "x.y"]
)
SCOPES = st.sampled_from(["s3", "sagemaker", "iam", "sts", "lambda", "scheduler", "monitoring", "unheard-of", ""])
LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
PATHS = st.one_of(
    LATIN.map(lambda text: "/" + text),
    st.sampled_from(
        ["/", "/b", "/b/k", "/FeatureGroup/g", "/BatchGetRecord", "/2015-03-31/functions", "/service/x/operation/y"]
    ),
)
QUERIES = st.one_of(
    LATIN, st.sampled_from(["list-type=2&max-keys=x", "uploads", "delete", "tagging", "Action=GetUser"])
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["content-type", "content-encoding", "x-amz-date", "x-amz-content-sha256", "smithy-protocol", "x-amz-acl",
         "x-amz-copy-source-if-modified-since", "x-amz-tagging-count", "x-amz-meta-a", "host", "date", "authorization"]
    ),
    st.one_of(LATIN, st.sampled_from(["gzip", "rpc-v2-cbor", "application/x-www-form-urlencoded"])),
    max_size=5,
)  # fmt: skip
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=10), inner, max_size=3)),
    max_leaves=10,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.text(max_size=40).map(
        lambda text: f"<Delete><Object><Key>{text}</Key></Object></Delete>".encode("utf-8", "replace")
    ),
    LATIN.map(lambda text: f"Action=CreateRole&Version=2010-05-08&Tags.member.1.{text}=v&{text}".encode("latin-1")),
)


def answered(request: HttpRequest) -> None:
    try:
        parsed = engine().route(request).parse(request)
    except CallerError as error:
        response = engine().serialize_error(None, None, error, "the-id", request=request)
        assert 400 <= response.status < 600
        assert all(value.isprintable() for value in response.headers.values())
    else:
        assert isinstance(parsed, dict)


@FUZZ
@given(st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "X"]), PATHS, QUERIES, HEADERS, SCOPES, BODIES)
def test_any_request_is_parsed_or_refused(
    method: str, path: str, query: str, headers: dict[str, str], scope: str, body: bytes
) -> None:
    credential = (
        f"AWS4-HMAC-SHA256 Credential=A/20260102/us-east-1/{scope}/aws4_request, SignedHeaders=host, Signature=0"
    )
    answered(HttpRequest(method, path, query, {"authorization": credential, **headers}, body))


@FUZZ
@given(TARGETS, BODIES)
def test_any_body_of_a_json_operation_is_parsed_or_refused(target: str, body: bytes) -> None:
    answered(HttpRequest("POST", "/", "", {"x-amz-target": target}, body))


@FUZZ
@given(st.binary(max_size=100))
@example(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\x81" * 1000)
@example(b"\xc1\x1b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\xc1\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00")
def test_any_cbor_body_is_parsed_or_refused(body: bytes) -> None:
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    answered(HttpRequest("POST", path, "", {"smithy-protocol": "rpc-v2-cbor"}, body))


@FUZZ
@given(PATHS, QUERIES, HEADERS)
def test_any_signature_is_verified_or_refused(path: str, query: str, headers: dict[str, str]) -> None:
    for fields in (query, f"AWSAccessKeyId=A&{query}", f"X-Amz-Credential={query}", f"X-Amz-Algorithm={query}"):
        with pytest.raises(CallerError) as caught:
            verify(HttpRequest("GET", path, fields, headers))
        assert caught.value.status in (400, 403)


@FUZZ
@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([b"3\r\nabc\r\n", b"0\r\n\r\n", b"5\r\n", b"\r\n"]))))
def test_any_chunks_are_decoded_or_refused(pieces: list[bytes]) -> None:
    decoder = ChunkDecoder(Verified("p", "a", STREAMING_UNSIGNED_TRAILER))
    data = b""
    with contextlib.suppress(CallerError):
        for piece in pieces:
            data += decoder.feed(piece)
        decoder.close()
    assert len(data) <= sum(map(len, pieces))


def _of_shape(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """JSON values that nearly fit a shape, so that the readers get past the first member."""
    kind = shape.type_name
    if depth > 4:
        return JSON
    if kind == "structure":
        members = {
            member.serialization.get("name", name): _of_shape(member, depth + 1)
            for name, member in list(shape.members.items())[:8]
        }
        return st.fixed_dictionaries({}, optional=members)
    if kind == "list":
        return st.lists(_of_shape(shape.member, depth + 1), max_size=3)
    if kind == "map":
        return st.dictionaries(st.text(max_size=5), _of_shape(shape.value, depth + 1), max_size=3)
    fitting = {
        "string": st.one_of(st.sampled_from(shape.enum), st.text(max_size=5)) if kind == "string" and shape.enum
        else st.text(max_size=8),
        "integer": st.integers(-5, 200),
        "long": st.integers(-5, 200),
        "boolean": st.booleans(),
        "timestamp": st.floats(),
        "double": st.floats(),
        "float": st.floats(),
        "blob": st.binary(max_size=5).map(lambda data: data.hex()),
    }[kind]  # fmt: skip
    return st.one_of(fitting, JSON) if depth > 1 else fitting


OPERATIONS = [
    (service, name)
    for service in SERVED
    if engine().service(service).protocol == "json"
    for name in sorted(engine().service(service).operation_names)[::6]
]


@FUZZ
@given(st.data())
def test_the_fast_reader_and_the_slow_one_agree_on_what_is_legal(data: st.DataObject) -> None:
    service, operation = data.draw(st.sampled_from(OPERATIONS))
    shape = engine().input_shape(service, operation)
    if shape is None:
        return
    body = data.draw(_of_shape(shape))
    try:
        fast = JsonReader().compile(shape)(body)
    except Rejected:
        fast = None
    try:
        slow = json_explain.read(shape, body)
    except CallerError:
        slow = None
    legal = slow is not None and not validate.violations(shape, slow)
    assert (fast is not None) == legal
    if legal:
        assert repr(fast) == repr({name: slow[name] for name in fast})
        assert validate.LegalityCompiler().compile(shape)(slow)
