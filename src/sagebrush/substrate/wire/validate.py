"""Validation of parsed values against their shapes, with the wording of AWS's services.

Two ways over the same rules: :class:`LegalityCompiler` answers "is it legal?" fast and without words; only for a value
that is not, :func:`violations` walks again and says everything that is wrong, as AWS does, all at once::

    2 validation errors detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: Member must satisfy
    regular expression pattern: ...; Value null at 'roleArn' failed to satisfy constraint: Member must not be null

Lists and maps of plain values answer as one ("Map value must satisfy constraint: [...]"), structures inside lists by
their place ("tags.1.member.key"). Values of sensitive members are not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sagebrush.substrate.wire import constraints
from sagebrush.substrate.wire.shapes import ShapeCompiler, lower_first

_NOT_NULL: Final = "Member must not be null"
_ONE_MEMBER: Final = "Member must have exactly one member set"
#: Values are repeated in messages up to this many characters.
_VALUE_LIMIT: Final = 2048


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken constraint. ``members`` is the path in the API's own names, without list positions."""

    path: str
    value: str | None
    constraint: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        value = "" if self.value is None else f" {self.value}"
        return f"Value{value} at '{self.path}' failed to satisfy constraint: {self.constraint}"


def message(found: list[Violation]) -> str:
    """The one message that names every violation."""
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
    return f"{count}: {'; '.join(map(str, found))}"


class LegalityCompiler(ShapeCompiler):
    """Compiles a shape to ``value -> bool``. None in place of a function means: every value is legal."""

    def _scalar(self, shape: Any) -> Callable[[Any], bool]:
        return constraints.is_legal(shape) or always

    def _structure(self, shape: Any) -> Callable[[Any], bool]:
        if shape.is_document_type:
            return always
        members = {name: self.compile(member) for name, member in shape.members.items()}
        members = {name: test for name, test in members.items() if test is not always}
        required = frozenset(shape.required_members)
        is_union = shape.is_tagged_union
        if not members and not required and not is_union:
            return always

        def legal(value: Any) -> bool:
            if is_union and len(value) != 1:
                return False
            if not required.issubset(value):
                return False
            for name, item in value.items():
                test = members.get(name)
                if test is not None and not test(item):
                    return False
            return True

        return legal

    def _list(self, shape: Any) -> Callable[[Any], bool]:
        own = constraints.is_legal(shape)
        test = self.compile(shape.member)

        def legal(value: Any) -> bool:
            if own is not None and not own(value):
                return False
            return all(item is not None and test(item) for item in value)

        return legal

    def _map(self, shape: Any) -> Callable[[Any], bool]:
        own = constraints.is_legal(shape)
        key_test, value_test = self.compile(shape.key), self.compile(shape.value)

        def legal(value: Any) -> bool:
            if own is not None and not own(value):
                return False
            return all(item is not None and key_test(key) and value_test(item) for key, item in value.items())

        return legal


def always(value: Any) -> bool:
    """The test of shapes that no value can break."""
    return True


def violations(shape: Any, value: Any) -> list[Violation]:
    """Everything that is wrong with a parsed value of ``shape``."""
    return list(_walk(shape, value, "", ()))


def _walk(shape: Any, value: Any, path: str, members: tuple[str, ...]) -> Iterator[Violation]:
    for text in constraints.broken(shape, value):
        yield _violation(shape, value, path, members, text)
    walker = _WALKERS.get(shape.type_name)
    if walker is not None:
        yield from walker(shape, value, path, members)


def _structure(shape: Any, value: Any, path: str, members: tuple[str, ...]) -> Iterator[Violation]:
    if shape.is_document_type:
        return
    if shape.is_tagged_union and len(value) != 1:
        yield _violation(shape, value, path, members, _ONE_MEMBER)
    required = set(shape.required_members)
    for name, member in shape.members.items():
        inner = f"{path}.{lower_first(name)}" if path else lower_first(name)
        if value.get(name) is not None:
            yield from _walk(member, value[name], inner, (*members, name))
        elif name in required:
            yield Violation(inner, "null", _NOT_NULL, (*members, name))


def _list(shape: Any, value: Any, path: str, members: tuple[str, ...]) -> Iterator[Violation]:
    if shape.member.type_name in _WALKERS:
        for number, item in enumerate(value, 1):
            inner = f"{path}.{number}.member"
            if item is None:
                yield Violation(inner, "null", _NOT_NULL, members)
            else:
                yield from _walk(shape.member, item, inner, members)
    elif any(item is None for item in value):
        yield _violation(shape, value, path, members, f"Member must satisfy constraint: [{_NOT_NULL}]")
    elif any(constraints.broken(shape.member, item) for item in value):
        texts = ", ".join(constraints.all_texts(shape.member))
        yield _violation(shape, value, path, members, f"Member must satisfy constraint: [{texts}]")


def _map(shape: Any, value: Any, path: str, members: tuple[str, ...]) -> Iterator[Violation]:
    if any(constraints.broken(shape.key, key) for key in value):
        texts = ", ".join(constraints.all_texts(shape.key))
        yield _violation(shape, value, path, members, f"Map keys must satisfy constraint: [{texts}]")
    if any(item is None for item in value.values()):
        yield _violation(shape, value, path, members, f"Map value must satisfy constraint: [{_NOT_NULL}]")
    elif shape.value.type_name in _WALKERS:
        for key, item in value.items():
            yield from _walk(shape.value, item, f"{path}.{key}.member", members)
    elif any(constraints.broken(shape.value, item) for item in value.values()):
        texts = ", ".join(constraints.all_texts(shape.value))
        yield _violation(shape, value, path, members, f"Map value must satisfy constraint: [{texts}]")


_WALKERS: Final[Mapping[str, Callable[..., Iterator[Violation]]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
}


def _violation(shape: Any, value: Any, path: str, members: tuple[str, ...], text: str) -> Violation:
    return Violation(path, None if _is_sensitive(shape) else f"'{as_text(value)}'", text, members)


def _is_sensitive(shape: Any) -> bool:
    if shape.metadata.get("sensitive"):
        return True
    if shape.type_name == "list":
        return _is_sensitive(shape.member)
    return shape.type_name == "map" and (_is_sensitive(shape.key) or _is_sensitive(shape.value))


def as_text(value: Any) -> str:
    """A value as Java prints it, which is how AWS repeats it: ``[a, b]``, ``{k=v}``, ``true``."""
    text = "".join(_pieces(value))
    return text if len(text) <= _VALUE_LIMIT else text[:_VALUE_LIMIT] + "..."


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif value is None:
        yield "null"
    elif isinstance(value, dict):
        yield "{" + ", ".join(f"{key}={as_text(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list):
        yield "[" + ", ".join(as_text(item) for item in value) + "]"
    elif isinstance(value, bytes):
        yield f"<{len(value)} bytes>"
    elif isinstance(value, datetime):
        yield value.isoformat()
    else:
        yield str(value)
