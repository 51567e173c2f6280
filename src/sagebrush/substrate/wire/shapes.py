"""Compiling botocore's shapes into closures, recursive shapes included.

A shape is compiled once per service and protocol, on first use. Members of an input or output shape differ from the
shape they name only by a few traits (``timestampFormat``, ``flattened`` ...), so those are part of the key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

_TRAITS: Final = ("timestampFormat", "flattened", "jsonvalue", "location", "xmlNamespace", "name", "payload")


class ShapeCompiler(ABC):
    """Turns shapes into functions of one value; subclasses say what the function does."""

    def __init__(self) -> None:
        self._compiled: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def compile(self, shape: Any) -> Callable[..., Any]:
        """The function for ``shape``; the same function for the same shape."""
        serialization = shape.serialization
        key = (shape.name, *(str(serialization[t]) if t in serialization else None for t in _TRAITS))
        found = self._compiled.get(key)
        if found is not None:
            return found
        # While a shape is being compiled, its own members may refer to it: they get a detour to the finished function.
        self._compiled[key] = lambda *arguments: self._compiled[key](*arguments)
        function = getattr(self, f"_{shape.type_name}", self._scalar)(shape)
        self._compiled[key] = function
        return function

    @abstractmethod
    def _scalar(self, shape: Any) -> Callable[..., Any]:
        """The function of a shape of a type that has no method of its own."""


def in_response_body(member: Any) -> bool:
    """Whether a member of an output travels in the body; places of a request mean nothing in a response."""
    return member.serialization.get("location") not in ("header", "headers", "statusCode")


def wire_name(shape: Any, default: str) -> str:
    """What a member is called on the wire (locationName), or ``default``."""
    return str(shape.serialization.get("name", default))


def lower_first(name: str) -> str:
    """Error messages name members as Java fields: ``TrainingJobName`` is ``trainingJobName``."""
    return name[:1].lower() + name[1:]
