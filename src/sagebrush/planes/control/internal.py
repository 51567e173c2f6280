"""``/_sagebrush/*``: what the platform's own processes and jobs ask for."""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from sagebrush.planes import DIRECT_HEADER
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.http import HttpRequest, HttpResponse

log = logging.getLogger(__name__)

PREFIX: Final = "/_sagebrush/"


class InternalPages:
    """``health``: 200 once reconcilers run. ``credentials``: a job's temporary credentials, for its own token only.

    ``internal/grant`` is for the front door alone: the secret of an access key, and whether it may do something.
    ``job_credentials`` answers an Authorization header with the container credentials document, ``grant`` a question
    with a grant; both raise CallerError.
    """

    def __init__(
        self,
        *,
        healthy: Callable[[], bool],
        job_credentials: Callable[[str], Mapping[str, Any]],
        grant: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ):
        self._pages: dict[str, Callable[[HttpRequest], HttpResponse]] = {
            "/_sagebrush/health": lambda _: self._health(healthy),
            "/_sagebrush/credentials": lambda request: self._credentials(request, job_credentials),
        }
        self._posted: dict[str, Callable[[HttpRequest], HttpResponse]] = {
            "/_sagebrush/internal/grant": lambda request: self._grant(request, grant),
        }

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The page at the request's path."""
        page = self._pages.get(request.raw_path)
        allowed: tuple[str, ...] = ("GET", "HEAD")
        if page is None and DIRECT_HEADER in request.headers:
            page, allowed = self._posted.get(request.raw_path), ("POST",)
        if page is None:
            return _json(404, {"message": "There is no such page."})
        if request.method not in allowed:
            return _json(405, {"message": f"Only {allowed[0]} is served here."})
        try:
            return page(request)
        except CallerError as error:
            return _json(error.status, {"code": error.code, "message": error.message, "status": error.status})
        except Exception:
            log.exception("%s failed", request.raw_path)
            return _json(500, {"code": "InternalFailure", "message": "An internal error occurred."})

    @staticmethod
    def _health(healthy: Callable[[], bool]) -> HttpResponse:
        ready = healthy()
        return _json(200 if ready else 503, {"status": "ready" if ready else "starting"})

    @staticmethod
    def _credentials(request: HttpRequest, issue: Callable[[str], Mapping[str, Any]]) -> HttpResponse:
        if not ipaddress.ip_address(request.source_ip).is_loopback:
            raise CallerError("AccessDenied", "Job credentials are served on this machine only.", status=403)
        return _json(200, issue(request.headers.get("authorization", "")))

    @staticmethod
    def _grant(request: HttpRequest, grant: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> HttpResponse:
        try:
            question = json.loads(request.body)
        except ValueError:
            question = None
        if not isinstance(question, dict):
            raise CallerError("SerializationException", "The question is no JSON object.")
        return _json(200, grant(question))


def _json(status: int, document: Mapping[str, Any]) -> HttpResponse:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return HttpResponse(status, headers, json.dumps(document).encode())
