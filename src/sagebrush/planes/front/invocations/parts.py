"""The events of InvokeEndpointWithResponseStream: parts of the answer, and how it ends when it does not end well.

Source: "ResponseStream", "ModelStreamError" and "InternalStreamFailure", Amazon SageMaker Runtime API Reference.
"""

from __future__ import annotations

import json
from typing import Final

from sagebrush.substrate.wire.event_messages import encode, encode_headers, frame

#: Bytes of the model's answer in one event.
_MOST: Final = 1_000_000
_MESSAGE: Final = 1024
_PART: Final = encode_headers(
    {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}
)

#: The model did not finish within the time that a stream has.
TIME_EXCEEDED: Final = "ModelInvocationTimeExceeded"
#: The model's side of the stream is gone.
STREAM_BROKEN: Final = "StreamBroken"


def payload_parts(data: bytes) -> bytes:
    """What has come of the answer, as one event or several."""
    if len(data) <= _MOST:
        return frame(_PART, data)
    return b"".join([frame(_PART, data[start : start + _MOST]) for start in range(0, len(data), _MOST)])


def model_stream_error(message: str, code: str) -> bytes:
    """The model broke off."""
    return _exception("ModelStreamError", {"Message": message[:_MESSAGE], "ErrorCode": code})


def internal_stream_failure(message: str) -> bytes:
    """The platform broke off."""
    return _exception("InternalStreamFailure", {"Message": message[:_MESSAGE]})


def _exception(name: str, members: dict[str, str]) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return encode(dict(headers), json.dumps(members).encode())
