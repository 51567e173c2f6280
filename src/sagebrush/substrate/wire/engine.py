"""The protocol engine: requests of AWS clients in, responses out, for any set of services on one URL.

    routed = engine.route(request)          # which service and operation
    params = routed.parse(request)          # parsed and valid, as botocore's shapes name it
    response = engine.serialize(routed.service, routed.operation, result, request_id, routed)

It knows shapes and protocols, no service (S3's peculiarities stand in ``s3_shapes`` and ``refusals``). Nothing here
does I/O, reads a clock or keeps state besides compiled operations; all of it may be called from many threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sagebrush.substrate.errors import CallerError, Fault
from sagebrush.substrate.wire import conformity, model
from sagebrush.substrate.wire.addresses import S3_HOSTS
from sagebrush.substrate.wire.errors_format import ErrorWriter
from sagebrush.substrate.wire.http import HttpRequest, HttpResponse
from sagebrush.substrate.wire.model import Service
from sagebrush.substrate.wire.reading import Compilers, InputReader, Located, input_reader
from sagebrush.substrate.wire.routing import Found, Hint, Router
from sagebrush.substrate.wire.writing import OutputWriter, WriterCompilers, output_writer


@dataclass(slots=True)
class Routed:
    """A request whose operation is known.

    ``protocol`` is the one the client chose, ``signing_name`` the service that its credential scope must name.
    """

    service: str
    operation: str
    protocol: str
    reader: InputReader = field(repr=False)
    located: Located = field(repr=False)
    signing_name: str = ""

    def parse(self, request: HttpRequest) -> dict[str, Any]:
        """The operation's input, parsed and valid. Raises CallerError with AWS's code and words."""
        return self.reader(request, self.located)


class Engine:
    """Serves the named services. With ``strict`` a result that is no legal output raises Fault (for tests)."""

    def __init__(
        self,
        service_names: Iterable[str] = (),
        *,
        strict: bool = False,
        s3_hosts: tuple[str, ...] = S3_HOSTS,
        services: Mapping[str, Service] | None = None,
    ):
        self._services = dict(services) if services is not None else model.load(service_names)
        self._strict = strict
        self._router = Router(self._services.values(), s3_hosts)
        self._read_compilers = {name: Compilers() for name in self._services}
        self._write_compilers = {name: WriterCompilers(service) for name, service in self._services.items()}
        self._readers: dict[tuple[str, str, str], InputReader] = {}
        self._writers: dict[tuple[str, str, str], OutputWriter] = {}
        self._error_writers = {
            name: ErrorWriter(service, self._write_compilers[name]) for name, service in self._services.items()
        }

    def route(self, request: HttpRequest) -> Routed:
        """The service and operation of a request. Raises CallerError ``UnknownOperationException`` and its like."""
        found = self._router.find(request)
        key = (found.service.name, found.operation, found.protocol)
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = self._compile_reader(found)
        return Routed(*key, reader, found.located, found.service.signing_name)

    def serialize(
        self,
        service: str,
        operation: str,
        result: Mapping[str, Any],
        request_id: str,
        routed: Routed | None = None,
    ) -> HttpResponse:
        """The response for an operation's result, in the client's protocol (``routed``) or the service's own."""
        protocol = routed.protocol if routed is not None else self._services[service].protocol
        key = (service, operation, protocol)
        writer = self._writers.get(key)
        if writer is None:
            writer = self._writers[key] = self._compile_writer(*key)
        if self._strict:
            conformity.require(self.output_shape(service, operation), result, f"{service}.{operation}")
        return writer(result, request_id)

    def serialize_error(
        self,
        service: str | None,
        operation: str | None,
        error: CallerError,
        request_id: str,
        routed: Routed | None = None,
        request: HttpRequest | None = None,
    ) -> HttpResponse:
        """The response for an error, in the protocol that the client speaks.

        Without a service (the request could not be routed) the request's own marks decide: its target header, its
        form, its credential scope.
        """
        hint = self._router.hint(request) if request is not None else Hint(None, "json", "1.1")
        known = self._services.get(service) if service is not None else hint.service
        protocol, version = hint.protocol, hint.json_version
        if known is not None:
            version = known.json_version
            protocol = protocol if protocol in known.protocols else known.protocol
        if routed is not None:
            protocol = routed.protocol
        writer = self._error_writers[known.name] if known is not None else ErrorWriter(None, None)
        method = request.method if request is not None else "POST"
        return writer.write(error, protocol, version, request_id, method)

    def operation(self, service: str, operation: str) -> Any:
        """botocore's OperationModel. Raises CallerError ``UnknownOperationException``."""
        if service not in self._services:
            raise model.unknown_operation(f"The service {service} is not served here")
        return self._services[service].operation(operation)

    def input_shape(self, service: str, operation: str) -> Any:
        """botocore's input shape, or None."""
        return self.operation(service, operation).input_shape

    def output_shape(self, service: str, operation: str) -> Any:
        """botocore's output shape, or None."""
        return self.operation(service, operation).output_shape

    def service(self, name: str) -> Service:
        """A served service's schema. Raises Fault when it is not served."""
        if name not in self._services:
            raise Fault(f"the engine does not serve {name}")
        return self._services[name]

    def _compile_writer(self, service: str, operation: str, protocol: str) -> OutputWriter:
        model_of_it = self.operation(service, operation)
        if model_of_it.has_event_stream_output:
            raise Fault(f"{service}.{operation} answers with an event stream, not with one response")
        return output_writer(self._services[service], model_of_it, protocol, self._write_compilers[service])

    def _compile_reader(self, found: Found) -> InputReader:
        compilers = self._read_compilers[found.service.name]
        return input_reader(found.service, found.service.operation(found.operation), found.protocol, compilers)
