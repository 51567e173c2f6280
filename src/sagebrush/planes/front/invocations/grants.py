"""What an access key may do with an endpoint: asked of the control plane, remembered for a few seconds.

A grant holds the secret that signatures are verified with, and the refusal where the policies do not allow the call.
One that is fresh is used as it is. One past its time is used while a fresh one is fetched, but not much past it: then
the request waits. Only while the control plane does not answer at all is a grant used for up to a minute.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sagebrush.planes import DIRECT_HEADER
from sagebrush.planes.front.backend import Backend, BackendDown, Upstream
from sagebrush.planes.front.heads import END, parse_response_head
from sagebrush.substrate.errors import CallerError

log = logging.getLogger(__name__)

_REMEMBERED: Final = 4096
#: A refusal is asked again after this long: a permission that was given should soon work.
_REFUSAL_SECONDS: Final = 1.0
_STALE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0
_COMPLAINT_SECONDS: Final = 5.0
#: For a fresh grant where there is one already. The first one may wait for a control plane that restarts.
_RENEWAL_SECONDS: Final = 2.0
_FIRST_SECONDS: Final = 20.0
#: Questions under way at once: whoever makes up access keys must not keep the control plane busy.
_MOST_QUESTIONS: Final = 200


#: What is asked: access key id, session token, resource, source address, action.
GrantKey = tuple[str, bytes | None, str, bytes, str]


@dataclass(slots=True)
class Grant:
    """The answer, as of ``at`` (loop time). ``refusal`` is of the key itself, ``denied`` what the policies say.

    Until ``retry_at`` it is not asked for again, because that has just failed.
    """

    at: float
    seconds: float
    secret: str = field(default="", repr=False)
    refusal: CallerError | None = None
    denied: CallerError | None = None
    retry_at: float = 0.0


class GrantsAway(Exception):
    """The control plane does not answer, and nothing usable is remembered."""


class Grants:
    """The grants of this process."""

    def __init__(self, control: Backend):
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._known: OrderedDict[GrantKey, Grant] = OrderedDict()
        self._complained_at = float("-inf")
        self._fetching: dict[GrantKey, asyncio.Task[Grant | None]] = {}

    def known(self, key: GrantKey) -> Grant | None:
        """A grant to go on with at once; None when it has to be asked for first."""
        grant = self._known.get(key)
        if grant is None:
            return None
        now = self._loop.time()
        age = now - grant.at
        if age <= grant.seconds or now < grant.retry_at:
            return grant
        if age <= 2 * grant.seconds and grant.refusal is None and grant.denied is None:
            self._fetch(key)
            return grant
        return None

    def ask(self, key: GrantKey, then: Callable[[Grant | None], None]) -> None:
        """Ask the control plane and call ``then`` with its answer; None when it is away and nothing usable is known."""

        def fetched(task: asyncio.Task[Grant | None]) -> None:
            failed = task.cancelled() or task.exception() is not None
            then(None if failed else task.result())

        if key not in self._fetching and len(self._fetching) >= _MOST_QUESTIONS:
            then(None)
        else:
            self._fetch(key).add_done_callback(fetched)

    def close(self) -> None:
        """Ask no more."""
        for task in self._fetching.values():
            task.cancel()

    def _fetch(self, key: GrantKey) -> asyncio.Task[Grant | None]:
        task = self._fetching.get(key)
        if task is None:
            task = self._fetching[key] = self._loop.create_task(self._fetched(key))
            task.add_done_callback(lambda _: self._fetching.pop(key, None))
        return task

    async def _fetched(self, key: GrantKey) -> Grant | None:
        before = self._known.get(key)
        try:
            async with asyncio.timeout(_RENEWAL_SECONDS if before is not None else _FIRST_SECONDS):
                grant = await self._asked(key, hold=before is None)
        except (OSError, TimeoutError, BackendDown, GrantsAway, ValueError) as error:
            self._complain(str(error) or type(error).__name__)
            now = self._loop.time()
            if before is None or now - before.at > _STALE_SECONDS + before.seconds:
                return None
            before.retry_at = now + _RETRY_SECONDS
            return before
        self._known[key] = grant
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return grant

    def _complain(self, reason: str) -> None:
        """Log that the control plane is away, but not for every request."""
        now = self._loop.time()
        if now - self._complained_at > _COMPLAINT_SECONDS:
            self._complained_at = now
            log.warning("the control plane gives no grants just now: %s", reason)

    async def _asked(self, key: GrantKey, *, hold: bool) -> Grant:
        access_key_id, token, resource, source_ip, action = key
        body = json.dumps(
            {
                "access_key_id": access_key_id,
                "session_token": None if token is None else token.decode("utf-8", "replace"),
                "action": action,
                "resource": resource,
                "source_ip": source_ip.decode("latin-1"),
            }
        ).encode()
        request = (
            b"POST /_sagebrush/internal/grant HTTP/1.1\r\nhost: control\r\n%b: 1\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % (DIRECT_HEADER.encode(), len(body))
        ) + body
        upstream = self._control.idle()
        if upstream is not None:
            try:
                return self._read(await _Question(upstream).asked(request))
            except GrantsAway:
                pass  # It was kept from before a restart.
        upstream = await (self._control.connect() if hold else self._control.connect_now())
        return self._read(await _Question(upstream).asked(request))

    def _read(self, answer: tuple[int, bytes]) -> Grant:
        """Raises ValueError for what is no grant, GrantsAway for a control plane in trouble."""
        status, body = answer
        document: Any = json.loads(body)
        now = self._loop.time()
        if status >= 500 or not isinstance(document, dict):
            raise GrantsAway(f"it answered {status}")
        try:
            if status != 200:
                return Grant(now, _REFUSAL_SECONDS, refusal=_error(document))
            denied = document["denied"]
            if denied is not None:
                return Grant(now, _REFUSAL_SECONDS, secret=document["secret"], denied=_error(denied))
            return Grant(now, float(document["seconds"]), secret=document["secret"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"it answered {status} without {error}") from None


def _error(document: dict[str, Any]) -> CallerError:
    return CallerError(document["code"], document["message"], status=document["status"])


class _Question:
    """One request to the control plane, its answer read whole."""

    def __init__(self, upstream: Upstream):
        self._upstream = upstream
        self._data = b""
        self._answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        upstream.exchange = self

    async def asked(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises GrantsAway when the connection ends before."""
        self._upstream.read(True)
        self._upstream.transport.write(request)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self._upstream.release(reusable=False)
            raise

    def upstream_data(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(END)
        if end < 0 or self._answer.done():
            return
        try:
            head = parse_response_head(self._data[: end + len(END)])
        except Exception as error:
            self._fail(str(error))
            return
        body = self._data[end + len(END) :]
        if len(body) >= (head.content_length or 0):
            self._upstream.release(reusable=not head.close)
            self._answer.set_result((head.status, body))

    def upstream_lost(self, error: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(GrantsAway("the connection ended"))

    def upstream_writable(self, writable: bool) -> None:
        """Questions are short."""

    def _fail(self, reason: str) -> None:
        self._upstream.release(reusable=False)
        self._answer.set_exception(GrantsAway(reason))
