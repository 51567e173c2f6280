"""Walking botocore's input shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagebrush.substrate.calls.request_members import Path


def paths_of(shape: Any, path: Path = (), seen: frozenset[str] = frozenset()) -> Iterator[tuple[Path, Any]]:
    """Every member below an input shape, maps included; a shape within itself is entered once."""
    if shape.type_name == "structure":
        if shape.name not in seen:
            for name, member in shape.members.items():
                yield from paths_of(member, (*path, name), seen | {shape.name})
    elif shape.type_name == "list":
        yield from paths_of(shape.member, path, seen)
    else:
        yield path, shape
        if shape.type_name == "map":
            yield from paths_of(shape.value, (*path, "*"), seen)


def request_with(path: Path, value: str, shape: Any) -> Any:
    """A request whose only scalar lies at ``path``."""
    if shape.type_name == "list":
        return [request_with(path, value, shape.member)]
    if not path:
        return value
    return {path[0]: request_with(path[1:], value, shape.members[path[0]])}
