"""Operation results to responses: one writer per operation and protocol, compiled on first use.

A writer takes the members of the output shape; absent optional members are absent (or None), lists that are there and
empty are written empty. Members that the shape does not know are left out; the engine's strict mode refuses them.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

from sagebrush.substrate.wire import cbor, json_writer, s3_shapes, timestamps
from sagebrush.substrate.wire.http import HttpResponse
from sagebrush.substrate.wire.json_writer import JsonWriter
from sagebrush.substrate.wire.locations import header_text, header_writer
from sagebrush.substrate.wire.model import Service
from sagebrush.substrate.wire.shapes import wire_name
from sagebrush.substrate.wire.xml_writer import DECLARATION, XmlWriter, escape, namespace_attribute


class CborWriter(JsonWriter):
    """Compiles shapes to writers of what :func:`cbor.dump` takes."""

    def _timestamp(self, shape: Any) -> Callable[[Any], Any]:
        return _same

    def _blob(self, shape: Any) -> Callable[[Any], Any]:
        return lambda value: value.encode("utf-8") if isinstance(value, str) else value

    def _float(self, shape: Any) -> Callable[[Any], Any]:
        return float

    _double = _float


def _same(value: Any) -> Any:
    return value


class WriterCompilers:
    """The shape compilers of one service's outputs and errors."""

    def __init__(self, service: Service) -> None:
        self.lock = threading.RLock()
        self.json = JsonWriter()
        self.cbor = CborWriter()
        moment = timestamps.to_iso8601_milliseconds if service.name == "s3" else timestamps.to_iso8601
        self.xml = XmlWriter(moment)


