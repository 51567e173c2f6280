"""Requests as botocore's own serializers make them, in the form in which the engine takes them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import prepare_request_dict
from botocore.serialize import create_serializer
from botocore.utils import percent_encode_sequence

from sagebrush.substrate.wire.http import HttpRequest, HttpResponse

_SCOPE = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def botocore_request(service_model: Any, operation: Any, params: Any, protocol: str) -> HttpRequest:
    """What a botocore client sends for ``params``; the Authorization header has the right scope and no signature."""
    serializer = create_serializer(protocol, include_validation=False)
    return from_serialized(serializer.serialize_to_request(params, operation), service_model.signing_name)


def from_serialized(serialized: dict[str, Any], signing_name: str | None) -> HttpRequest:
    """From what a serializer gives to what a server sees."""
    prepare_request_dict(serialized, "http://127.0.0.1:4600")
    url = urlsplit(serialized["url"])
    body = serialized["body"]
    if isinstance(body, dict):
        body = percent_encode_sequence(body).encode()
    headers = {name.lower(): str(value) for name, value in serialized["headers"].items()}
    headers["host"] = url.netloc
    if signing_name is not None:
        headers["authorization"] = _SCOPE.format(signing_name)
    return HttpRequest(serialized["method"], url.path, url.query, headers, body)


def response_dict(response: HttpResponse) -> dict[str, Any]:
    """What botocore's parsers take."""
    from botocore.awsrequest import HeadersDict

    return {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
