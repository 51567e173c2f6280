"""Several hosts training one model: who takes part, and xgboost's collective between them.

The first host listens on its own address for the others, hears which of them have data, starts xgboost's tracker for
those and tells everyone. The tracker's port is whatever is free, so many jobs can share one machine.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from xgboost import collective
from xgboost.tracker import RabitTracker

from sagebrush.runtime import hosts as job_hosts
from sagebrush.runtime.outcome import UserError

#: On the first host's own address; SageMaker's container uses the same number for the same end.
PORT = 9099
#: How often hosts look for each other, in seconds.
_RETRY = 0.1


@dataclass(frozen=True)
class Membership:
    """Whether this host trains, and with how many others."""

    takes_part: bool
    members: tuple[str, ...]


@contextmanager
def joined(hosts: list[str], current: str, *, has_data: bool) -> Iterator[Membership]:
    """Find the other hosts and join their collective for the time of the ``with`` block.

    Raises UserError when no host has data. The first host stays until the others are done, data or not.
    """
    ordered = sorted(hosts)
    deadline = time.monotonic() + job_hosts.PATIENCE
    with ExitStack() as stack:
        if current == ordered[0]:
            members, worker = _lead(ordered, current, has_data, deadline, stack)
        else:
            members, worker = _follow(ordered[0], current, has_data, deadline)
        if not members:
            raise UserError("No data in the training channel on any host.")
        if current in members and len(members) > 1:
            arguments = worker | {"dmlc_task_id": f"{members.index(current):06d}", "dmlc_retry": 30}
            stack.enter_context(collective.CommunicatorContext(**arguments))
        yield Membership(current in members, tuple(members))


def _lead(
    hosts: list[str], current: str, has_data: bool, deadline: float, stack: ExitStack
) -> tuple[list[str], dict[str, Any]]:
    address = job_hosts.address_of(current)
    heard = {current: has_data}
    connections: list[socket.socket] = []
    with socket.create_server((address, PORT)) as server:
        while len(heard) < len(hosts):
            server.settimeout(max(0.1, deadline - time.monotonic()))
            connection, _ = server.accept()
            stack.callback(connection.close)
            message = _receive(connection)
            heard[message["host"]] = message["has_data"]
            connections.append(connection)
    members = [host for host in hosts if heard.get(host)]
    worker: dict[str, Any] = {}
    if len(members) > 1:
        tracker = RabitTracker(n_workers=len(members), host_ip=address, sortby="task")
        stack.callback(tracker.free)
        tracker.start()
        # After a failure here the others cannot finish either: do not wait for them.
        stack.push(lambda kind, error, trace: tracker.wait_for() if kind is None else None)
        worker = {name: value for name, value in tracker.worker_args().items() if value is not None}
    for connection in connections:
        connection.sendall(json.dumps({"members": members, "worker": worker}).encode() + b"\n")
    return members, worker


def _follow(leader: str, current: str, has_data: bool, deadline: float) -> tuple[list[str], dict[str, Any]]:
    address = job_hosts.address_of(leader)
    while True:
        try:
            connection = socket.create_connection((address, PORT), timeout=max(0.1, deadline - time.monotonic()))
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_RETRY)
    with connection:
        connection.sendall(json.dumps({"host": current, "has_data": has_data}).encode() + b"\n")
        answer = _receive(connection)
    return answer["members"], answer["worker"]


def _receive(connection: socket.socket) -> dict[str, Any]:
    with connection.makefile("rb") as file:
        line = file.readline()
    if not line:
        raise ConnectionError("the other host left before training began; its log says why")
    message: dict[str, Any] = json.loads(line)
    return message
