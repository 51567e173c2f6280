"""Where the other hosts of a job are."""

from __future__ import annotations

import json
import os
import socket
import time

#: How long the hosts look for each other (the training toolkit's patience), and how often, in seconds.
PATIENCE = 15 * 60.0
_RETRY = 0.1
#: Names and addresses as JSON, where the names themselves cannot be resolved: outside of a sandbox.
_VARIABLE = "SAGEBRUSH_HOST_ADDRESSES"


def address_of(host: str, *, patience: float = PATIENCE) -> str:
    """The address of a host by its name (``algo-1``). Raises socket.gaierror after ``patience`` seconds."""
    given: dict[str, str] = json.loads(os.environ.get(_VARIABLE) or "{}")
    if host in given:
        return given[host]
    deadline = time.monotonic() + patience
    while True:
        try:
            return socket.gethostbyname(host)
        except socket.gaierror:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY)


def reachable_name(host: str) -> str:
    """What other libraries may be told: the name where it can be resolved, else the address."""
    return address_of(host) if os.environ.get(_VARIABLE) else host
