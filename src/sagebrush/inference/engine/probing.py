"""Whether the workers of a replica answer ``GET /ping``, asked without waiting for them.

A worker that is not there yet leaves the question in its socket's backlog; so each is asked once, and looked at again.
"""

from __future__ import annotations

import socket
import weakref
from collections.abc import Sequence
from pathlib import Path

from sagebrush.inference.engine.unix_sockets import connect

_QUESTION = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_ENOUGH = len(b"HTTP/1.1 200 ")


class Probe:
    """The questions to one replica's sockets."""

    def __init__(self, paths: Sequence[Path]):
        self._unanswered = list(paths)
        self._asked: dict[Path, tuple[socket.socket, bytes]] = {}
        # A loop that is stopped forgets its probes without a word.
        weakref.finalize(self, _take_back, self._asked)

    def look(self) -> bool:
        """Whether every socket has answered 200 by now; never waits."""
        self._unanswered = [path for path in self._unanswered if not self._answered(path)]
        return not self._unanswered

    def close(self) -> None:
        """Take the questions back."""
        _take_back(self._asked)

    def _answered(self, path: Path) -> bool:
        try:
            if path not in self._asked:
                self._ask(path)
            connection, head = self._asked[path]
            piece = connection.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            # Nobody there yet, or gone in between: asked again at the next look.
            self._forget(path)
            return False
        head += piece
        if len(head) < _ENOUGH and piece:
            self._asked[path] = connection, head
            return False
        self._forget(path)
        return head.split(b" ")[1:2] == [b"200"]

    def _ask(self, path: Path) -> None:
        connection = connect(path, 0.0)
        self._asked[path] = connection, b""
        connection.sendall(_QUESTION)

    def _forget(self, path: Path) -> None:
        connection, _ = self._asked.pop(path, (None, b""))
        if connection is not None:
            connection.close()


def _take_back(asked: dict[Path, tuple[socket.socket, bytes]]) -> None:
    for connection, _ in asked.values():
        connection.close()
    asked.clear()
