"""What the front door answers by itself: errors before or instead of a plane, in the shape the client parses."""

from __future__ import annotations

import json
import os
from typing import Final, Literal
from xml.sax.saxutils import escape

from sagebrush.planes.front.heads import END, RequestHead

_REASONS: Final = {
    200: "Connection Established",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

CONNECTION_ESTABLISHED: Final = b"HTTP/1.1 200 Connection Established" + END


#: How a client parses errors: JSON services, S3's XML, or the query services' XML (IAM, STS).
Shape = Literal["json", "s3", "query"]


def _request_id() -> str:
    return os.urandom(16).hex()


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    shape: Shape,
    close: bool,
    retry_after_seconds: int | None = None,
    head_only: bool = False,
) -> bytes:
    """A complete error response in the shape of the service that was asked."""
    request_id = _request_id()
    body, content_type = _body(code, message, shape, request_id)
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        f"x-amzn-requestid: {request_id}",
    ]
    if shape == "json":
        lines.append(f"x-amzn-errortype: {code}")
    elif shape == "s3":
        lines.append(f"x-amz-request-id: {request_id}")
    if retry_after_seconds is not None:
        lines.append(f"retry-after: {retry_after_seconds}")
    if close:
        lines.append("connection: close")
    return "\r\n".join(lines).encode() + END + (b"" if head_only else body)


def _body(code: str, message: str, shape: Shape, request_id: str) -> tuple[bytes, str]:
    if shape == "json":
        return json.dumps({"__type": code, "message": message}).encode(), "application/x-amz-json-1.1"
    fields = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if shape == "s3":
        text = f"<Error>{fields}<RequestId>{request_id}</RequestId></Error>"
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(), "application/xml"
    error = f"<Error><Type>Receiver</Type>{fields}</Error>"
    return f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>".encode(), "text/xml"


def shape_of(head: RequestHead, plane: str) -> Shape:
    """How the client of this request parses errors."""
    if plane == "objects":
        return "s3"
    form = head.names.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")
    return "query" if form else "json"
