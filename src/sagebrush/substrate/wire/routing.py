"""Which service and operation a request on the one URL is for.

In this order, because each mark is surer than the next: the target header of awsJson; the header and path of
rpc-v2-cbor; method and path among the REST services that the credential scope names (from the Authorization header or
the query string of a presigned request); the ``Action`` of the query protocol; else S3.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Final, NamedTuple

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import addresses
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.model import Service, unknown_operation
from sagebrush.substrate.wire.reading import Located, form_fields
from sagebrush.substrate.wire.rest_routes import RestRoutes

_CBOR_PATH: Final = re.compile(r"/service/([^/]+)/operation/([^/]+)")
_CBOR: Final = "smithy-rpc-v2-cbor"
_NOTHING: Final = Located({}, {})


class Found(NamedTuple):
    """The operation of a request and what its URI said besides."""

    service: Service
    operation: str
    protocol: str
    located: Located


class Hint(NamedTuple):
    """What can be said of a request without its operation; for answering it with an error."""

    service: Service | None
    protocol: str
    json_version: str


class Router:
    """Routes among the given services. REST tries are built when first needed, one per signing name."""

    def __init__(self, services: Iterable[Service], s3_hosts: tuple[str, ...] = addresses.S3_HOSTS):
        self._services = tuple(services)
        self._s3_hosts = s3_hosts
        self._s3 = next((service for service in self._services if service.name == "s3"), None)
        self._by_target = {s.target_prefix: s for s in self._services if s.target_prefix and "json" in s.protocols}
        self._by_cbor = {s.target_prefix: s for s in self._services if s.target_prefix and _CBOR in s.protocols}
        self._query = tuple(s for s in self._services if "query" in s.protocols)
        self._signing_names = frozenset(s.signing_name for s in self._services)
        self._rest_names = frozenset(s.signing_name for s in self._services if s.is_rest)
        self._routes: dict[str, RestRoutes] = {}
        self._lock = threading.Lock()

    def find(self, request: HttpRequest) -> Found:
        """The operation. Raises CallerError."""
        target = request.headers.get("x-amz-target")
        if target is not None:
            return self._by_target_header(target)
        if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
            return self._by_cbor_path(request.raw_path)
        query = addresses.grouped(addresses.parse_query(request.raw_query)) if request.raw_query else {}
        scope = scope_service(request, query)
        if scope in self._rest_names and scope != "s3":
            return self._by_path(scope, request, query)
        if scope != "s3":
            found = self._by_action(request, query, scope)
            if found is not None:
                return found
            if scope is not None and scope in self._signing_names:
                raise unknown_operation(f"The request names no operation of {scope}")
        if self._s3 is None:
            raise unknown_operation("The request names no operation that is served here")
        return self._s3_operation(request, query)

    def hint(self, request: HttpRequest) -> Hint:
        """The service and protocol that an error should be told in; never raises."""
        target = request.headers.get("x-amz-target")
        if target is not None:
            service = self._by_target.get(target.rpartition(".")[0])
            content_type = request.headers.get("content-type", "")
            return Hint(service, "json", "1.0" if "json-1.0" in content_type else "1.1")
        if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
            path = _CBOR_PATH.fullmatch(request.raw_path)
            return Hint(self._by_cbor.get(path[1]) if path else None, _CBOR, "1.1")
        try:
            query = addresses.grouped(addresses.parse_query(request.raw_query))
            scope = scope_service(request, query)
            action = self._by_action(request, query, scope) if scope != "s3" else None
        except CallerError:
            query, scope, action = {}, None, None
        if action is not None:
            return Hint(action.service, "query", "1.1")
        return self._scope_hint(scope, "Action" in query or _is_form(request))

    def _scope_hint(self, scope: str | None, is_form: bool) -> Hint:
        if scope == "s3" or scope is None:
            if is_form:
                return Hint(None, "query", "1.1")
            return Hint(self._s3, "rest-xml", "1.1")
        protocols = {service.protocol for service in self._services if service.signing_name == scope}
        if "query" in protocols or (is_form and not protocols):
            return Hint(None, "query", "1.1")
        return Hint(None, "rest-json" if "rest-json" in protocols else "json", "1.1")

    def _by_target_header(self, target: str) -> Found:
        prefix, _, operation = target.rpartition(".")
        service = self._by_target.get(prefix)
        if service is None:
            raise unknown_operation(f"No service here answers to the target {target}")
        if operation not in service.operation_names:
            raise unknown_operation(f"{service.name} has no operation {operation}")
        return Found(service, operation, "json", _NOTHING)

    def _by_cbor_path(self, raw_path: str) -> Found:
        path = _CBOR_PATH.fullmatch(raw_path)
        service = self._by_cbor.get(path[1]) if path else None
        if path is None or service is None or path[2] not in service.operation_names:
            raise unknown_operation(f"No service here answers to {raw_path}")
        return Found(service, path[2], _CBOR, _NOTHING)

    def _by_path(self, scope: str, request: HttpRequest, query: dict[str, list[str]]) -> Found:
        routes = self._rest_routes(scope)
        match = routes.find(request.method, request.raw_path, query, request.headers)
        if match is None:
            raise unknown_operation(f"No operation of {scope} is {request.method} {request.raw_path}")
        service = match.route.service
        return Found(service, match.route.operation, service.protocol, Located(match.labels, query))

    def _by_action(self, request: HttpRequest, query: dict[str, list[str]], scope: str | None) -> Found | None:
        fields = dict(form_fields(request)) if _is_form(request) else {}
        action = fields.get("Action") or query.get("Action", [""])[0]
        if not action:
            return None
        version = fields.get("Version") or query.get("Version", [""])[0]
        services = [s for s in self._query if scope in (None, s.signing_name) and version in ("", s.api_version)]
        for service in services:
            if action in service.operation_names:
                return Found(service, action, "query", Located({}, query))
        if services or any(scope == s.signing_name for s in self._query):
            raise CallerError(
                "InvalidAction", f"Could not find operation {action} for version {version or 'NO_VERSION_SPECIFIED'}"
            )
        return None

    def _s3_operation(self, request: HttpRequest, query: dict[str, list[str]]) -> Found:
        assert self._s3 is not None
        path = request.raw_path
        bucket = addresses.virtual_bucket(request.headers.get("host", ""), self._s3_hosts)
        if bucket is not None:
            path = f"/{bucket}{path}"
        routes = self._rest_routes("s3")
        match = routes.find(request.method, path, query, request.headers)
        if match is None:
            raise CallerError(
                "MethodNotAllowed", "The specified method is not allowed against this resource.", status=405
            )
        return Found(self._s3, match.route.operation, self._s3.protocol, Located(match.labels, query))

    def _rest_routes(self, scope: str) -> RestRoutes:
        routes = self._routes.get(scope)
        if routes is None:
            with self._lock:
                members = [s for s in self._services if s.is_rest and s.signing_name == scope]
                routes = self._routes.setdefault(scope, RestRoutes(members))
        return routes


def scope_service(request: HttpRequest, query: dict[str, list[str]]) -> str | None:
    """The signing name in a request's credential scope; ``s3`` for S3's older signatures; None without either."""
    authorization = request.headers.get("authorization")
    if authorization:
        if authorization.startswith("AWS "):
            return "s3"
        credential = authorization.partition("Credential=")[2].partition(",")[0]
    elif "AWSAccessKeyId" in query:
        return "s3"
    else:
        credential = query.get("X-Amz-Credential", [""])[0]
    parts = credential.split("/")
    return parts[-2] if len(parts) >= 5 else None


def _is_form(request: HttpRequest) -> bool:
    return request.method == "POST" and request.headers.get("content-type", "").startswith(
        "application/x-www-form-urlencoded"
    )
