"""Errors as each protocol writes them.

=================  ==================================================================================================
awsJson            ``{"__type": "ValidationException", "message": "..."}``, the service's own JSON version, and
                   ``x-amzn-query-error`` from services that once spoke query
rest-json          the same, and the code in ``x-amzn-errortype``
query              ``<ErrorResponse><Error><Type>Sender</Type><Code>...``
S3                 ``<Error><Code>...</Code><Message>...</Message>...<RequestId>...``; nothing in answer to HEAD
=================  ==================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import cbor, json_writer
from sagebrush.substrate.wire.http import HttpResponse
from sagebrush.substrate.wire.locations import header_text, header_writer
from sagebrush.substrate.wire.model import Service
from sagebrush.substrate.wire.shapes import wire_name
from sagebrush.substrate.wire.writing import WriterCompilers
from sagebrush.substrate.wire.xml_writer import DECLARATION, escape


class ErrorWriter:
    """Writes errors of one service, or of none when a request could not be attributed to any."""

    def __init__(self, service: Service | None, compilers: WriterCompilers | None):
        self._service = service
        self._compilers = compilers

    def write(self, error: CallerError, protocol: str, json_version: str, request_id: str, method: str) -> HttpResponse:
        """The response for ``error`` in ``protocol``."""
        shape = self._service.error_shape(error.code) if self._service is not None else None
        status = _status(error, shape, protocol)
        writer: Callable[..., HttpResponse] = getattr(self, _METHODS[protocol])
        response = writer(error, shape, status, request_id, json_version)
        # An answer to HEAD has no body; the client reads the status alone.
        return HttpResponse(response.status, response.headers) if method == "HEAD" else response

    def _json(self, error: CallerError, shape: Any, status: int, request_id: str, json_version: str) -> HttpResponse:
        headers = {"content-type": f"application/x-amz-json-{json_version}", "x-amzn-requestid": request_id}
        self._add_query_error(error, shape, status, headers)
        body = {"__type": shape.name if shape is not None else error.code}
        body.update(self._members(error, shape, "json"))
        return HttpResponse(status, headers, json_writer.dump(body))

    def _cbor(self, error: CallerError, shape: Any, status: int, request_id: str, json_version: str) -> HttpResponse:
        headers = {
            "content-type": "application/cbor",
            "smithy-protocol": "rpc-v2-cbor",
            "x-amzn-requestid": request_id,
        }
        self._add_query_error(error, shape, status, headers)
        body = {"__type": shape.name if shape is not None else error.code}
        body.update(self._members(error, shape, "cbor"))
        return HttpResponse(status, headers, cbor.dump(body))

    def _rest_json(
        self, error: CallerError, shape: Any, status: int, request_id: str, json_version: str
    ) -> HttpResponse:
        headers = {
            "content-type": "application/json",
            "x-amzn-errortype": header_text(error.code),
            "x-amzn-requestid": request_id,
            **_header_members(error, shape),
        }
        return HttpResponse(status, headers, json_writer.dump(self._members(error, shape, "json")))

    def _query(self, error: CallerError, shape: Any, status: int, request_id: str, json_version: str) -> HttpResponse:
        namespace = self._service.metadata.get("xmlNamespace", "") if self._service is not None else ""
        attribute = f' xmlns="{escape(namespace)}"' if namespace else ""
        pieces = [f"<ErrorResponse{attribute}><Error><Type>{_fault(status)}</Type>"]
        pieces += [f"<Code>{escape(_code(error, shape))}</Code><Message>{escape(error.message)}</Message>"]
        self._xml_members(error, shape, pieces)
        pieces.append(f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>")
        headers = {"content-type": "text/xml", "x-amzn-requestid": request_id}
        return HttpResponse(status, headers, "".join(pieces).encode("utf-8", "replace"))

    def _rest_xml(
        self, error: CallerError, shape: Any, status: int, request_id: str, json_version: str
    ) -> HttpResponse:
        if self._service is not None and self._service.name != "s3":
            response = self._query(error, shape, status, request_id, json_version)
            response.headers.update(_header_members(error, shape))
            return response
        pieces = [DECLARATION, f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"]
        for name, value in error.members.items():
            pieces.append(f"<{name}>{escape(str(value))}</{name}>")
        pieces.append(f"<RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>")
        headers = {"content-type": "application/xml", "x-amz-request-id": request_id, "x-amz-id-2": request_id}
        return HttpResponse(status, headers, "".join(pieces).encode("utf-8", "replace"))

    def _members(self, error: CallerError, shape: Any, form: str) -> dict[str, Any]:
        """The message under the name that the modelled error gives it, and its further members."""
        name = "message"
        members: dict[str, Any] = {}
        if shape is not None and self._compilers is not None:
            name = next((member for member in shape.members if member.lower() == "message"), name)
            with self._compilers.lock:
                write = getattr(self._compilers, form).compile(shape)
            members = write(error.members)
        return {name: error.message, **members}

    def _xml_members(self, error: CallerError, shape: Any, pieces: list[str]) -> None:
        if shape is not None and self._compilers is not None and error.members:
            with self._compilers.lock:
                content = self._compilers.xml.content(shape)
            content(error.members, pieces)

    def _add_query_error(self, error: CallerError, shape: Any, status: int, headers: dict[str, str]) -> None:
        if self._service is not None and self._service.is_query_compatible:
            headers["x-amzn-query-error"] = header_text(f"{_code(error, shape)};{_fault(status)}")


_METHODS: Final[Mapping[str, str]] = {
    "json": "_json",
    "rest-json": "_rest_json",
    "query": "_query",
    "rest-xml": "_rest_xml",
    "smithy-rpc-v2-cbor": "_cbor",
}


def _header_members(error: CallerError, shape: Any) -> dict[str, str]:
    """The members of a modelled error that REST services send as headers."""
    members = shape.members if shape is not None else {}
    return {
        wire_name(member, name).lower(): header_text(header_writer(member)(error.members[name]))
        for name, member in members.items()
        if member.serialization.get("location") == "header" and error.members.get(name) is not None
    }


def _code(error: CallerError, shape: Any) -> str:
    return str(shape.error_code) if shape is not None else error.code


def _fault(status: int) -> str:
    return "Receiver" if status >= 500 else "Sender"


def _status(error: CallerError, shape: Any, protocol: str) -> int:
    """The error's own status; where that is the default, REST and query services use the modelled one."""
    if error.status != 400 or shape is None or protocol == "json":
        return error.status
    modelled = shape.metadata.get("error", {}).get("httpStatusCode")
    return int(modelled) if modelled else error.status
