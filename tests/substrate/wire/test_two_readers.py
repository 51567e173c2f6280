"""The fast reader decides, the slow one explains: where they disagreed, a legal request would be a fault."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import json_explain, json_writer, validate
from sagebrush.substrate.wire.json_reader import JsonReader, Rejected
from sagebrush.substrate.wire.json_writer import JsonWriter
from tests.substrate.wire.sampling import sample
from tests.substrate.wire.services import SERVED, engine

JSON_SERVICES = [name for name in SERVED if engine().service(name).protocol in ("json", "rest-json")]


def containers(value: Any) -> Iterator[Any]:
    """Every dict and list in a JSON value, the value itself first."""
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from containers(item)


def spoiled(body: Any) -> Iterator[Any]:
    """The body with one thing changed: a member unknown, null, gone or of another type; a list item null."""
    for index, container in enumerate(containers(body)):
        if isinstance(container, list):
            kinds = ["null"]
        elif container:
            kinds = ["unknown", "null", "gone", "type", "empty"]
        else:
            kinds = ["unknown"]
        for kind in kinds:
            changed = copy.deepcopy(body)
            _spoil(list(containers(changed))[index], kind)
            yield changed


def _spoil(container: Any, kind: str) -> None:
    if isinstance(container, list):
        container.append(None)
    elif kind == "unknown":
        container["Unheard"] = {"of": [1]}
    elif kind == "empty":
        container.clear()
    elif kind == "gone":
        del container[next(iter(container))]
    else:
        container[next(reversed(container))] = None if kind == "null" else [[]]


def fast(reader: JsonReader, shape: Any, body: Any) -> Any:
    try:
        return reader.compile(shape)(copy.deepcopy(body))
    except Rejected:
        return None


def slow(shape: Any, body: Any) -> Any:
    try:
        value = json_explain.read(shape, body)
    except CallerError:
        return None
    located = {name for name, member in shape.members.items() if "location" in member.serialization}
    found = [violation for violation in validate.violations(shape, value) if not located & set(violation.members[:1])]
    return None if found else value


@pytest.mark.parametrize("service", JSON_SERVICES)
def test_both_readers_agree_on_every_operation_spoiled_in_every_place(service: str) -> None:
    reader, writer = JsonReader(), JsonWriter()
    wrong, accepted, refused = [], 0, 0
    for name in sorted(engine().service(service).operation_names):
        shape = engine().input_shape(service, name)
        # Inputs with very many members are spoiled in places enough elsewhere.
        body = writer.compile(shape)(sample(shape)) if shape is not None else None
        if body is None or len(list(containers(body))) > 35:
            continue
        body = orjson.loads(json_writer.dump(body))
        for candidate in (body, *spoiled(body)):
            first, second = fast(reader, shape, candidate), slow(shape, candidate)
            accepted, refused = accepted + (second is not None), refused + (second is None)
            if first != second:
                wrong.append((name, candidate, first, second))
    assert wrong == []
    assert accepted > 0
    assert refused > 0
