"""The CONNECT proxy on the same port: it serves STS under its own names and lets everything else through.

Both SDKs hard-code ``https://sts.<region>.amazonaws.com``; ``sagebrush exec`` and ``sagebrush env`` therefore set
HTTPS_PROXY to the front door. A CONNECT to an STS name is answered here: TLS ends in this process, with a certificate
of the platform's own name-constrained authority, and what is inside goes to the control plane. Any other target is
tunnelled, or refused at once when it cannot be reached. Only callers on this machine may use it.

A proxy the user had before travels in the proxy URL's credentials (:mod:`chaining`).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import socket
import ssl
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from sagebrush.planes.front.answers import CONNECTION_ESTABLISHED, error_response
from sagebrush.planes.front.chaining import chained_proxy
from sagebrush.planes.front.connection import ClientConnection
from sagebrush.planes.front.heads import END, RequestHead
from sagebrush.planes.front.routing import CONTROL
from sagebrush.planes.front.tunnel import TunnelEnd, join

if TYPE_CHECKING:
    from sagebrush.planes.front.door import FrontDoor

log = logging.getLogger(__name__)

_STS: Final = re.compile(r"sts(\.[a-z]{2}(-[a-z]+)+-\d)?\.amazonaws\.com")
_TARGET: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})")

_HANDSHAKE_SECONDS: Final = 20.0
_RESOLVE_SECONDS: Final = 2.0
_CONNECT_SECONDS: Final = 5.0
#: A name that did not resolve is refused at once for this long: offline, every refusal would cost a resolver timeout.
_REFUSAL_MEMORY_SECONDS: Final = 20.0


class _Refused(Exception):
    """This CONNECT is not served; the text says why."""


class ConnectProxy:
    """Serves CONNECT, and STS by TLS, for a :class:`FrontDoor`.

    ``tls_context`` makes the server side TLS context of the STS names.
    """

    def __init__(self, door: FrontDoor, tls_context: Callable[[], ssl.SSLContext] | None):
        self._door = door
        self._tls_context = tls_context
        self._tasks: set[asyncio.Task[None]] = set()
        self._tunnels: weakref.WeakSet[TunnelEnd] = weakref.WeakSet()
        self._unreachable: dict[str, float] = {}

    def begin(self, client: ClientConnection, head: RequestHead) -> None:
        """Take over a connection that sent ``CONNECT host:port``."""
        rest = client.hand_over()
        client.transport.pause_reading()
        self._keep(self._door.loop.create_task(self._serve(client, head, rest)))

    def begin_tls(self, client: ClientConnection) -> None:
        """Take over a connection that begins with TLS: the one URL where it has a certificate; else STS, for clients
        that ``sagebrush configure`` has told so."""
        hello = client.hand_over()
        client.transport.pause_reading()
        self._keep(self._door.loop.create_task(self._serve_tls(client, hello)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """End every tunnel and every CONNECT that is under way."""
        for task in self._tasks:
            task.cancel()
        for end in tuple(self._tunnels):
            end.transport.abort()

    async def _serve(self, client: ClientConnection, head: RequestHead, rest: bytes) -> None:
        transport = client.transport
        try:
            if not client.from_loopback:
                raise _Refused("this proxy serves only its own machine")
            host, port = _target(head.target)
            if _STS.fullmatch(host) and port == 443 and self._tls_context is not None:
                if rest:
                    raise _Refused("TLS may begin only after the answer to CONNECT")
                await self._terminate(client)
            elif client.enclosed:
                raise _Refused("this network reaches the platform alone")
            else:
                await self._tunnel(client, host, port, chained_proxy(head.names.get(b"proxy-authorization", b"")), rest)
        except _Refused as refusal:
            body = error_response(403, "Forbidden", f"CONNECT refused: {refusal}.", shape="s3", close=True)
            if not transport.is_closing():
                transport.write(body)
                transport.close()
        except (OSError, ssl.SSLError, TimeoutError, EOFError) as error:
            log.info("CONNECT %s: %s", head.target.decode("latin-1"), error)
            transport.abort()

    async def _serve_tls(self, client: ClientConnection, hello: bytes) -> None:
        """TLS in this process, behind a tunnel: start_tls would know nothing of ``hello``, which was read already."""
        try:
            server_tls = self._door.server_tls
            make = server_tls or self._tls_context
            if make is None or (server_tls is None and not client.from_loopback):
                raise OSError("TLS is for STS, and for this machine alone")
            loop = self._door.loop
            context = await loop.run_in_executor(None, make)
            ours, theirs = socket.socketpair()
            _, far = await loop.create_connection(TunnelEnd, sock=ours)
            far.transport.write(hello)
            self._tunnels.add(join(client.transport, far))
            await loop.connect_accepted_socket(
                lambda: self._inner(client) if server_tls is None else self._everything(client),
                theirs,
                ssl=context,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.SSLError, TimeoutError, EOFError) as error:
            log.info("TLS: %s", error)
            client.transport.abort()

    def _inner(self, client: ClientConnection) -> ClientConnection:
        """What is said within a client's TLS: to the control plane alone, from where the client is."""
        return ClientConnection(
            self._door, plane=CONTROL, source_ip=client.source_ip, enclosed=client.enclosed, secured=True
        )

    def _everything(self, client: ClientConnection) -> ClientConnection:
        """What is said to the one URL by TLS: as without, from where the client is."""
        return ClientConnection(self._door, source_ip=client.source_ip, enclosed=client.enclosed, secured=True)

    async def _terminate(self, client: ClientConnection) -> None:
        """Answer as STS: TLS with our own certificate, then HTTP to the control plane."""
        assert self._tls_context is not None
        loop = self._door.loop
        try:
            context = await loop.run_in_executor(None, self._tls_context)
        except (OSError, ssl.SSLError) as error:
            log.error("no certificate for the STS names: %s", error)
            raise _Refused("the platform has no certificate for the STS names yet") from None
        client.transport.write(CONNECTION_ESTABLISHED)
        inner = self._inner(client)
        secured = await loop.start_tls(
            client.transport, inner, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE_SECONDS
        )
        if secured is None:
            raise EOFError("the client left during the handshake")
        inner.connection_made(secured)

    async def _tunnel(self, client: ClientConnection, host: str, port: int, proxy: str | None, rest: bytes) -> None:
        far = await (self._through(proxy, host, port) if proxy else self._reach(host, port, tls=False))
        near = client.transport
        if near.is_closing():
            far.transport.abort()
            return
        near.write(CONNECTION_ESTABLISHED)
        if rest:
            far.transport.write(rest)
        self._tunnels.add(join(near, far))

    async def _through(self, proxy: str, host: str, port: int) -> TunnelEnd:
        """A connection to ``host`` through the user's own proxy."""
        address = urlsplit(proxy)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise _Refused("the proxy to chain to is not an http(s) URL")
        far = await self._reach(address.hostname, address.port or 80, tls=address.scheme == "https")
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        if address.username:
            credentials = f"{unquote(address.username)}:{unquote(address.password or '')}"
            lines.append("Proxy-Authorization: Basic " + base64.b64encode(credentials.encode()).decode())
        far.transport.write("\r\n".join(lines).encode() + END)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS + _RESOLVE_SECONDS):
                answer = await far.read_head()
        except (TimeoutError, EOFError):
            far.transport.abort()
            raise _Refused("the proxy to chain to did not answer") from None
        status = answer.split(b" ", 2)[1:2]
        if status != [b"200"]:
            far.transport.abort()
            raise _Refused(f"the proxy to chain to said {answer.partition(bytes((13,)))[0].decode('latin-1')}")
        return far

    async def _reach(self, host: str, port: int, *, tls: bool) -> TunnelEnd:
        """A connection to ``host``. Raises :class:`_Refused`, at once if the name failed a moment ago."""
        loop = self._door.loop
        if self._unreachable.get(host, 0.0) > loop.time():
            raise _Refused(f"{host} cannot be reached from here")
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            self._remember(host)
            raise _Refused(f"{host} does not resolve here; are you offline?") from None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._open(host, port, [str(address[0]) for *_, address in found], tls)
        except (OSError, TimeoutError) as error:
            raise _Refused(f"{host}:{port} cannot be reached ({error or 'no answer'})") from None

    async def _open(self, host: str, port: int, addresses: list[str], tls: bool) -> TunnelEnd:
        failure = OSError("no address")
        for address in addresses:
            try:
                _, far = await self._door.loop.create_connection(
                    TunnelEnd, address, port, ssl=True if tls else None, server_hostname=host if tls else None
                )
                return far
            except OSError as error:
                failure = error
        raise failure

    def _remember(self, host: str) -> None:
        now = self._door.loop.time()
        self._unreachable = {h: until for h, until in self._unreachable.items() if until > now}
        if len(self._unreachable) < 1000:
            self._unreachable[host] = now + _REFUSAL_MEMORY_SECONDS


def _target(target: bytes) -> tuple[str, int]:
    """``host:port`` of a CONNECT. Raises :class:`_Refused`."""
    match = _TARGET.fullmatch(target.decode("latin-1"))
    if match is None or not 0 < int(match[3]) < 65536:
        raise _Refused("the target must be host:port")
    return (match[1] or match[2]).lower(), int(match[3])