class OutputWriter(ABC):
    """Writes the output of one operation."""

    def __init__(self, service: Service, operation: Any, compilers: WriterCompilers):
        self._service = service
        self._operation = operation
        self._shape = operation.output_shape
        self._compile(compilers)

    @abstractmethod
    def _compile(self, compilers: WriterCompilers) -> None:
        """Compile what writing needs. The shape may be None."""

    @abstractmethod
    def __call__(self, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        """The response that carries ``result``."""


class JsonOutput(OutputWriter):
    """awsJson 1.0 and 1.1."""

    def _compile(self, compilers: WriterCompilers) -> None:
        self._writer = None if self._shape is None else compilers.json.compile(self._shape)
        self._content_type = f"application/x-amz-json-{self._service.json_version}"

    def __call__(self, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        # AWS answers operations without an output with an empty body; those with an empty output with {}.
        body = b"" if self._writer is None else json_writer.dump(self._writer(result))
        return HttpResponse(200, {"content-type": self._content_type, "x-amzn-requestid": request_id}, body)


class CborOutput(OutputWriter):
    """smithy-rpc-v2-cbor."""

    def _compile(self, compilers: WriterCompilers) -> None:
        self._writer = None if self._shape is None else compilers.cbor.compile(self._shape)

    def __call__(self, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        headers = {"smithy-protocol": "rpc-v2-cbor", "x-amzn-requestid": request_id}
        if self._writer is None:
            return HttpResponse(200, headers, b"")
        headers["content-type"] = "application/cbor"
        return HttpResponse(200, headers, cbor.dump(self._writer(result)))


class QueryOutput(OutputWriter):
    """The query protocol: ``<XResponse><XResult>...</XResult><ResponseMetadata>...``."""

    def _compile(self, compilers: WriterCompilers) -> None:
        self._content = None if self._shape is None else compilers.xml.content(self._shape)
        self._wrapper = self._shape.serialization.get("resultWrapper") if self._shape else None
        namespace = self._service.metadata.get("xmlNamespace", "")
        self._namespace = f' xmlns="{escape(namespace)}"' if namespace else ""

    def __call__(self, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        name = f"{self._operation.name}Response"
        pieces = [f"<{name}{self._namespace}>"]
        if self._content is not None:
            wrapper = self._wrapper
            if wrapper:
                pieces.append(f"<{wrapper}>")
            self._content(result, pieces)
            if wrapper:
                pieces.append(f"</{wrapper}>")
        pieces.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}>")
        headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
        return HttpResponse(200, headers, "".join(pieces).encode("utf-8", "replace"))


class RestOutput(OutputWriter):
    """What both REST protocols share: status, headers, and a body or a payload member."""

    def _compile(self, compilers: WriterCompilers) -> None:
        self._status = int(self._operation.http.get("responseCode", 200))
        self._payload: str | None = None
        self._headers: list[tuple[str, str, Callable[[Any], str]]] = []
        self._prefixes: list[tuple[str, str]] = []
        self._status_member: str | None = None
        self._has_body = False
        if self._shape is None:
            return
        self._payload = self._shape.serialization.get("payload")
        for name, member in self._shape.members.items():
            self._locate(name, member)
        self._body_shape = self._shape if self._payload is None else self._shape.members[self._payload]
        if self._has_body and self._body_shape.type_name not in ("blob", "string"):
            self._compile_body(compilers)

    def _locate(self, name: str, member: Any) -> None:
        location = member.serialization.get("location")
        if location == "header":
            self._headers.append((name, wire_name(member, name).lower(), header_writer(member)))
        elif location == "headers":
            self._prefixes.append((name, member.serialization.get("name", "").lower()))
        elif location == "statusCode":
            self._status_member = name
        else:
            self._has_body = True

    @abstractmethod
    def _compile_body(self, compilers: WriterCompilers) -> None:
        """Compile the writer of the body's shape."""

    @abstractmethod
    def _structured(self, value: Any) -> tuple[bytes, str]:
        """(body, content type) of the body's or payload's value."""

    def _request_id(self, request_id: str) -> dict[str, str]:
        return {"x-amzn-requestid": request_id}

    def __call__(self, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        headers = self._request_id(request_id)
        body, content_type = self._body(result)
        if content_type:
            headers["content-type"] = content_type
        for name, header, write in self._headers:
            value = result.get(name)
            if value is not None and value != []:
                headers[header] = header_text(write(value))
        for name, prefix in self._prefixes:
            for key, value in (result.get(name) or {}).items():
                headers[f"{prefix}{header_text(key).lower()}"] = header_text(value)
        status = self._status
        if self._status_member is not None:
            status = int(result.get(self._status_member) or status)
        return HttpResponse(status, headers, body)

    def _body(self, result: Mapping[str, Any]) -> tuple[bytes, str]:
        if not self._has_body:
            return self._no_body()
        if self._payload is None:
            return self._structured(result)
        value = result.get(self._payload)
        if value is None:
            return b"", ""
        if isinstance(value, str) and self._body_shape.type_name in ("blob", "string"):
            return value.encode("utf-8", "replace"), "text/plain"
        if self._body_shape.type_name == "blob":
            return bytes(value), "application/octet-stream"
        return self._structured(value)

    def _no_body(self) -> tuple[bytes, str]:
        return b"", ""


class RestJsonOutput(RestOutput):
    """rest-json."""

    def _compile_body(self, compilers: WriterCompilers) -> None:
        self._writer = compilers.json.compile(self._body_shape)

    def _structured(self, value: Any) -> tuple[bytes, str]:
        return json_writer.dump(self._writer(value)), "application/json"

    def _no_body(self) -> tuple[bytes, str]:
        return b"" if self._status == 204 else b"{}", "application/json"


class RestXmlOutput(RestOutput):
    """rest-xml, with S3's own root elements and request id headers."""

    def _compile_body(self, compilers: WriterCompilers) -> None:
        self._content = compilers.xml.compile(self._body_shape)
        name = self._operation.name
        self._is_bare_text = self._service.name == "s3" and name in s3_shapes.BARE_TEXT
        own = self._body_shape.serialization.get("name", self._body_shape.name)
        self._root: str = own
        self._root_attribute = ""
        if self._service.name == "s3":
            self._root = s3_shapes.BARE_TEXT.get(name) or s3_shapes.ROOTS.get(name, own)
            if not namespace_attribute(self._body_shape):
                self._root_attribute = f' xmlns="{s3_shapes.NAMESPACE}"'

    def _structured(self, value: Any) -> tuple[bytes, str]:
        root = self._root
        pieces = [DECLARATION]
        if self._is_bare_text:
            pieces.append(f"<{root}>{escape(str(value.get(root) or ''))}</{root}>")
        else:
            self._content(value, root, pieces)
        if self._root_attribute:
            pieces[1] = pieces[1].replace(f"<{root}", f"<{root}{self._root_attribute}", 1)
        return "".join(pieces).encode("utf-8", "replace"), "application/xml"

    def _request_id(self, request_id: str) -> dict[str, str]:
        if self._service.name == "s3":
            return {"x-amz-request-id": request_id, "x-amz-id-2": request_id}
        return {"x-amzn-requestid": request_id}


_WRITERS: Final[Mapping[str, type[OutputWriter]]] = {
    "json": JsonOutput,
    "query": QueryOutput,
    "rest-json": RestJsonOutput,
    "rest-xml": RestXmlOutput,
    "smithy-rpc-v2-cbor": CborOutput,
}


def output_writer(service: Service, operation: Any, protocol: str, compilers: WriterCompilers) -> OutputWriter:
    """The writer of an operation's output in one protocol."""
    with compilers.lock:
        return _WRITERS[protocol](service, operation, compilers)
