"""One request and its answer, synchronously: verify who asks, hand it to S3, turn errors into answers."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sagebrush.aws.s3.caller import Caller
from sagebrush.aws.s3.integrity import Claims, read_claims
from sagebrush.aws.s3.receiving import Receiving
from sagebrush.aws.s3.request import Request, Response, Target
from sagebrush.aws.s3.routing import route
from sagebrush.aws.s3.service import S3, error_response
from sagebrush.substrate.clock import Clock, to_datetime
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Identity
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import StoreUnavailable
from sagebrush.substrate.wire.chunked import ChunkDecoder
from sagebrush.substrate.wire.http import HttpRequest
from sagebrush.substrate.wire.sigv4 import STREAMING_UNSIGNED_TRAILER, Verified, verify

logger = logging.getLogger(__name__)

SERVER = "Sagebrush"


def new_request_id() -> str:
    """A request id in S3's form: sixteen upper-case hexadecimal digits."""
    return secrets.token_hex(8).upper()


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in, and where they go."""

    settings: Settings
    clock: Clock
    identity: Identity
    s3: S3

    def verify(self, http: HttpRequest) -> Verified:
        """Check the signature. Raises CallerError with S3's codes."""
        if self.settings.auth == "open":
            # Chunk signatures cannot be checked without a key; the framing is the same.
            streaming = http.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")
            payload = STREAMING_UNSIGNED_TRAILER if streaming else "unsigned"
            return Verified(self.identity.open_principal(), "", payload)
        now = to_datetime(self.clock.now_us())
        verified = verify(http, lookup=self.identity.lookup, now=now, service="s3")
        self.identity.key_uses.note(verified.access_key_id, "s3")
        return verified


class Exchange:
    """Either :meth:`answer`, or :meth:`begin`, :meth:`write` ... and :meth:`finish` or :meth:`discard`.

    Each gives a response where the exchange is over; nothing but a cancellation gets out of them.
    """

    def __init__(self, gate: Gate, http: HttpRequest, request_id: str):
        self._gate = gate
        self._http = http
        self._request_id = request_id
        self._decoder: ChunkDecoder | None = None
        self._receiving: Receiving | None = None
        self._host_id = secrets.token_urlsafe(42)

    def answer(self, body: bytes) -> Response:
        """Answer a request whose body is complete."""
        return self._attempt(lambda: self._handle(body)) or Response()

    def begin(self) -> Response | None:
        """Verify and authorise before the payload comes; a response is a refusal."""
        return self._attempt(self._begin)

    def write(self, pieces: list[bytes]) -> Response | None:
        """Take some of the payload as it was transferred; a response is a refusal, and the rest is unwanted."""
        return self._attempt(lambda: self._take(pieces))

    def finish(self) -> Response:
        """The payload is complete."""
        return self._attempt(self._finish) or Response()

    def discard(self) -> None:
        """The client went away, or was refused."""
        if self._receiving is not None:
            self._receiving.discard()
            self._receiving = None

    # -- inside ---------------------------------------------------------------------------------------------------

    def _handle(self, body: bytes) -> Response:
        target, caller, claims, decoder = self._open()
        trailers: Mapping[str, str] = {}
        if decoder is not None:
            body = decoder.feed(body)
            decoder.close()
            trailers = decoder.trailers
        return self._gate.s3.handle(self._request(target, caller, body), claims, trailers)

    def _open(self) -> tuple[Target, Caller, Claims, ChunkDecoder | None]:
        http = self._http
        target = route(http.method, http.raw_path, http.raw_query, http.headers)
        verified = self._gate.verify(http)
        decoder = ChunkDecoder(verified) if verified.payload.startswith("STREAMING-") else None
        claims = read_claims(http.headers, sha256=verified.payload_sha256 or "", chunked=decoder is not None)
        return target, Caller(verified.principal, self._gate.identity, http.source_ip), claims, decoder

    def _request(self, target: Target, caller: Caller, body: bytes) -> Request:
        return Request(target, self._http.headers, caller, self._gate.settings.region, self._request_id, body)

    def _begin(self) -> None:
        target, caller, claims, self._decoder = self._open()
        self._receiving = self._gate.s3.receive(self._request(target, caller, b""), claims)

    def _take(self, pieces: list[bytes]) -> None:
        if self._receiving is None:
            raise RuntimeError("write without begin")
        for piece in pieces:
            self._receiving.write(piece if self._decoder is None else self._decoder.feed(piece))

    def _finish(self) -> Response:
        if self._receiving is None:
            raise RuntimeError("finish without begin")
        trailers: Mapping[str, str] = {}
        if self._decoder is not None:
            self._decoder.close()
            trailers = self._decoder.trailers
        receiving, self._receiving = self._receiving, None
        return receiving.finish(trailers)

    def _attempt(self, function: Callable[[], Response | None]) -> Response | None:
        try:
            response = function()
        except CallerError as error:
            response = self._refuse(error)
        except StoreUnavailable:
            logger.exception(
                "request %s: %s %s found no room", self._request_id, self._http.method, self._http.raw_path
            )
            response = self._refuse(CallerError("ServiceUnavailable", "Please reduce your request rate.", status=503))
        except Exception:
            logger.exception("request %s: %s %s failed", self._request_id, self._http.method, self._http.raw_path)
            response = self._refuse(
                CallerError("InternalError", "We encountered an internal error. Please try again.", status=500)
            )
        if response is not None:
            response.headers.setdefault("x-amz-request-id", self._request_id)
            response.headers.setdefault("x-amz-id-2", self._host_id)
            response.headers["server"] = SERVER
        return response

    def _refuse(self, error: CallerError) -> Response:
        if error.status >= 500:
            logger.warning("request %s: %s", self._request_id, error)
        self.discard()
        return error_response(error, self._request_id, self._host_id)
