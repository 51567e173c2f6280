"""Which operation a method and a path mean, for all REST services that share a signing name.

One trie of path segments. Literals are tried before labels and labels before greedy labels (``{Key+}``), with
backtracking. Several operations may share a method and a path (S3 has dozens on ``/{Bucket}``): the best fit of query
fields and required headers wins, and a deprecated operation loses to its successor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sagebrush.substrate.wire.addresses import decode
from sagebrush.substrate.wire.model import Service
from sagebrush.substrate.wire.shapes import wire_name

#: AWS serves these under another host name; on one URL they lose to the operation of the same method and path.
_ELSEWHERE: Final = frozenset({("s3", "ListDirectoryBuckets")})

Query = Mapping[str, list[str]]

_LABEL: Final = re.compile(r"\{([^}+]+)(\+?)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation at the end of a path."""

    service: Service
    operation: str
    labels: tuple[str, ...]
    literals: tuple[tuple[str, str], ...]
    known_fields: frozenset[str]
    required_fields: tuple[str, ...]
    required_headers: tuple[str, ...]
    deprecated: bool
    preferred: bool

    def fit(self, query: Query, headers: Mapping[str, str]) -> tuple[int, ...] | None:
        """How well a request fits, larger is better; None when it cannot be this operation."""
        for name, value in self.literals:
            if name not in query or (value and value not in query[name]):
                return None
        missing = sum(name not in query for name in self.required_fields)
        missing += sum(name not in headers for name in self.required_headers)
        return (
            len(self.literals),
            sum(name in self.known_fields for name in query),
            -missing,
            len(self.required_fields) + len(self.required_headers),
            not self.deprecated,
            self.operation in query.get("x-id", ()),
            self.preferred,
        )


@dataclass(slots=True)
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    label: _Node | None = None
    greedy: _Node | None = None
    routes: dict[str, list[Route]] = field(default_factory=dict)


class Match(NamedTuple):
    """The operation found and the values of its path labels, decoded."""

    route: Route
    labels: dict[str, str]


_Accept = Callable[[_Node, tuple[str, ...]], Match | None]


class RestRoutes:
    """The trie."""

    def __init__(self, services: list[Service]):
        self._root = _Node()
        for service in services:
            for name in sorted(service.operation_names):
                self._add(service, name)

    def _add(self, service: Service, name: str) -> None:
        operation = service.operation(name)
        path, _, literals = operation.http["requestUri"].partition("?")
        node = self._root
        labels = []
        for segment in _segments(path):
            label = _LABEL.fullmatch(segment)
            if label is None:
                node = node.literals.setdefault(segment, _Node())
                continue
            labels.append(label[1])
            if label[2]:
                node.greedy = node = node.greedy or _Node()
            else:
                node.label = node = node.label or _Node()
        route = _route(service, operation, tuple(labels), literals)
        node.routes.setdefault(operation.http.get("method", "POST"), []).append(route)

    def find(self, method: str, path: str, query: Query, headers: Mapping[str, str]) -> Match | None:
        """The operation of a request, or None when no path fits."""

        def accept(node: _Node, values: tuple[str, ...]) -> Match | None:
            route = _best(node.routes.get(method), query, headers)
            if route is None:
                return None
            return Match(route, {label: decode(value) for label, value in zip(route.labels, values, strict=True)})

        return _walk(self._root, _segments(path), 0, (), accept)


def _best(routes: list[Route] | None, query: Query, headers: Mapping[str, str]) -> Route | None:
    if not routes:
        return None
    if len(routes) == 1 and not routes[0].literals:
        return routes[0]
    fits = [(fit, -place) for place, route in enumerate(routes) if (fit := route.fit(query, headers)) is not None]
    return routes[-max(fits)[1]] if fits else None


def _segments(path: str) -> list[str]:
    """What stands between the slashes; one slash at the end is kept, as an empty segment."""
    return path[1:].split("/") if path not in ("", "/") else []


def _walk(node: _Node, segments: list[str], at: int, values: tuple[str, ...], accept: _Accept) -> Match | None:
    """The first acceptable node at the end of the path."""
    rest = len(segments) - at
    if rest == 0 or (rest == 1 and segments[at] == ""):
        # "/bucket/" is the bucket; so is "/bucket".
        return accept(node if node.routes else node.literals.get("", node), values)
    segment = segments[at]
    found = None
    child = node.literals.get(segment)
    if child is not None:
        found = _walk(child, segments, at + 1, values, accept)
    if found is None and node.label is not None and segment:
        found = _walk(node.label, segments, at + 1, (*values, segment), accept)
    if found is None and node.greedy is not None:
        found = _walk_greedy(node.greedy, segments, at, values, accept)
    return found


def _walk_greedy(node: _Node, segments: list[str], at: int, values: tuple[str, ...], accept: _Accept) -> Match | None:
    """A greedy label takes as much as it can, a slash at the end included; less only if something must follow."""
    found = accept(node, (*values, "/".join(segments[at:]))) if node.routes else None
    if found is None and (node.literals or node.label is not None):
        for end in range(len(segments) - 1, at, -1):
            found = _walk(node, segments, end, (*values, "/".join(segments[at:end])), accept)
            if found is not None:
                break
    return found


def _route(service: Service, operation: Any, labels: tuple[str, ...], literals: str) -> Route:
    members = operation.input_shape.members if operation.input_shape else {}
    required = operation.input_shape.required_members if operation.input_shape else []
    fields = {
        name: wire_name(member, name)
        for name, member in members.items()
        if member.serialization.get("location") == "querystring"
    }
    headers = {
        name: wire_name(member, name).lower()
        for name, member in members.items()
        if member.serialization.get("location") == "header"
    }
    return Route(
        service=service,
        operation=operation.name,
        labels=labels,
        literals=tuple((pair.partition("=")[0], pair.partition("=")[2]) for pair in literals.split("&") if pair),
        known_fields=frozenset(fields.values()),
        required_fields=tuple(fields[name] for name in required if name in fields),
        required_headers=tuple(headers[name] for name in required if name in headers),
        deprecated=bool(operation.deprecated),
        preferred=(service.name, operation.name) not in _ELSEWHERE,
    )
