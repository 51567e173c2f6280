"""A request to S3 and its answer, as the operations see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sagebrush.aws.s3.caller import Caller


@dataclass(frozen=True, slots=True)
class Target:
    """What a request addresses: operation by its API name, bucket and key decoded, query parameters decoded."""

    operation: str
    bucket: str = ""
    key: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One authenticated request. ``headers`` by lower-case name; ``body`` is empty where the payload is streamed."""

    target: Target
    headers: Mapping[str, str]
    caller: Caller
    region: str
    request_id: str
    body: bytes = b""

    @property
    def bucket(self) -> str:
        """The addressed bucket."""
        return self.target.bucket

    @property
    def key(self) -> str:
        """The addressed key."""
        return self.target.key

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return self.target.query

    def header(self, name: str) -> str:
        """A header's value, or the empty string."""
        return self.headers.get(name, "")


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A body that is a part of an immutable file, open for reading; whoever sends it closes it."""

    descriptor: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. ``body`` is what GET would send; ``length`` is the Content-Length where HEAD sends no body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | FileSlice = b""
    length: int | None = None
