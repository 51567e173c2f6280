"""A request that is known again by the last one is the one that parsing it gives; nothing else passes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from sagebrush.planes.front.heads import END, BadHead, parse_request_head
from sagebrush.planes.front.invocations.repeated import RepeatedHead, Repetitions, remember
from sagebrush.planes.front.invocations.worker import forwarded_lines
from sagebrush.planes.front.routing import Invoked, invoked_endpoint
from sagebrush.substrate.wire import everyday
from tests.planes.front.invoking import KEY, SECRET

NOW = datetime.now(UTC).replace(microsecond=0)
ATTEMPT = "0132e094-3965-4453-b403-0184ef9f3f60"


def request(
    body: bytes = b"[1, 2]", *, attempt: str = ATTEMPT, secret: str = SECRET, name: str = "e", **more: str
) -> bytes:
    headers = {"Content-Type": "application/json", "amz-sdk-invocation-id": attempt}
    headers |= {key.replace("_", "-"): value for key, value in more.items()}
    url = f"http://127.0.0.1:4600/endpoints/{name}/invocations"
    signed = AWSRequest("POST", url, data=body, headers=headers)
    SigV4Auth(Credentials(KEY, secret, "a%token"), "sagemaker", "us-east-1").add_auth(signed)
    lines = {"Host": "127.0.0.1:4600", "User-Agent": "Boto3/1 100%b", "Content-Length": str(len(body))}
    lines |= dict(signed.headers.items())
    head = f"POST /endpoints/{name}/invocations HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    return head.encode() + b"\r\n" + body


def split(data: bytes) -> tuple[bytes, bytes]:
    end = data.find(END) + len(END)
    return data[:end], data[end:]


def learned(data: bytes) -> RepeatedHead:
    raw, _ = split(data)
    head = parse_request_head(raw)
    claim = everyday.read(head.joined, "sagemaker")
    assert claim is not None
    known = remember(head, claim, (KEY, None, "arn", b"127.0.0.1", "sagemaker:InvokeEndpoint"), Invoked("e", False))
    assert known is not None
    return known


def the_long_way(data: bytes) -> bool:
    """Whether parsing and verifying accepts ``data`` as one whole invocation of ``e``."""
    raw, body = split(data)
    try:
        head = parse_request_head(raw)
    except BadHead:
        return False
    if invoked_endpoint(head) != Invoked("e", False) or head.chunked or head.content_length != len(body):
        return False
    claim = everyday.read(head.joined, "sagemaker")
    digest = hashlib.sha256(body).hexdigest()
    return claim is not None and everyday.matches(claim, head.method, head.target, head.joined, digest, SECRET, NOW)


def test_a_request_that_differs_in_attempt_moment_length_and_body_is_known_again() -> None:
    known = learned(request())
    other = request(b"[3, 4]", attempt="ffffffff-3965-4453-b403-0184ef9f3f60")
    assert the_long_way(other)
    assert known.payload(other, SECRET, NOW) == b"[3, 4]"
    assert known.forwarded == forwarded_lines(parse_request_head(split(other)[0]), False)


@pytest.mark.parametrize(
    "other",
    [
        request(secret="another secret"),
        request(name="f"),
        request(Content_Type="text/csv"),
        request(X_Amzn_SageMaker_Target_Variant="b"),
        request() + b"x",
        request()[:-1],
        request().replace(b"[1, 2]", b"[1, 3]"),
        request().replace(b"Content-Length: 6", b"Content-Length: 5"),
        request().replace(b"Content-Length: 6", b"Content-Length: +"),
        request(attempt=ATTEMPT[:-2] + " x"),
        request().replace(ATTEMPT.encode(), ATTEMPT.encode()[:-3] + b"\r\nx"),
        request().replace(b"User-Agent", b"User-agent"),
    ],
)
def test_what_differs_in_anything_else_or_is_not_signed_takes_the_long_way(other: bytes) -> None:
    assert learned(request()).payload(other, SECRET, NOW) is None


def test_what_is_too_old_or_too_early_takes_the_long_way() -> None:
    known = learned(request())
    assert known.payload(request(), SECRET, NOW) is not None
    for minutes in (-25, 25):
        assert known.payload(request(), SECRET, NOW + timedelta(minutes=minutes)) is None
    assert known.payload(request(), SECRET, NOW + timedelta(minutes=5)) is not None


def test_a_secret_that_has_changed_counts_at_once() -> None:
    known = learned(request())
    assert known.payload(request(), SECRET, NOW) is not None
    assert known.payload(request(), "rotated", NOW) is None
    assert known.payload(request(secret="rotated"), "rotated", NOW) is not None


@pytest.mark.parametrize("more", [{"Expect": "100-continue"}, {"Transfer_Encoding": "chunked"}])
def test_heads_that_say_more_about_the_body_are_not_remembered(more: dict[str, str]) -> None:
    data = request(**more)
    head = parse_request_head(
        split(data.replace(b"Content-Length: 6\r\n", b"") if "Transfer_Encoding" in more else data)[0]
    )
    claim = everyday.read(head.joined, "sagemaker")
    assert claim is not None
    assert remember(head, claim, (KEY, None, "arn", b"", "sagemaker:InvokeEndpoint"), Invoked("e", False)) is None


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_whatever_the_short_way_takes_the_long_way_takes_too(data: st.DataObject) -> None:
    known = learned(request())
    mangled = bytearray(request(attempt="ffffffff-3965-4453-b403-0184ef9f3f60"))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(mangled) - 1))
        mangled[at] = data.draw(st.sampled_from(b"\r\n :,%0123456789aAxX\x00\xff") | st.integers(0, 255))
    sent = bytes(mangled)
    if known.payload(sent, SECRET, NOW) is not None:
        assert the_long_way(sent)


def test_a_client_that_never_repeats_itself_is_no_longer_listened_to() -> None:
    repetitions = Repetitions()
    for length in range(40):
        head = parse_request_head(split(request(X_Thing="x" * length))[0])
        claim = everyday.read(head.joined, "sagemaker")
        assert claim is not None
        repetitions.learn(head, claim, (KEY, None, "arn", b"", "sagemaker:InvokeEndpoint"), Invoked("e", False))
    assert repetitions.find(request(X_Thing="x" * 39)) is None
    assert repetitions.find(request(X_Thing="x" * 15)) is not None
