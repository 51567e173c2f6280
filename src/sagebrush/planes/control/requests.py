"""One request of an AWS service, from bytes to bytes; synchronous, run on a request thread."""

from __future__ import annotations

import logging
from typing import Final

from sagebrush.substrate.calls import Call
from sagebrush.substrate.calls.client import new_request_id
from sagebrush.substrate.clock import to_datetime
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Principal
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.wire import sigv4
from sagebrush.substrate.wire.engine import Engine, Routed
from sagebrush.substrate.wire.http import HttpRequest, HttpResponse

log = logging.getLogger("sagebrush.requests")

_INTERNAL_MESSAGE: Final = "An internal error occurred. The platform's log has the details under this request's id."


class RequestHandler:
    """Answers requests with the operations of the platform."""

    def __init__(self, platform: Platform, engine: Engine):
        self._platform = platform
        self._engine = engine

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The response to ``request``; every failure becomes an error response of the service's own shape."""
        request_id = new_request_id()
        started_us = self._platform.clock.monotonic_us()
        routed: Routed | None = None
        principal: Principal | None = None
        try:
            routed = self._engine.route(request)
            principal = self._authenticate(request, routed)
            result = self._platform.calls.dispatch(
                self._call(routed, request, principal, request_id), routed.parse(request)
            )
            response = self._engine.serialize(routed.service, routed.operation, result, request_id, routed)
        except CallerError as error:
            response = self._error(request, routed, error, request_id)
        except Exception:
            log.exception("%s failed, request %s", _name(routed), request_id)
            fault = CallerError("InternalFailure", _INTERNAL_MESSAGE, status=500)
            response = self._error(request, routed, fault, request_id)
        self._log(routed, response, principal, request_id, started_us)
        return response

    def refuse(self, request: HttpRequest, error: CallerError) -> HttpResponse:
        """An error response for a request that is not even looked at (too large, too many)."""
        request_id = new_request_id()
        started_us = self._platform.clock.monotonic_us()
        try:
            routed: Routed | None = self._engine.route(request)
        except CallerError:
            routed = None
        response = self._error(request, routed, error, request_id)
        self._log(routed, response, None, request_id, started_us)
        return response

    def _authenticate(self, request: HttpRequest, routed: Routed) -> Principal:
        """Who signed the request, for the service it goes to: what was signed for another is refused.

        The scope's region is taken as it is: one platform is one region, whatever a client calls it.
        """
        platform = self._platform
        if platform.settings.auth == "open":
            return platform.identity.open_principal()
        now = to_datetime(platform.clock.now_us())
        lookup = platform.identity.lookup
        verified = sigv4.verify(request, lookup=lookup, now=now, service=routed.signing_name)
        platform.identity.key_uses.note(verified.access_key_id, routed.signing_name)
        principal: Principal = verified.principal
        return principal

    def _call(self, routed: Routed, request: HttpRequest, principal: Principal, request_id: str) -> Call:
        settings = self._platform.settings
        return Call(
            platform=self._platform,
            service=routed.service,
            operation=routed.operation,
            principal=principal,
            account=settings.account,
            region=settings.region,
            request_id=request_id,
            source_ip=request.source_ip,
        )

    def _error(self, request: HttpRequest, routed: Routed | None, error: CallerError, request_id: str) -> HttpResponse:
        service, operation = (routed.service, routed.operation) if routed is not None else (None, None)
        return self._engine.serialize_error(service, operation, error, request_id, routed, request)

    def _log(
        self,
        routed: Routed | None,
        response: HttpResponse,
        principal: Principal | None,
        request_id: str,
        started_us: int,
    ) -> None:
        took_ms = (self._platform.clock.monotonic_us() - started_us) / 1000
        who = principal.arn.rpartition(":")[2] if principal is not None else "-"
        log.info("%s %d %.1fms %s %s", _name(routed), response.status, took_ms, who, request_id)


def _name(routed: Routed | None) -> str:
    return f"{routed.service}.{routed.operation}" if routed is not None else "?"
