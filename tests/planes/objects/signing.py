"""Requests signed by botocore's own signer and sent by hand, for what boto3 never does over plain HTTP."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.aws.s3.running import RunningPlane


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def signed_headers(
    plane: RunningPlane,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    payload: str = "",
    who: str = "operator",
    **headers: str,
) -> dict[str, str]:
    """Headers with a signature; ``payload`` overrides the body's hash (``UNSIGNED-PAYLOAD``, ``STREAMING-...``)."""
    keys = plane.credentials[who]
    credentials = Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"], keys["aws_session_token"])
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method, f"{plane.url}{path}", headers=given, data=body)

    class Signer(S3SigV4Auth):
        def payload(self, signed: Any) -> Any:
            return payload or super().payload(signed)

    Signer(credentials, "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def send(
    plane: RunningPlane, method: str, path: str, headers: dict[str, str], body: bytes | Iterable[bytes] | None = None
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", plane.port, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()
