"""Event streams by service model: the messages of an operation whose output has a member with ``eventstream``.

Source: "Event streams", Smithy specification (AWS); read back by botocore's own parser in the tests. The front door,
which has no service models, frames its parts with :mod:`event_messages` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.wire import json_writer
from sagebrush.substrate.wire.conformity import require
from sagebrush.substrate.wire.event_messages import HeaderValue, encode
from sagebrush.substrate.wire.model import Service
from sagebrush.substrate.wire.shapes import wire_name
from sagebrush.substrate.wire.writing import WriterCompilers

_INITIAL: Final = "initial-response"


def event_member(shape: Any) -> str | None:
    """The member of an output shape that is an event stream, or None."""
    members = {} if shape is None else shape.members
    return next((name for name, member in members.items() if member.serialization.get("eventstream")), None)


class EventStreamWriter:
    """Encodes the messages of one operation's event stream. Raises Fault for an operation that has none.

    What is not of the model (an unknown event, a member that is missing or of another type) is a Fault too.
    """

    def __init__(self, service: Service, operation: Any, compilers: WriterCompilers | None = None):
        name = event_member(operation.output_shape)
        if name is None:
            raise Fault(f"{operation.name} has no event stream")
        self._operation = operation
        self._stream = operation.output_shape.members[name]
        self._compilers = compilers or WriterCompilers(service)
        self._is_xml = service.protocol.endswith("xml")
        self._structured = "text/xml" if self._is_xml else "application/json"
        if service.protocol == "json":
            self._structured = f"application/x-amz-json-{service.json_version}"

    def initial_response(self, result: Mapping[str, Any]) -> bytes:
        """What an RPC protocol sends first: the members of the output beside the stream."""
        payload = json_writer.dump(self._compilers.json.compile(self._operation.output_shape)(result))
        return encode(self._headers(":event-type", _INITIAL, self._structured), payload)

    def event(self, name: str, members: Mapping[str, Any]) -> bytes:
        """An event with its members."""
        shape = self._member(name, exception=False)
        require(shape, members, name)
        content_type, payload = self._payload(shape, members)
        headers = self._headers(":event-type", name, content_type)
        for member, value in members.items():
            if shape.members[member].serialization.get("eventheader"):
                headers[member] = _header_value(value)
        return encode(headers, payload)

    def exception(self, name: str, members: Mapping[str, Any]) -> bytes:
        """A modelled exception, after which nothing follows."""
        shape = self._member(name, exception=True)
        require(shape, members, name)
        content_type, payload = self._payload(shape, members)
        return encode(self._headers(":exception-type", name, content_type), payload)

    def error(self, code: str, message: str) -> bytes:
        """An error that the model does not know, after which nothing follows."""
        return encode({":message-type": "error", ":error-code": code, ":error-message": message}, b"")

    def _member(self, name: str, *, exception: bool) -> Any:
        shape = self._stream.members.get(name)
        if shape is None or bool(shape.metadata.get("exception")) is not exception:
            kind = "exception" if exception else "event"
            raise Fault(f"the event stream of {self._operation.name} has no {kind} {name}")
        return shape

    def _headers(self, key: str, name: str, content_type: str) -> dict[str, HeaderValue]:
        kind = "exception" if key == ":exception-type" else "event"
        headers: dict[str, HeaderValue] = {":message-type": kind, key: name}
        if content_type:
            headers[":content-type"] = content_type
        return headers

    def _payload(self, shape: Any, members: Mapping[str, Any]) -> tuple[str, bytes]:
        """Content type and payload: the member that is all of it, else what is no header as one structure."""
        explicit = next((n for n, m in shape.members.items() if m.serialization.get("eventpayload")), None)
        if explicit is None:
            kept = {n: v for n, v in members.items() if not shape.members[n].serialization.get("eventheader")}
            return (self._structured, self._written(shape, kept)) if shape.members else ("", b"")
        value, payload_shape = members.get(explicit), shape.members[explicit]
        if payload_shape.type_name == "blob":
            return "application/octet-stream", value.encode() if isinstance(value, str) else bytes(value or b"")
        if payload_shape.type_name == "string":
            return "text/plain", (value or "").encode("utf-8", "replace")
        return self._structured, self._written(payload_shape, value or {})

    def _written(self, shape: Any, value: Mapping[str, Any]) -> bytes:
        if not self._is_xml:
            return json_writer.dump(self._compilers.json.compile(shape)(value))
        pieces: list[str] = []
        self._compilers.xml.compile(shape)(value, wire_name(shape, shape.name), pieces)
        return "".join(pieces).encode("utf-8", "replace")


def _header_value(value: Any) -> HeaderValue:
    """A member as the value of a header; its type has been checked."""
    plain: HeaderValue = bytes(value) if isinstance(value, bytearray) else value
    return plain
