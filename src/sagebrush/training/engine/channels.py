"""Channels: which objects of S3 go to which host, and under which names.

Source: "S3DataSource", SageMaker API Reference. Messages are SageMaker's where it has one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sagebrush.substrate.compute import placing
from sagebrush.substrate.compute.placing import Placement, relative_path
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import ObjectInfo, locations
from sagebrush.substrate.objects.locations import S3Location
from sagebrush.training.engine.refusals import download_failed
from sagebrush.training.model.cluster import Cluster

_LARGEST_MANIFEST = 256 << 20


class ObjectReader(Protocol):
    """What of the object store channels need."""

    def iterate(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]: ...

    def head(self, bucket: str, key: str) -> ObjectInfo: ...

    def open(self, bucket: str, key: str) -> tuple[ObjectInfo, Any]: ...


class Permission(Protocol):
    """Whether the job's role may do an action on a resource; raises CallerError AccessDenied when not."""

    def __call__(self, action: str, resource_arn: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Channel:
    """One input channel; ``groups`` names the instance groups that get it (none: all)."""

    name: str
    uri: str
    manifest: bool = False
    sharded: bool = False
    groups: tuple[str, ...] = ()
    content_type: str | None = None


#: Host name -> channel name -> what lies there.
Plan = Mapping[str, Mapping[str, Sequence[Placement]]]


def channels_of(input_data_config: Sequence[Mapping[str, Any]]) -> list[Channel]:
    """The channels of a valid InputDataConfig."""
    channels = []
    for entry in input_data_config:
        source = entry["DataSource"]["S3DataSource"]
        channels.append(
            Channel(
                name=entry["ChannelName"],
                uri=source["S3Uri"],
                manifest=source["S3DataType"] == "ManifestFile",
                sharded=source.get("S3DataDistributionType") == "ShardedByS3Key",
                groups=tuple(source.get("InstanceGroupNames", ())),
                content_type=entry.get("ContentType"),
            )
        )
    return channels


class ChannelPlanner:
    """Finds the objects of channels as the job's role may see them."""

    def __init__(self, objects: ObjectReader, allowed: Permission, *, role_arn: str, region: str):
        self._objects = objects
        self._allowed = allowed
        self._role_arn = role_arn
        self._region = region

    def plan(self, channels: Iterable[Channel], cluster: Cluster) -> Plan:
        """What every host gets. Raises Refused with the FailureReason for data that is missing or forbidden."""
        plan: dict[str, dict[str, Sequence[Placement]]] = {host: {} for host in cluster.names}
        for channel in channels:
            placements = self._placements(channel)
            hosts = cluster.of_groups(channel.groups)
            for index, host in enumerate(hosts):
                plan[host][channel.name] = placements[index :: len(hosts)] if channel.sharded else placements
        return plan

    def _placements(self, channel: Channel) -> list[Placement]:
        location = locations.parse(channel.uri)
        try:
            found = self._of_manifest(location) if channel.manifest else self._of_prefix(location, channel.uri)
        except CallerError as error:
            raise (
                self._no_objects(channel.uri, location)
                if error.code == "NoSuchBucket"
                else download_failed(f"{error.code}: {error.message} ({channel.uri})")
            ) from None
        check_names(f'channel "{channel.name}"', found)
        return found

    def _of_prefix(self, location: S3Location, uri: str) -> list[Placement]:
        self._may("s3:ListBucket", location.bucket, "", uri)
        found = []
        for info in self._objects.iterate(location.bucket, location.key):
            if info.key.endswith("/") and info.size == 0:
                continue  # A folder made by a console: no data.
            self._may("s3:GetObject", location.bucket, info.key, uri)
            found.append(Placement(info, relative_path(info.key, location.key)))
        if not found:
            raise self._no_objects(uri, location)
        return found

    def _of_manifest(self, location: S3Location) -> list[Placement]:
        uri = str(location)
        self._may("s3:GetObject", location.bucket, location.key, uri)
        info, stream = self._objects.open(location.bucket, location.key)
        with stream:
            if info.size > _LARGEST_MANIFEST:
                raise download_failed(
                    f"the manifest {uri} has {info.size} bytes; at most {_LARGEST_MANIFEST} are read."
                )
            prefix, names = parse_manifest(stream.read(), uri)
        found = []
        for name in names:
            key = prefix.key + name
            self._may("s3:GetObject", prefix.bucket, key, f"s3://{prefix.bucket}/{key}")
            try:
                found.append(Placement(self._objects.head(prefix.bucket, key), name))
            except CallerError as error:
                missing = f"s3://{prefix.bucket}/{key}"
                raise download_failed(
                    f"{error.code}: {error.message} ({missing}, named by the manifest {uri})"
                ) from None
        return sorted(found, key=lambda placement: placement.info.key.encode())

    def _may(self, action: str, bucket: str, key: str, uri: str) -> None:
        resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
        try:
            self._allowed(action, resource)
        except CallerError as error:
            raise download_failed(
                f'AccessDenied: The role "{self._role_arn}" needs "{action}" permission on "{resource}" to read '
                f'"{uri}". {error.message}'
            ) from None

    def _no_objects(self, uri: str, location: S3Location) -> Exception:
        return download_failed(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({self._region}), that objects exist under that S3 prefix, and that the "
            f'role "{self._role_arn}" has "s3:ListBucket" permissions on bucket "{location.bucket}".'
        )


def parse_manifest(data: bytes, uri: str) -> tuple[S3Location, list[str]]:
    """The prefix and the names that a manifest lists. Raises Refused for one that is not as documented."""
    try:
        entries = json.loads(data)
    except (ValueError, RecursionError) as error:  # The latter: lists in lists in lists.
        raise download_failed(f"the manifest {uri} is not JSON: {error}") from None
    well_formed = (
        isinstance(entries, list)
        and len(entries) > 1
        and isinstance(entries[0], dict)
        and locations.is_valid(str(entries[0].get("prefix", "")))
        and all(isinstance(name, str) and name for name in entries[1:])
        and all(_is_utf8(text) for text in (entries[0]["prefix"], *entries[1:]))
    )
    if not well_formed:
        raise download_failed(
            f'the manifest {uri} must be a JSON list of {{"prefix": "s3://bucket/..."}} and one or more names under it.'
        )
    return locations.parse(entries[0]["prefix"]), entries[1:]


def _is_utf8(text: str) -> bool:
    """JSON can hold halves of surrogate pairs, which no key can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_names(place: str, placements: Sequence[Placement]) -> None:
    """Raises Refused for keys that cannot be files of ``place``."""
    try:
        placing.check_names(place, placements)
    except ValueError as error:
        raise download_failed(str(error)) from None
