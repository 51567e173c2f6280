"""How torchrun's agents find each other here: torch's static rendezvous, on the job's own address.

torch's own listens on every address of the machine, so that only one job at a time could have port 7777; the hosts of
each job have loopback addresses of their own.
"""

from __future__ import annotations

import errno
import socket
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.elastic.rendezvous.static_tcp_rendezvous import StaticTCPRendezvous

from sagebrush.runtime import hosts
from sagebrush.runtime.outcome import UserError

#: The name of this rendezvous, for torchrun's ``--rdzv_backend``.
BACKEND = "sagebrush"
_BACKLOG = 2048


class OwnAddressRendezvous(StaticTCPRendezvous):  # type: ignore[misc]
    """Static: ranks and hosts are known before. The first host's agent holds the store, on its own address only."""

    def get_backend(self) -> str:
        """Its name."""
        return BACKEND

    def next_rendezvous(self) -> RendezvousInfo:
        """The store, and who is who. Raises UserError when another program has the port."""
        store = PrefixStore(self.run_id, self._join())
        told = RendezvousStoreInfo(self.master_addr, self.master_port)
        return RendezvousInfo(store, self.rank, self.world_size, told)

    def _join(self) -> TCPStore:
        first = self.rank == 0
        listening = {"master_listen_fd": _listen(self.master_addr, self.master_port)} if first else {}
        return TCPStore(
            self.master_addr,
            self.master_port,
            world_size=self.world_size,
            is_master=first,
            timeout=self.timeout,
            multi_tenant=True,
            **listening,
        )


def _listen(host: str, port: int) -> int:
    """A listening socket, which the store takes over."""
    address = hosts.address_of(host)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise UserError(
            f"Port {port} of {address}, where the job's processes find each other, is taken: another "
            "program on this machine listens there on every address."
        ) from None
    return listener.detach()


def register() -> None:
    """Make it known to torchrun under :data:`BACKEND`."""
    rendezvous_handler_registry.register(BACKEND, _create)


def _create(parameters: RendezvousParameters) -> RendezvousHandler:
    host, _, port = parameters.endpoint.rpartition(":")
    rank = int(parameters.config["rank"])
    rendezvous = OwnAddressRendezvous(host, int(port), rank, parameters.max_nodes, parameters.run_id, 0)
    rendezvous.timeout = timedelta(seconds=hosts.PATIENCE)
    return rendezvous
