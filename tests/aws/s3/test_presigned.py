"""Presigned URLs of both generations, used by a client that knows no AWS."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.aws.s3.running import RunningPlane


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_is_enough_to_read_and_write(plane: RunningPlane, bucket: str, version: str) -> None:
    s3 = plane.client(signature_version=version)
    where = {"Bucket": bucket, "Key": "a b/ü+&.txt"}
    put = s3.generate_presigned_url("put_object", Params={**where, "ContentType": "text/plain"})
    assert fetch(put, "PUT", b"data", **{"Content-Type": "text/plain"})[0] == 200
    get = s3.generate_presigned_url("get_object", Params={**where, "ResponseContentType": "text/html"})
    assert fetch(get) == (200, b"data")
    big = b"x" * 2_000_000
    assert fetch(put, "PUT", big, **{"Content-Type": "text/plain"})[0] == 200
    assert fetch(get) == (200, big)
    head = s3.generate_presigned_url("head_object", Params=where)
    assert fetch(head, "HEAD") == (200, b"")
    assert fetch(get, "PUT", b"other")[0] == 403
    assert fetch(get.replace("Signature=", "Signature=0"))[0] == 403


def test_an_expired_url_says_so(plane: RunningPlane, bucket: str) -> None:
    s3 = plane.client(signature_version="s3")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"}, ExpiresIn=-10)
    status, body = fetch(url)
    assert status == 403
    assert b"<Code>AccessDenied</Code>" in body
    assert b"Request has expired" in body


def test_a_url_of_the_newer_kind_expires_too(plane: RunningPlane, bucket: str) -> None:
    keys = plane.credentials["operator"]
    credentials = Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"], keys["aws_session_token"])
    request = AWSRequest("GET", f"{plane.url}/{bucket}/key")
    signer = S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=60)
    with patch("botocore.auth.get_current_datetime", lambda: datetime.now(UTC) - timedelta(minutes=5)):
        signer.add_auth(request)
    status, body = fetch(request.url)
    assert status == 403
    assert b"Request has expired" in body
    never = AWSRequest("GET", f"{plane.url}/{bucket}/key")
    S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=8 * 24 * 3600).add_auth(never)
    status, body = fetch(never.url)
    assert status == 400
    assert b"AuthorizationQueryParametersError" in body


def test_a_url_has_its_makers_rights_and_no_more(plane: RunningPlane, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    params = {"Bucket": bucket, "Key": "key"}
    assert fetch(plane.client("nobody").generate_presigned_url("get_object", Params=params))[0] == 403
    assert fetch(plane.client("reader").generate_presigned_url("get_object", Params=params)) == (200, b"x")
