"""What the client gets: the model's answer, or an error in AWS's words.

Source: "InvokeEndpoint", Amazon SageMaker Runtime API Reference; the texts are those that AWS's service sends.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from random import getrandbits
from typing import Any, Final

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.event_messages import CONTENT_TYPE

_REASONS: Final = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    413: "Content Too Large",
    424: "Failed Dependency",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_MESSAGE_BYTES: Final = 1024
_CLOSE: Final = b"connection: close\r\n"
_KEEP: Final = b"connection: keep-alive\r\n"

TIMED_OUT: Final = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
PROCESS_ENDED: Final = (
    "The model's process ended while it answered this request. The log says how: by itself, for want of memory, or "
    "because the answer took too long."
)
NOT_HTTP: Final = "The model's server answered what is not HTTP."


def connection_option(version: str, close: bool) -> bytes:
    """The Connection header that tells a client of this HTTP version what happens next, if one has to."""
    if close:
        return _CLOSE
    return _KEEP if version == "1.0" else b""


def answer_head(
    variant: str, content_type: bytes, custom_attributes: bytes | None, length: int | None, option: bytes
) -> bytes:
    """The head in front of a model's answer; without a ``length`` the body is chunked, or ends with the connection."""
    return b"HTTP/1.1 200 OK\r\nx-amzn-requestid: %032x\r\n%b" % (
        getrandbits(128),
        _after_request_id(variant, content_type, custom_attributes, length, option),
    )


def stream_head(
    variant: str, content_type: bytes, custom_attributes: bytes | None, *, chunked: bool, option: bytes
) -> bytes:
    """The head in front of a stream of events; what the model says of its content has a header of its own."""
    lines = [
        b"HTTP/1.1 200 OK",
        b"x-amzn-requestid: %032x" % getrandbits(128),
        b"Content-Type: %b" % CONTENT_TYPE.encode(),
        b"x-Amzn-Invoked-Production-Variant: %b" % variant.encode("latin-1", "replace"),
    ]
    if content_type:
        lines.append(b"X-Amzn-SageMaker-Content-Type: %b" % content_type)
    if custom_attributes is not None:
        lines.append(b"X-Amzn-SageMaker-Custom-Attributes: %b" % custom_attributes)
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n" + option + b"\r\n"


@lru_cache(maxsize=1024)
def _after_request_id(
    variant: str, content_type: bytes, custom_attributes: bytes | None, length: int | None, option: bytes
) -> bytes:
    """The rest of the head: a model's answers differ little in theirs."""
    custom = b"" if custom_attributes is None else b"X-Amzn-SageMaker-Custom-Attributes: %b\r\n" % custom_attributes
    kind = b"Content-Type: %b\r\n" % content_type if content_type else b""
    if length is not None:
        framing = b"Content-Length: %d\r\n" % length
    else:
        framing = b"" if option is _CLOSE else b"Transfer-Encoding: chunked\r\n"
    return b"x-Amzn-Invoked-Production-Variant: %b\r\n%b%b%b%b\r\n" % (
        variant.encode("latin-1", "replace"),
        kind,
        custom,
        framing,
        option,
    )


def error_response(error: CallerError, option: bytes) -> bytes:
    """A whole error response, as rest-json has it."""
    body = json.dumps({"Message": error.message, **error.members}).encode()
    # A body that is too large is refused by AWS without a code of its own.
    code = f"x-amzn-errortype: {error.code}\r\n" if error.code else ""
    head = (
        f"HTTP/1.1 {error.status} {_REASONS.get(error.status, 'Error')}\r\nx-amzn-requestid: {os.urandom(16).hex()}\r\n"
        f"{code}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return head.encode("latin-1", "replace") + option + b"\r\n" + body


def not_found(name: str, account: str, status: str | None) -> CallerError:
    """There is no endpoint of this name that takes requests."""
    why = "" if status is None else f" Its status is {status}."
    return CallerError("ValidationError", f"Endpoint {name} of account {account} not found.{why}")


def no_such_variant(name: str, variant: str) -> CallerError:
    """The endpoint has no variant of the name that was asked for."""
    return CallerError("ValidationError", f"Variant {variant} not found for endpoint {name}.")


def not_served(name: str, member: str) -> CallerError:
    """The request names a model among several, and there is one."""
    text = f"{member} is not supported: endpoint {name} serves one model per variant, in one container."
    return CallerError("ValidationError", text)


def throttled() -> CallerError:
    """Too much is waiting."""
    return CallerError("ThrottlingException", "Rate exceeded")


def too_large(most: int) -> CallerError:
    """The body is larger than what a model is sent."""
    return CallerError("", f"HTTP content length exceeded {most} bytes.", status=413)


def unavailable(message: str) -> CallerError:
    """Something of the platform is not there just now."""
    return CallerError("ServiceUnavailable", message, status=503)


def model_error(status: int, body: bytes, *, endpoint: str, region: str, account: str) -> CallerError:
    """The model answered with an error, or (``status`` 0) not at all."""
    original = body[:_MESSAGE_BYTES].decode("utf-8", "replace")
    side = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    message = (
        f'Received {side} error ({status}) from primary with message "{original}". '
        f"See {group} in account {account} for more information."
    )
    members: dict[str, Any] = {
        "OriginalStatusCode": status,
        "OriginalMessage": original,
        "LogStreamArn": f"arn:aws:logs:{region}:{account}:log-group:{group}",
    }
    return CallerError("ModelError", message, status=424, members=members)


def broken_off(why: bytes, *, endpoint: str, account: str) -> str:
    """What the last event of a stream says that the model did not finish."""
    text = why[:_MESSAGE_BYTES].decode("utf-8", "replace")
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    return f'The model broke off its response: "{text}". See {group} in account {account} for more information.'


def stream_overdue(seconds: float) -> str:
    """What the last event of a stream says that took longer than one may."""
    return f"The model did not finish its response within {seconds:g} seconds (invocation_stream_seconds)."
