"""The hosts of a job, out of its ResourceConfig."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The group's name where the request names none (container contract, resourceconfig.json).
HOMOGENEOUS = "homogeneousCluster"
#: Where hosts find each other; each has a loopback address, so this device carries the traffic between them.
NETWORK_INTERFACE = "lo"


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts of one instance type."""

    name: str
    instance_type: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """One host: ``algo-<number>``, numbered from 1 over all groups."""

    name: str
    number: int
    group: Group


@dataclass(frozen=True, slots=True)
class Cluster:
    """All hosts of a job, in order."""

    groups: tuple[Group, ...]

    @property
    def hosts(self) -> tuple[Host, ...]:
        names = [(name, group) for group in self.groups for name in group.hosts]
        return tuple(Host(name, number, group) for number, (name, group) in enumerate(names, start=1))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.hosts)

    def of_groups(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Host names of the named groups; all hosts when none is named."""
        return tuple(host.name for host in self.hosts if not names or host.group.name in names)


def cluster_of(resource_config: Mapping[str, Any]) -> Cluster:
    """The cluster a valid ResourceConfig asks for."""
    wanted = [
        (group["InstanceGroupName"], group["InstanceType"], group["InstanceCount"])
        for group in resource_config.get("InstanceGroups", [])
    ] or [(HOMOGENEOUS, resource_config["InstanceType"], resource_config["InstanceCount"])]
    groups: list[Group] = []
    number = 0
    for name, instance_type, count in wanted:
        hosts = tuple(f"algo-{number + i}" for i in range(1, count + 1))
        groups.append(Group(name, instance_type, hosts))
        number += count
    return Cluster(tuple(groups))


def addresses(cluster: Cluster, subnet: int) -> dict[str, str]:
    """A loopback address for each host name, in the ``subnet``-th block of 127.0.0.0/8 (1 to 65535).

    Jobs get different blocks so that two jobs that listen on the same port do not meet.
    """
    second, third = divmod(1 + (subnet - 1) % 65534, 256)
    return {host.name: f"127.{second}.{third}.{host.number + 1}" for host in cluster.hosts}
