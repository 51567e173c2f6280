"""The way to the platform out of a network of one's own: a port here, whose bytes go to the platform's Unix socket."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping

from sagebrush.runtime.outcome import UserError

_VARIABLE = "SAGEBRUSH_RELAY"
_MODULE = "sagebrush.runtime.serving.relays"


class PlatformRelay:
    """A process that relays, replaced when it dies. Without the variable there is none, and nothing to do."""

    def __init__(self, listener: socket.socket | None = None, path: str = ""):
        self._listener = listener
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline, self._lifeline_end = os.pipe2(os.O_CLOEXEC) if listener else (-1, -1)

    @classmethod
    @contextlib.contextmanager
    def of(cls, environ: Mapping[str, str]) -> Iterator[PlatformRelay]:
        """The relay that the environment asks for; it is there before anything else can ask the platform."""
        given = environ.get(_VARIABLE, "")
        if not given:
            yield cls()
            return
        port, colon, path = given.partition(":")
        if not colon or not port.isdigit():
            raise UserError(f"{_VARIABLE} is {given!r}; it has to be <port>:<path of a socket>.")
        with socket.create_server(("127.0.0.1", int(port)), backlog=1024) as listener:
            relay = cls(listener, path)
            relay.look()
            yield relay

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the parent alone may hold open."""
        return (self._lifeline_end,) if self._listener else ()

    def look(self) -> None:
        """Start the process where there is none."""
        if self._listener is None or (self._process is not None and self._process.poll() is None):
            return
        if self._process is not None:
            print(f"[sagebrush] the relay to the platform ended ({self._process.returncode}); another one is started.")
        inherited = (self._listener.fileno(), self._lifeline)
        command = [sys.executable, "-m", _MODULE, *map(str, inherited), self._path]
        self._process = subprocess.Popen(command, pass_fds=inherited, cwd="/")

    def end(self) -> None:
        """End the process and give the port back, for a server that is about to start again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._listener is not None:
            self._listener.close()
