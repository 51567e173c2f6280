"""What is fuzzed: each target takes any bytes and raises only when a promise is broken.

The promises are those of the parsers: a value or a refusal that a client can be told, never another exception; what was
read means the same when it is read in other pieces, or by whoever stands behind; nothing outside the folder given.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

from sagebrush.aws.logs.patterns import compile_pattern
from sagebrush.aws.s3 import attributes, conditions, integrity, tokens, xml
from sagebrush.aws.s3 import routing as s3_routing
from sagebrush.planes.front import framing, heads, routing
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.unpacking import unpack
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.keys import PlatformKeys
from sagebrush.substrate.identity.policy import Layers, Policy, PolicySet, Source, decide, parse_document
from sagebrush.substrate.identity.policy.document import Kind
from sagebrush.substrate.identity.tokens import open_token
from sagebrush.substrate.objects.info import ObjectInfo
from sagebrush.substrate.wire import event_messages, timestamps
from sagebrush.substrate.wire.chunked import ChunkDecoder
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.sigv4 import STREAMING_UNSIGNED_TRAILER, Verified
from tests.substrate.wire.services import engine
from tests.substrate.wire.signing import verify

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {}
#: Bytes to begin with, so that a target gets beyond its first check.
SEEDS: dict[str, list[bytes]] = {}


def target(*seeds: bytes) -> Callable[[Target], Target]:
    """Registers a target by its function's name, with inputs to begin with."""

    def register(function: Target) -> Target:
        TARGETS[function.__name__] = function
        SEEDS[function.__name__] = list(seeds)
        return function

    return register


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def _headers(lines: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines.split("\n"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def _refusable(error: CallerError) -> None:
    """A refusal is the client's business: 4xx, or that something is not implemented."""
    assert 400 <= error.status < 500 or error.status == 501, error
    assert error.code


# --- the wire ------------------------------------------------------------------------------------------------------


def _served(request: HttpRequest) -> None:
    try:
        parsed = engine().route(request).parse(request)
    except CallerError as error:
        _refusable(error)
        response = engine().serialize_error(None, None, error, "the-id", request=request)
        assert 400 <= response.status < 500 or response.status == 501
        assert all(value.isprintable() for value in response.headers.values())
    else:
        assert isinstance(parsed, dict)


@target(
    b'{"TrainingJobName":"a","RoleArn":"arn:aws:iam::123456789012:role/r","AlgorithmSpecification":{"TrainingInputMode":"File"},'
    b'"OutputDataConfig":{"S3OutputPath":"s3://b/"},"StoppingCondition":{"MaxRuntimeInSeconds":1},"InputDataConfig":[]}',
    b'{"HyperParameters":{"a":1e400},"Tags":[{"Key":"\\ud800","Value":null}]}',
)
def json_bodies(data: bytes) -> None:
    """The bodies of JSON operations; the first byte chooses one."""
    names = ("CreateTrainingJob", "Search", "CreateEndpointConfig", "UpdateEndpoint", "ListTags", "CreateModel")
    name = names[data[0] % len(names)] if data else names[0]
    _served(HttpRequest("POST", "/", "", {"x-amz-target": f"SageMaker.{name}"}, data[1:]))


@target(
    b"Action=CreateRole&Version=2010-05-08&RoleName=r&Tags.member.1.Key=k&Tags.member.1.Value=v",
    b"Action=&x=%%%",
    b"Action=TagRole&Version=2010-05-08&Tags.member." + b"1" * 5000 + b".Key=k",
)
def query_bodies(data: bytes) -> None:
    """Forms of IAM and STS."""
    scope = "Credential=A/20260102/us-east-1/iam/aws4_request"
    fields = {
        "authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    _served(HttpRequest("POST", "/", "", fields, data))


@target(
    b"\xa2iNamespaceaajMetricData\x81\xa2jMetricNameaaeValue\xfb?\xf0\x00\x00\x00\x00\x00\x00",
    b"\xc1\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
)
def cbor_bodies(data: bytes) -> None:
    """CBOR, as CloudWatch's clients send it."""
    path = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
    _served(HttpRequest("POST", path, "", {"smithy-protocol": "rpc-v2-cbor"}, data))


@target(b"POST /2015-03-31/functions x-amz-date:now\n\nbody", b"GET /b/k uploads host:a.s3.amazonaws.com\n\n")
def whole_requests(data: bytes) -> None:
    """Method, path, query, headers and body, cut out of the bytes."""
    head, _, body = data.partition(b"\n\n")
    first, _, rest = _text(head).partition("\n")
    method, path, query, *_ = (*first.split(" ", 2), "", "", "")
    _served(HttpRequest(method or "GET", f"/{path}", query, _headers(rest), body))


@target(
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date="
    b"20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0\nhost:x",
    b"\nauthorization:AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/s3/aws4_request, SignedHeaders=host, "
    b"Signature=0\nx-amz-date:20260102T030405Z\nhost:x\nx-amz-content-sha256:UNSIGNED-PAYLOAD",
    b"AWSAccessKeyId=AKIDEXAMPLE&Expires=1&Signature=a%3D",
)
def signatures(data: bytes) -> None:
    """Signatures in headers and queries: nothing that was made up is ever verified."""
    query, _, rest = _text(data).partition("\n")
    try:
        verify(HttpRequest("GET", "/b/k", query, _headers(rest)))
    except CallerError as error:
        _refusable(error)
    else:
        raise AssertionError("somebody made up a signature that is right")


@target(
    b"1.5e9", b"2026-01-02T03:04:05.678+01:00", b"Sun, 02 Jan 2000 20:34:56.000 GMT", b"Mon, 1 Jan 0001 00:00:00 +2359"
)
def moments(data: bytes) -> None:
    """The three forms of a moment: an aware datetime, or ValueError."""
    with contextlib.suppress(ValueError):
        assert timestamps.from_text(_text(data)).utcoffset() == timedelta()


@target(b"\x013\r\nabc\r\n0\r\n\r\n", b"\x055;chunk-signature=0\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")
def signed_chunks(data: bytes) -> None:
    """aws-chunked bodies: in whatever pieces they come, they decode to the same."""
    cut, body = (data[0], data[1:]) if data else (0, b"")

    def decoded(*pieces: bytes) -> bytes | None:
        decoder = ChunkDecoder(Verified("p", "a", STREAMING_UNSIGNED_TRAILER))
        try:
            told = b"".join([decoder.feed(piece) for piece in pieces])
            decoder.close()
        except CallerError as error:
            _refusable(error)
            return None
        return told

    whole = decoded(body)
    assert whole == decoded(body[:cut], body[cut:])
    assert whole is None or len(whole) <= len(body)


@target(b"\x0a" + event_messages.encode({":event-type": "PayloadPart", "n": 1, "b": b"x", "t": True}, b"payload"))
def event_streams(data: bytes) -> None:
    """Event streams: messages or a refusal, the same in pieces; what was read can be written and read again."""
    cut, stream = (data[0], data[1:]) if data else (0, b"")

    def read(*pieces: bytes) -> list[event_messages.EventMessage]:
        decoder = event_messages.EventDecoder(most_payload=1 << 16)
        found = []
        with contextlib.suppress(event_messages.BadEventStream):
            for piece in pieces:
                decoder.feed(piece)
                while (message := decoder.next()) is not None:
                    found.append(message)
            decoder.end()
        return found

    whole = read(stream)
    assert repr(whole) == repr(read(stream[:cut], stream[cut:]))
    for message in whole:
        again = event_messages.EventDecoder()
        again.feed(event_messages.encode(message.headers, message.payload))
        assert repr(again.next()) == repr(message)


# --- the front door ------------------------------------------------------------------------------------------------


@target(
    b"GET /b/k?x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
    b"POST /endpoints/e/invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n",
    b"CONNECT sts.amazonaws.com:443 HTTP/1.1\r\nHost: sts.amazonaws.com:443\r\n\r\n",
)
def request_heads(data: bytes) -> None:
    """Heads: whoever stands behind the front door reads what it read; nothing is smuggled past it."""
    try:
        head = heads.parse_request_head(data)
    except heads.BadHead:
        return
    routing.plane_of(head)
    routing.invoked_endpoint(head)
    if not data.endswith(heads.END) or data.count(heads.END) != 1:
        return  # The front door cuts heads out of the stream at their first empty line.
    passed = heads.upstream_head(head, b"127.0.0.1")
    assert passed.count(heads.END) == 1
    behind = heads.parse_request_head(passed)
    assert (behind.method, behind.target) == (head.method, head.target)
    assert (behind.content_length, behind.chunked) == (head.content_length, head.chunked)
    assert routing.plane_of(behind) == routing.plane_of(head)


@target(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"HTTP/1.0 500\r\nTransfer-Encoding: chunked\r\n\r\n")
def response_heads(data: bytes) -> None:
    """What a model's own server may answer."""
    with contextlib.suppress(heads.BadHead):
        head = heads.parse_response_head(data)
        heads.with_connection(head.raw, b"close", drop_chunked=head.chunked)


@target(b"\x025\r\nhello\r\n0\r\n\r\n", b"\x07a;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext")
def chunked_bodies(data: bytes) -> None:
    """Chunked framing: where a body ends does not depend on how it arrived."""
    cut, body = (data[0], data[1:]) if data else (0, b"")

    def taken(*pieces: bytes) -> tuple[int, bytes, bool] | None:
        reader = framing.ChunkedBody(decode=True)
        used = 0
        try:
            for piece in pieces:
                used += reader.take(piece)
        except framing.BadBody:
            return None
        return used, bytes(reader.decoded), reader.done

    assert taken(body) == taken(body[:cut], body[cut:])


# --- S3 ------------------------------------------------------------------------------------------------------------


@target(b"PUT /b/a%2Fb?tagging\nhost:x", b"GET /a%20b//../?list-type=2&max-keys=x\nhost:b.localhost:4600")
def s3_addresses(data: bytes) -> None:
    """Paths, queries and hosts of S3; a key is what its bytes say."""
    first, _, rest = _text(data).partition("\n")
    method, _, url = first.partition(" ")
    path, _, query = url.partition("?")
    try:
        found = s3_routing.route(method, f"/{path.lstrip('/')}", query, _headers(rest))
    except CallerError as error:
        _refusable(error)
    else:
        found.key.encode()


@target(
    b"content-md5:x\nx-amz-checksum-crc32:AAAAAA==\nx-amz-tagging:a=b&c\nx-amz-meta-a:b\nrange:bytes=0-1\nif-match:*",
    b"range:bytes=0-"
    + b"9" * 5000
    + b"\nx-amz-copy-source-range:bytes=0-"
    + b"9" * 5000
    + b"\ncontent-length:"
    + b"9" * 5000,
    b"range:bytes=-5\nif-modified-since:Wed, 21 Oct 2015 07:28:00 GMT\nx-amz-copy-source-range:bytes=0-4",
)
def s3_headers(data: bytes) -> None:
    """What the headers of a write and of a read say; ranges never leave the object."""
    headers = _headers(_text(data))
    info = ObjectInfo(bucket="b", key="k", size=10, etag="e", modified_us=1_700_000_000_000_000, file="f")
    for read in (
        lambda: attributes.from_headers(headers),
        lambda: integrity.read_claims(headers),
        lambda: conditions.check_copy_source(headers, info),
        lambda: conditions.copy_range(headers.get("x-amz-copy-source-range", ""), info.size),
    ):
        try:
            read()
        except CallerError as error:
            _refusable(error)
    with contextlib.suppress(conditions.NotModified, CallerError):
        conditions.check_read(headers, info)
    with contextlib.suppress(CallerError):
        chosen = conditions.select_range(headers.get("range", ""), info.size)
        if chosen is not None:
            offset, length = chosen
            assert 0 <= offset < offset + length <= info.size


@target(b"<Delete><Object><Key>a</Key></Object></Delete>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><Delete>&b;</Delete>")
def s3_documents(data: bytes) -> None:
    """Documents that S3's clients send."""
    try:
        xml.parse(data, "Delete")
    except CallerError as error:
        _refusable(error)


@target(tokens.encode_token("a/b").encode(), b"!!")
def s3_tokens(data: bytes) -> None:
    """Continuation tokens."""
    try:
        tokens.decode_token(_text(data))
    except CallerError as error:
        _refusable(error)


# --- who may do what -----------------------------------------------------------------------------------------------


@target(
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":"arn:aws:s3:::${aws:username}/*",'
    b'"Condition":{"ForAllValues:StringLikeIfExists":{"aws:TagKeys":["a*"]}}}]}',
    b'{"Statement":{"Effect":"Deny","NotAction":"iam:*","NotResource":"*","Principal":{"AWS":"*"}}}',
)
def policy_documents(data: bytes) -> None:
    """Policies of every kind; what can be parsed can also be asked."""
    for kind in Kind:
        try:
            document = parse_document(data.decode("utf-8", "replace"), kind)
        except CallerError as error:
            _refusable(error)
            continue
        layers = Layers(PolicySet([Policy(Source("p", "none"), document)]))
        decide(layers, "s3:GetObject", "arn:aws:s3:::u/k", lambda: {"aws:username": ["u"], "aws:TagKeys": ["a", "b"]})


@cache
def _keys() -> PlatformKeys:
    return PlatformKeys(Path(tempfile.mkdtemp(prefix="sagebrush-fuzz-")) / "platform.key")


@target(b"AXh4", b"AQ" + b"A" * 60)
def session_tokens(data: bytes) -> None:
    """Session tokens: nobody makes one up."""
    assert open_token(_keys(), _text(data)) is None


@target(b'?a ?b -c "d e"', b"%[a-z]+%", b'{ $.a = "b" }')
def log_patterns(data: bytes) -> None:
    """Filter patterns of CloudWatch Logs."""
    text = data.decode("utf-8", "replace")
    try:
        matches = compile_pattern(text)
    except CallerError as error:
        _refusable(error)
        return
    if matches is not None:
        matches("a message of a log")


# --- archives ------------------------------------------------------------------------------------------------------


def _archive(*members: tuple[str, bytes, str]) -> bytes:
    """A tar file of (name, type, link) members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, kind, link in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            tar.addfile(member)
    return stream.getvalue()[:4096]


@target(
    _archive(("a/b", tarfile.REGTYPE, ""), ("c", tarfile.SYMTYPE, "a")),
    _archive(("x", tarfile.SYMTYPE, ".."), ("x/out", tarfile.REGTYPE, "")),
    _archive(("h", tarfile.LNKTYPE, "../outside"), ("/abs", tarfile.DIRTYPE, "")),
)
def archives(data: bytes) -> None:
    """Archives: nothing appears outside of the folder, whatever they hold."""
    shared_memory = Path("/dev/shm")
    root = tempfile.mkdtemp(prefix="sagebrush-fuzz-", dir=shared_memory if shared_memory.is_dir() else None)
    try:
        (Path(root) / "model.tar").write_bytes(data)
        (Path(root) / "outside").write_bytes(b"untouched")
        with contextlib.suppress(UserError):
            unpack(f"{root}/model.tar", f"{root}/inside", most_bytes=1 << 20)
        assert sorted(path.name for path in Path(root).iterdir()) == ["inside", "model.tar", "outside"]
        assert (Path(root) / "outside").read_bytes() == b"untouched"
        assert (Path(root) / "outside").stat().st_nlink == 1
    finally:
        shutil.rmtree(root, ignore_errors=True)
