"""The short way of verifying says yes to nothing that the long way refuses, and yes to what clients send every day."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import everyday, sigv4
from sagebrush.substrate.wire.auth_errors import AuthErrors
from sagebrush.substrate.wire.http import HttpRequest
from tests.substrate.wire.signing import NOW, SECRET, TOKEN, by_header, changed, presigned, s3_url, verify

URL = "http://127.0.0.1:4600/endpoints/e/invocations"
ERRORS = AuthErrors("rest-json")


def raw(request: HttpRequest) -> dict[bytes, bytes]:
    return {name.encode("latin-1"): value.encode("latin-1") for name, value in request.headers.items()}


def short_way(request: HttpRequest, now: datetime = NOW, secret: str = SECRET) -> bool:
    """Whether the short way says yes, asked as the front door asks it."""
    headers = raw(request)
    claim = everyday.read(headers, "sagemaker") if not request.raw_query else None
    digest = hashlib.sha256(request.body).hexdigest()
    method, path = request.method.encode(), request.raw_path.encode("latin-1")
    return claim is not None and everyday.matches(claim, method, path, headers, digest, secret, now)


def long_way(request: HttpRequest, now: datetime = NOW, secret: str = SECRET) -> bool:
    try:
        claim = sigv4.read(request, now=now, service="sagemaker", errors=ERRORS)
        sigv4.check(request, claim, secret, errors=ERRORS)
    except CallerError:
        return False
    return True


def invocation(body: bytes = b"[1]", token: str | None = TOKEN, path: str = "", **headers: str) -> HttpRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signed = by_header(URL + path, service="sagemaker", method="POST", body=body, token=token, headers=named)
    return changed(signed, user_agent="Boto3", content_length=str(len(body)))


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Content_Type": "text/csv"}, {"X_Amzn_SageMaker_Custom_Attributes": "  two   words "}, {"X_Amz_Thing": "1"}],
)
@pytest.mark.parametrize("path", ["", "/", "//x/../y", "/a%20b/%C3%BC~"])
def test_what_clients_send_every_day_takes_the_short_way(token: str | None, headers: dict[str, str], path: str) -> None:
    request = invocation(token=token, path=path, **headers)
    assert short_way(request)
    assert long_way(request)
    assert verify(request, service="sagemaker").payload == "signed"


def test_the_short_way_tells_whose_key_it_is() -> None:
    claim = everyday.read(raw(invocation()), "sagemaker")
    long = sigv4.read(invocation(), now=NOW, service="sagemaker", errors=ERRORS)
    assert claim is not None
    assert (claim.access_key_id, claim.date, claim.region) == (long.access_key_id, long.date, long.region)
    assert claim.scope.decode() == long.scope


def test_what_is_out_of_the_ordinary_is_left_to_the_long_way() -> None:
    query = by_header(URL + "?a=1", service="sagemaker", method="POST")
    assert (short_way(query), long_way(query)) == (False, True)
    by_query = presigned(URL, service="sagemaker", method="POST")
    assert (short_way(by_query), long_way(by_query)) == (False, True)
    dated = by_header(URL, service="sagemaker", headers={"Date": "Fri, 02 Jan 2026 03:04:05 GMT"})
    assert (short_way(dated), long_way(dated)) == (False, True)
    latin = invocation(X_Amzn_SageMaker_Custom_Attributes="\xe9")
    assert not short_way(latin)


def test_a_signature_for_s3_does_not_serve() -> None:
    assert everyday.read(raw(by_header(s3_url("k"))), "s3") is None
    assert not short_way(by_header(s3_url("k")))


def test_every_change_after_signing_is_noticed() -> None:
    request = invocation(Content_Type="text/csv")
    authorization = request.headers["authorization"]
    bad = [
        HttpRequest("PUT", request.raw_path, "", request.headers, request.body),
        HttpRequest("POST", request.raw_path + "x", "", request.headers, request.body),
        HttpRequest("POST", request.raw_path, "", request.headers, b"[2]"),
        changed(request, content_type="text/csv2"),
        changed(request, host="elsewhere"),
        changed(request, x_amz_security_token=TOKEN + "x"),
        changed(request, x_amz_security_token=None),
        changed(request, x_amz_target="SageMaker.DeleteModel"),
        changed(request, x_amz_content_sha256="UNSIGNED-PAYLOAD"),
        changed(request, x_amz_date="20260102T030406Z"),
        changed(request, x_amz_date="20260103T030405Z"),
        changed(request, authorization=authorization.replace("us-east-1", "us-east-2")),
        changed(request, authorization=authorization.replace("host;", "")),
        changed(request, authorization=authorization[:-1] + ("0" if authorization[-1] != "0" else "1")),
    ]
    for tampered in bad:
        assert not short_way(tampered)
        assert not long_way(tampered)
    assert not short_way(request, secret="another")


@pytest.mark.parametrize("minutes", [-16, -14, 0, 14, 16])
def test_the_clock_counts_as_on_the_long_way(minutes: int) -> None:
    now = NOW + timedelta(minutes=minutes)
    assert short_way(invocation(), now) is long_way(invocation(), now) is (abs(minutes) <= 15)


# What HTTP lets through in a header's value, without blanks around it.
values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20).map(
    str.strip
)
edits = st.one_of(
    st.tuples(st.just("header"), st.sampled_from(["host", "x-amz-date", "x-amz-security-token", "x-amz-new"]), values),
    st.tuples(st.just("without"), st.sampled_from(["host", "x-amz-date", "content-type", "user-agent"]), st.just("")),
    st.tuples(st.just("splice"), st.integers(0, 400), values),
    st.tuples(st.just("cut"), st.integers(0, 400), st.integers(1, 40)),
    st.tuples(st.just("swap"), st.sampled_from([";", ",", "=", "/", " ", "Signature="]), values),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(edits, max_size=3), st.binary(max_size=20), values)
def test_whatever_is_sent_the_short_way_never_says_yes_alone(
    changes: list[tuple[str, object, object]], body: bytes, attribute: str
) -> None:
    request = invocation(body, Content_Type="a/b", X_Amzn_SageMaker_Custom_Attributes=attribute)
    headers = dict(request.headers)
    for kind, where, what in changes:
        authorization = headers["authorization"]
        if kind == "header":
            headers[str(where)] = str(what)
        elif kind == "without":
            headers.pop(str(where), None)
        elif kind == "splice":
            at = int(where) % (len(authorization) + 1)  # type: ignore[call-overload]
            headers["authorization"] = authorization[:at] + str(what) + authorization[at:]
        elif kind == "cut":
            at = int(where) % len(authorization) if authorization else 0  # type: ignore[call-overload]
            headers["authorization"] = authorization[:at] + authorization[at + int(what) :]  # type: ignore[call-overload]
        else:
            headers["authorization"] = authorization.replace(str(where), str(what), 1)
    sent = HttpRequest(request.method, request.raw_path, "", headers, body)
    if short_way(sent):
        assert long_way(sent)
    if not changes and attribute.isascii() and attribute:
        assert short_way(sent)
