"""Python values to JSON values by shape."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any, Final

import orjson

from sagebrush.substrate.wire import timestamps
from sagebrush.substrate.wire.shapes import ShapeCompiler, in_response_body, wire_name

Writer = Callable[[Any], Any]

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def dump(value: Any) -> bytes:
    """JSON as AWS writes it: UTF-8, no spaces. Half a surrogate pair, which UTF-8 cannot carry, becomes ``?``."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return _leniently(value)


def _leniently(value: Any) -> bytes:
    """What orjson refuses: surrogates, and numbers of more than 64 bits."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


class JsonWriter(ShapeCompiler):
    """Compiles shapes to writers. Members that are None or unknown to the shape are left out."""

    def _scalar(self, shape: Any) -> Writer:
        return _same

    def _structure(self, shape: Any) -> Writer:
        if shape.is_document_type:
            return _same
        members = {
            name: (wire_name(member, name), _or_none(self.compile(member)))
            for name, member in shape.members.items()
            if in_response_body(member)
        }
        find = members.get

        def write(value: Any) -> dict[str, Any]:
            result = {}
            for name, item in value.items():
                if item is not None:
                    member = find(name)
                    if member is not None:
                        key, convert = member
                        result[key] = item if convert is None else convert(item)
            return result

        return write

    def _list(self, shape: Any) -> Writer:
        member = self.compile(shape.member)
        if member is _same:
            return list
        return lambda value: [None if item is None else member(item) for item in value]

    def _map(self, shape: Any) -> Writer:
        member = self.compile(shape.value)
        if member is _same:
            return dict
        return lambda value: {key: None if item is None else member(item) for key, item in value.items()}

    def _float(self, shape: Any) -> Writer:
        return _finite_or_text

    _double = _float

    def _timestamp(self, shape: Any) -> Writer:
        return timestamps.WRITERS[timestamps.form(shape, "unixtimestamp")]  # type: ignore[no-any-return]

    def _blob(self, shape: Any) -> Writer:
        return base64_text


def _same(value: Any) -> Any:
    return value


def _or_none(writer: Writer) -> Writer | None:
    """Most members are written as they are; not calling anything for them is what makes long lists fast."""
    return None if writer is _same else writer


def _finite_or_text(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")


def base64_text(value: bytes | str) -> str:
    """Bytes (or text, as UTF-8) in base64."""
    return base64.b64encode(value.encode("utf-8") if isinstance(value, str) else value).decode("ascii")
