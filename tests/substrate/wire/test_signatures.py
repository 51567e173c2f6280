"""Signatures of botocore's signers are accepted, and whatever was changed after signing is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import sigv4
from sagebrush.substrate.wire.http import HttpRequest
from tests.substrate.wire.signing import (
    ACCESS_KEY,
    NOW,
    ODD_KEYS,
    TOKEN,
    by_header,
    changed,
    claiming_hash,
    presigned,
    presigned_v2,
    s3_url,
    verify,
)

API = "http://127.0.0.1:4600/"
JSON = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def refused(request: HttpRequest, **options: object) -> CallerError:
    with pytest.raises(CallerError) as caught:
        verify(request, **options)  # type: ignore[arg-type]
    return caught.value


# --- what is right -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_accepted_by_header_and_presigned_in_both_versions(key: str) -> None:
    by = by_header(s3_url(key), body=b"data")
    assert verify(by).payload == "signed"
    assert verify(presigned(s3_url(key))).payload == "unsigned"
    assert verify(presigned_v2(s3_url(key))).payload == "unsigned"


def test_the_verified_request_tells_who_and_what_was_signed() -> None:
    body = b"some data"
    verified = verify(by_header(s3_url("k"), body=body))
    assert (verified.principal, verified.access_key_id) == ("principal of None", ACCESS_KEY)
    assert verified.payload_sha256 == "1307990e6ba5ca145eb35e99182a9bec46531bc54ddf656a602c780fa0240dee"


def test_session_tokens_reach_the_lookup_from_every_place() -> None:
    for request in (
        by_header(s3_url("k"), token=TOKEN),
        presigned(s3_url("k"), token=TOKEN),
        presigned_v2(s3_url("k"), token=TOKEN),
        by_header(API, service="sagemaker", method="POST", headers=JSON, token=TOKEN),
    ):
        assert verify(request).principal == f"principal of {TOKEN}"


@pytest.mark.parametrize("path", ["a//b", "a/./b/../c", "arn%3Aaws%3Asns%3Ax/y", "a%20b/", "%E4%BD%A0", "~tilde-._"])
def test_other_services_normalise_the_path_and_encode_it_twice(path: str) -> None:
    request = by_header(f"{API}{path}", service="lambda", method="GET")
    assert verify(request, service="lambda", region="us-east-1").access_key_id == ACCESS_KEY


def test_bodies_of_other_services_are_compared() -> None:
    request = by_header(API, service="sagemaker", method="POST", headers=JSON, body=b"{}")
    assert verify(request).payload == "signed"
    assert refused(replace(request, body=b'{"a":1}')).code == "InvalidSignatureException"


@pytest.mark.parametrize(
    "query", ["a=1&b=2", "b=2&a=1", "list-type=2&prefix=a%2Fb%20c", "uploads", "x=&y", "q=%C3%BC&q=a", "p=a%2Bb"]
)
def test_query_strings_are_put_in_order_before_they_are_signed(query: str) -> None:
    assert verify(by_header(s3_url("k", query), method="GET")).access_key_id == ACCESS_KEY
    assert verify(presigned(s3_url("k", query))).access_key_id == ACCESS_KEY


def test_a_plus_in_the_query_is_a_space() -> None:
    request = by_header(s3_url("", "prefix=a%20b"), method="GET")
    assert verify(replace(request, raw_query="prefix=a+b")).access_key_id == ACCESS_KEY


def test_presigned_requests_of_other_services_are_accepted() -> None:
    request = presigned(f"{API}?Action=GetCallerIdentity&Version=2011-06-15", service="sts")
    assert verify(request, service="sts").access_key_id == ACCESS_KEY


def test_signed_headers_may_have_runs_of_spaces() -> None:
    request = by_header(s3_url("k"), headers={"x-amz-meta-a": "  two   words "})
    assert verify(request).access_key_id == ACCESS_KEY


@pytest.mark.parametrize("blank", ["\x85", "\xa0", "\x1f"])
def test_only_spaces_and_tabs_are_blanks_of_a_signed_header(blank: str) -> None:
    request = by_header(s3_url("k"), headers={"x-amz-meta-a": "two words"})
    changed = replace(request, headers={**request.headers, "x-amz-meta-a": f"two{blank} words{blank}"})
    assert refused(changed).code == "SignatureDoesNotMatch"


def test_the_date_header_serves_where_there_is_no_other() -> None:
    request = by_header(s3_url("k"), headers={"Date": "Fri, 02 Jan 2026 03:04:05 GMT"})
    assert "x-amz-date" not in request.headers
    assert verify(request).access_key_id == ACCESS_KEY


def test_version_2_signs_the_bucket_that_leads_the_host() -> None:
    url = s3_url("a b", host="bucket.localhost:4600", bucket="")
    request = presigned_v2(url, auth_path="/bucket/a%20b")
    assert verify(request).access_key_id == ACCESS_KEY
    assert refused(changed(request, host="other.localhost:4600")).code == "SignatureDoesNotMatch"


def test_version_2_signs_subresources_and_answers_changed_by_the_query() -> None:
    query = "response-content-type=text%2Fplain&versionId=v%201&unsigned=x"
    request = presigned_v2(s3_url("k", query))
    assert verify(request).access_key_id == ACCESS_KEY
    tampered = replace(request, raw_query=request.raw_query.replace("text%2Fplain", "text%2Fhtml"))
    assert refused(tampered).code == "SignatureDoesNotMatch"


def test_streamed_bodies_are_told_by_their_form() -> None:
    for form in (sigv4.STREAMING_SIGNED, sigv4.STREAMING_SIGNED_TRAILER, sigv4.STREAMING_UNSIGNED_TRAILER):
        request = claiming_hash(form)
        verified = verify(request)
        assert verified.payload == form
        assert verified.chunks is not None
        assert verified.chunks.scope == "20260102/us-east-1/s3/aws4_request"
    assert verify(claiming_hash("UNSIGNED-PAYLOAD")).payload == "unsigned"


# --- what is wrong -------------------------------------------------------------------------------------------------


def test_each_part_that_is_signed_cannot_be_changed() -> None:
    request = by_header(s3_url("k", "prefix=p"), body=b"data", headers={"content-type": "text/plain", "x-amz-acl": "x"})
    assert verify(request).payload == "signed"
    for tampered in (
        replace(request, method="DELETE"),
        replace(request, raw_path="/bucket/other"),
        replace(request, raw_path="/bucket//k"),
        replace(request, raw_query="prefix=q"),
        replace(request, raw_query="prefix=p&more"),
        changed(request, host="127.0.0.1:4601"),
        changed(request, content_type="text/html"),
        changed(request, x_amz_acl="public-read"),
        changed(request, authorization=request.headers["authorization"][:-1] + "x"),
    ):
        error = refused(tampered)
        assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
        assert error.members["AWSAccessKeyId"] == ACCESS_KEY
        assert str(error.members["StringToSign"]).startswith("AWS4-HMAC-SHA256\n20260102T030405Z\n")


def test_a_body_other_than_the_signed_one_is_refused_where_it_is_at_hand() -> None:
    request = by_header(s3_url("k"), body=b"data")
    error = refused(replace(request, body=b"atad"))
    assert (error.code, error.status) == ("XAmzContentSHA256Mismatch", 400)
    assert refused(replace(request, body=b""), payload_sha256="0" * 64).code == "XAmzContentSHA256Mismatch"
    assert verify(replace(request, body=b"")).payload_sha256 == request.headers["x-amz-content-sha256"]


def test_a_claimed_hash_alone_does_not_vouch_for_a_body_of_another_service() -> None:
    request = by_header(API, service="sagemaker", method="POST", headers=JSON, body=b"{}")
    claimed = changed(request, x_amz_content_sha256="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
    assert refused(replace(claimed, body=b"[]")).code == "InvalidSignatureException"


def test_unsigned_bodies_are_for_s3_alone() -> None:
    headers = {**JSON, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    request = by_header(API, service="sagemaker", method="POST", headers=headers, body=b"{}")
    assert refused(request).code == "InvalidSignatureException"


@pytest.mark.parametrize("name", ["x-amz-acl", "x-amz-security-token", "x-amz-copy-source"])
def test_every_amazon_header_must_be_signed(name: str) -> None:
    request = by_header(s3_url("k"))
    error = refused(changed(request, **{name: TOKEN}))
    assert (error.code, error.members["HeadersNotSigned"]) == ("AccessDenied", name)
    error = refused(changed(presigned(s3_url("k")), **{name: TOKEN}))
    assert (error.code, error.members["HeadersNotSigned"]) == ("AccessDenied", name)
    target = by_header(API, service="sagemaker", method="POST", headers={"Content-Type": "x"})
    error = refused(changed(target, x_amz_target="SageMaker.DeleteModel"))
    assert error.code == "InvalidSignatureException"


def test_the_host_must_be_signed() -> None:
    request = by_header(s3_url("k"))
    error = refused(changed(request, authorization=request.headers["authorization"].replace("host;", "")))
    assert (error.code, error.members["HeadersNotSigned"]) == ("AccessDenied", "host")


def test_what_is_said_to_be_signed_must_be_there() -> None:
    request = by_header(s3_url("k"), headers={"x-amz-acl": "private"})
    assert refused(changed(request, x_amz_acl=None)).code == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize("minutes", [-16, 16])
def test_the_clock_may_be_off_by_a_quarter_of_an_hour(minutes: int) -> None:
    later = NOW + timedelta(minutes=minutes)
    error = refused(by_header(s3_url("k")), now=later)
    assert (error.code, error.status) == ("RequestTimeTooSkewed", 403)
    error = refused(by_header(API, service="sagemaker", method="POST", headers=JSON), now=later)
    assert error.code == "InvalidSignatureException"
    assert error.message.startswith("Signature expired" if minutes > 0 else "Signature not yet current")
    error = refused(by_header(API, service="iam", method="POST", headers=FORM), now=later)
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
    assert verify(by_header(s3_url("k")), now=NOW + timedelta(minutes=minutes * 14 / 16)).payload == "signed"


def test_a_presigned_request_ends_when_it_said() -> None:
    for request in (presigned(s3_url("k"), expires=60), presigned_v2(s3_url("k"), expires=60)):
        assert verify(request, now=NOW + timedelta(seconds=59)).access_key_id == ACCESS_KEY
        error = refused(request, now=NOW + timedelta(seconds=61))
        assert (error.code, error.message, error.status) == ("AccessDenied", "Request has expired", 403)
    error = refused(presigned(API, service="lambda", expires=60), now=NOW + timedelta(seconds=61))
    assert error.code == "InvalidSignatureException"


def test_a_presigned_request_is_not_valid_before_its_time() -> None:
    assert refused(presigned(s3_url("k")), now=NOW - timedelta(minutes=16)).code == "RequestTimeTooSkewed"


def test_a_presigned_request_lives_a_week_at_most() -> None:
    assert verify(presigned(s3_url("k"), expires=604800)).access_key_id == ACCESS_KEY
    error = refused(presigned(s3_url("k"), expires=604801))
    assert error.code == "AuthorizationQueryParametersError"
    assert "less than a week" in error.message


@pytest.mark.parametrize("expires", ["", "-1", "many", "1e3", "9" * 20, "%C2%B2"])
def test_an_expiry_that_is_no_number_is_refused(expires: str) -> None:
    request = presigned(s3_url("k"))
    broken = replace(request, raw_query=request.raw_query.replace("X-Amz-Expires=3600", f"X-Amz-Expires={expires}"))
    assert refused(broken).code == "AuthorizationQueryParametersError"
    two = presigned_v2(s3_url("k"))
    stamp = str(int(NOW.timestamp()) + 3600)
    broken = replace(two, raw_query=two.raw_query.replace(f"Expires={stamp}", f"Expires={expires}"))
    assert refused(broken).code == "AuthorizationQueryParametersError"


def test_the_date_of_the_scope_must_be_that_of_the_request() -> None:
    request = by_header(s3_url("k"))
    other = changed(request, authorization=request.headers["authorization"].replace("/20260102/", "/20260101/"))
    assert refused(other).code == "AuthorizationHeaderMalformed"
    request = by_header(API, service="sagemaker", method="POST", headers=JSON)
    other = changed(request, authorization=request.headers["authorization"].replace("/20260102/", "/20260101/"))
    error = refused(other)
    assert error.code == "InvalidSignatureException"
    assert "'20260101' != '20260102'" in error.message


def test_the_scope_must_name_the_service_and_region_that_are_asked() -> None:
    request = by_header(API, service="sts", method="POST", headers=JSON)
    error = refused(request, service="sagemaker")
    assert error.message == "Credential should be scoped to correct service: 'sagemaker'. "
    error = refused(by_header(s3_url("k"), region="eu-west-1"), region="us-east-1")
    assert error.code == "AuthorizationHeaderMalformed"
    assert error.message.endswith("the region 'eu-west-1' is wrong; expecting 'us-east-1'")
    assert error.members == {"Region": "us-east-1"}
    assert refused(presigned(s3_url("k")), region="eu-west-1").code == "AuthorizationQueryParametersError"
    assert refused(presigned(s3_url("k")), service="sts").code == "InvalidSignatureException"


def test_a_version_2_signature_is_for_s3_alone() -> None:
    assert refused(presigned_v2(s3_url("k")), service="sagemaker").code == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    ("request_", "code", "status"),
    [
        (HttpRequest("GET", "/b/k", "", {"host": "h"}), "AccessDenied", 403),
        (HttpRequest("POST", "/", "", {"x-amz-target": "SageMaker.X"}), "MissingAuthenticationTokenException", 400),
        (HttpRequest("POST", "/", "", {k.lower(): v for k, v in FORM.items()}), "MissingAuthenticationToken", 403),
    ],
)
def test_a_request_without_a_signature_is_told_so(request_: HttpRequest, code: str, status: int) -> None:
    error = refused(request_)
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("AWS AKIDEXAMPLE:c2lnbmF0dXJl", "InvalidRequest"),
        ("Basic dXNlcjpwYXNz", "InvalidRequest"),
        ("", "InvalidRequest"),
        ("AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=x", "AuthorizationHeaderMalformed"),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/s3/e, SignedHeaders=host, Signature=x", "AuthorizationHeaderMalformed"),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260102/r/s3/aws4_request, SignedHeaders=host",
            "AuthorizationHeaderMalformed",
        ),
        ("AWS4-HMAC-SHA256 ,,,=,=", "AuthorizationHeaderMalformed"),
    ],
)
def test_authorization_headers_that_cannot_be_read_are_refused(authorization: str, code: str) -> None:
    headers = {"host": "h", "x-amz-date": "20260102T030405Z", "authorization": authorization}
    assert refused(HttpRequest("GET", "/b/k", "", headers)).code == code


@pytest.mark.parametrize(
    "date", ["", "yesterday", "20260102", "20261302T030405Z", "20260102T996199Z", "２０２６0102T030405Z"]
)
def test_dates_that_are_none_are_refused(date: str) -> None:
    assert refused(changed(by_header(s3_url("k")), x_amz_date=date)).code == "AuthorizationHeaderMalformed"


def test_unknown_keys_and_bad_tokens_are_told_in_the_words_of_each_family() -> None:
    def codes(token: str | None, key: str) -> list[tuple[str, int]]:
        requests = [
            by_header(s3_url("k"), token=token),
            by_header(API, service="sagemaker", method="POST", headers=JSON, token=token),
            by_header(API, service="iam", method="POST", headers=FORM, token=token),
            by_header(f"{API}FeatureGroup/g", service="sagemaker", method="GET", token=token),
        ]
        errors = [
            refused(changed(request, authorization=request.headers["authorization"].replace(ACCESS_KEY, key)))
            for request in requests
        ]
        return [(error.code, error.status) for error in errors]

    unknown = [
        ("InvalidAccessKeyId", 403),
        ("UnrecognizedClientException", 400),
        ("InvalidClientTokenId", 403),
        ("UnrecognizedClientException", 403),
    ]
    assert codes(None, "AKIDOTHER") == unknown
    assert codes("nonsense", ACCESS_KEY) == [("InvalidToken", 400), *unknown[1:]]
    assert codes("old", ACCESS_KEY) == [
        ("ExpiredToken", 400),
        ("ExpiredTokenException", 400),
        ("ExpiredToken", 403),
        ("ExpiredTokenException", 403),
    ]


def test_s3_wants_the_hash_of_the_body_or_a_word_for_it() -> None:
    for claim, code in [("abc", "InvalidArgument"), ("", "InvalidArgument"), ("A" * 64, "InvalidArgument")]:
        assert refused(claiming_hash(claim)).code == code
    missing = changed(by_header(s3_url("k")), x_amz_content_sha256=None)
    signed = missing.headers["authorization"].replace("x-amz-content-sha256;", "")
    assert refused(changed(missing, authorization=signed)).code == "InvalidRequest"


def test_the_memory_of_derived_keys_is_bounded() -> None:
    assert sigv4.signing_key.cache_info().maxsize == 1024
