"""Requests to the operation's input: one reader per operation and protocol, compiled on first use.

What comes out is parsed *and* valid. A legal request takes one cheap pass; for the others the slow one finds the words.
"""

from __future__ import annotations

import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import (
    addresses,
    cbor,
    json_body,
    json_explain,
    query_reader,
    refusals,
    validate,
    xml_body,
)
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.json_reader import JsonReader, Rejected
from sagebrush.substrate.wire.locations import LocationReader, Misplaced, Query
from sagebrush.substrate.wire.model import Service
from sagebrush.substrate.wire.query_reader import QueryReader
from sagebrush.substrate.wire.validate import LegalityCompiler
from sagebrush.substrate.wire.xml_reader import XmlReader

#: A compressed body may not grow beyond this.
_DECOMPRESSED_BYTES: Final = 16 * 1024 * 1024


class Located(NamedTuple):
    """What routing found out about a request besides its operation."""

    labels: Mapping[str, str]
    query: Query


class Compilers:
    """The shape compilers of one service. Compiling is serialised by a lock; compiled readers need none."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.json = JsonReader()
        self.xml = XmlReader()
        self.query = QueryReader()
        self.legality = LegalityCompiler()


class InputReader(ABC):
    """Reads the input of one operation."""

    def __init__(self, service: Service, operation: Any, compilers: Compilers):
        self._service = service
        self._operation = operation
        self._shape = operation.input_shape
        self._compile(compilers)

    @abstractmethod
    def _compile(self, compilers: Compilers) -> None:
        """Compile what :meth:`_read` and :meth:`_is_legal` need. The shape may be None."""

    @abstractmethod
    def _read(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        """The parsed input; may raise Rejected, Misplaced, ValueError or CallerError."""

    def __call__(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        """The parsed and valid input. Raises CallerError with the service's own code and words."""
        if self._shape is None:
            return {}
        try:
            return self._checked(request, located)
        except Misplaced as error:
            raise refusals.misplaced(self._service, self._operation, error) from None
        except RecursionError:
            raise json_body.serialization_error("The request body is nested too deeply") from None
        except ValueError:
            raise refusals.unreadable(self._service) from None

    def _checked(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        try:
            value = self._read(request, located)
            if self._is_legal(value):
                return value
        except Rejected:
            value = self._explain(request, located)
        found = validate.violations(self._shape, value)
        if found:
            raise refusals.invalid(self._service, self._operation, found)
        return value

    def _is_legal(self, value: dict[str, Any]) -> bool:
        return True

    def _explain(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        raise NotImplementedError


class JsonInput(InputReader):
    """awsJson 1.0 and 1.1: everything in the body."""

    def _compile(self, compilers: Compilers) -> None:
        if self._shape is not None:
            self._reader = compilers.json.compile(self._shape)

    def _read(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        value: dict[str, Any] = self._reader(json_body.load(plain_body(request)))
        return value

    def _explain(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        value: dict[str, Any] = json_explain.read(self._shape, json_body.load(plain_body(request)))
        return value


class CborInput(InputReader):
    """smithy-rpc-v2-cbor: everything in the body."""

    def _compile(self, compilers: Compilers) -> None:
        if self._shape is not None:
            self._legal = compilers.legality.compile(self._shape)

    def _read(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        value: dict[str, Any] = json_explain.read(self._shape, cbor.load(plain_body(request)))
        return value

    def _is_legal(self, value: dict[str, Any]) -> bool:
        legal: bool = self._legal(value)
        return legal


class QueryInput(InputReader):
    """The query protocol: form fields in the body, in the query string, or in both."""

    def _compile(self, compilers: Compilers) -> None:
        if self._shape is not None:
            self._reader = compilers.query.compile(self._shape)
            self._legal = compilers.legality.compile(self._shape)

    def _read(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        pairs = [(name, text) for name, texts in located.query.items() for text in texts]
        pairs += form_fields(request)
        value: dict[str, Any] = self._reader(query_reader.tree(pairs))
        return value

    def _is_legal(self, value: dict[str, Any]) -> bool:
        legal: bool = self._legal(value)
        return legal


class RestInput(InputReader):
    """What both REST protocols share: members in URI, query and headers, and a body or a payload member."""

    def _compile(self, compilers: Compilers) -> None:
        if self._shape is None:
            return
        self._locations = LocationReader(self._shape)
        self._payload: str | None = self._shape.serialization.get("payload")
        if self._payload is None:
            self._body_shape = self._shape
            self._has_body = any("location" not in member.serialization for member in self._shape.members.values())
        else:
            self._body_shape = self._shape.members[self._payload]
            self._has_body = True
        if self._has_body and self._body_shape.type_name not in ("blob", "string"):
            self._reader = self._body_compiler(compilers)

    def _body_compiler(self, compilers: Compilers) -> Any:
        raise NotImplementedError

    def _read(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        result: dict[str, Any] = {}
        if self._has_body:
            self._read_body(request, result)
        result.update(self._locations.read(located.labels, located.query, request.headers))
        return result

    def _read_body(self, request: HttpRequest, result: dict[str, Any]) -> None:
        if self._payload is None:
            result.update(self._structured(request))
        elif not request.body and self._payload not in self._shape.required_members:
            return
        elif self._body_shape.type_name == "blob":
            result[self._payload] = request.body
        elif self._body_shape.type_name == "string":
            result[self._payload] = request.body.decode("utf-8")
        elif request.body and not self._body_shape.serialization.get("eventstream"):
            result[self._payload] = self._structured(request)

    @abstractmethod
    def _structured(self, request: HttpRequest) -> Any:
        """The body read by its shape."""


class RestJsonInput(RestInput):
    """rest-json. The body's reader checks the body, the legality test the rest."""

    def _compile(self, compilers: Compilers) -> None:
        super()._compile(compilers)
        if self._shape is None:
            return
        self._required = frozenset(self._shape.required_members)
        # A structure in the payload was checked by its reader; text and bytes were not.
        names = [*self._locations.names, *([self._payload] if self._payload is not None else [])]
        tests = [(name, compilers.legality.compile(self._shape.members[name])) for name in names]
        self._located = [(name, test) for name, test in tests if test is not validate.always]

    def _body_compiler(self, compilers: Compilers) -> Any:
        return compilers.json.compile(self._body_shape)

    def _structured(self, request: HttpRequest) -> Any:
        return self._reader(json_body.load(plain_body(request)))

    def _is_legal(self, value: dict[str, Any]) -> bool:
        if not self._required.issubset(value):
            return False
        return all(test(value[name]) for name, test in self._located if name in value)

    def _explain(self, request: HttpRequest, located: Located) -> dict[str, Any]:
        body = json_explain.read(self._body_shape, json_body.load(plain_body(request)))
        result: dict[str, Any] = body if self._payload is None else {self._payload: body}
        result.update(self._locations.read(located.labels, located.query, request.headers))
        return result


class RestXmlInput(RestInput):
    """rest-xml."""

    def _compile(self, compilers: Compilers) -> None:
        super()._compile(compilers)
        if self._shape is not None:
            self._legal = compilers.legality.compile(self._shape)

    def _is_legal(self, value: dict[str, Any]) -> bool:
        legal: bool = self._legal(value)
        return legal

    def _body_compiler(self, compilers: Compilers) -> Any:
        self._flattened = bool(self._body_shape.serialization.get("flattened"))
        return compilers.xml.compile(self._body_shape)

    def _structured(self, request: HttpRequest) -> Any:
        body = plain_body(request)
        if not body:
            return {}
        root = xml_body.load(body)
        return self._reader([root] if self._flattened else root)


_READERS: Final[Mapping[str, type[InputReader]]] = {
    "json": JsonInput,
    "query": QueryInput,
    "rest-json": RestJsonInput,
    "rest-xml": RestXmlInput,
    "smithy-rpc-v2-cbor": CborInput,
}


def input_reader(service: Service, operation: Any, protocol: str, compilers: Compilers) -> InputReader:
    """The reader of an operation's input in one protocol."""
    with compilers.lock:
        return _READERS[protocol](service, operation, compilers)


def plain_body(request: HttpRequest) -> bytes:
    """The body, decompressed when it says gzip (botocore compresses large PutMetricData calls)."""
    if request.headers.get("content-encoding") != "gzip":
        return request.body
    decompressor = zlib.decompressobj(wbits=31)
    try:
        body = decompressor.decompress(request.body, _DECOMPRESSED_BYTES)
    except zlib.error:
        raise json_body.serialization_error("The request body is not valid gzip") from None
    if not decompressor.eof:
        raise json_body.serialization_error("The decompressed request body is too large or incomplete")
    return body


def form_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """The form fields of a body. Raises CallerError when it is not ASCII, as a form must be."""
    try:
        return addresses.parse_query(plain_body(request).decode("ascii"))
    except UnicodeDecodeError:
        raise CallerError("MalformedInput", "The form in the request body is not percent-encoded") from None


__all__ = ["Compilers", "InputReader", "Located", "form_fields", "input_reader", "plain_body"]
