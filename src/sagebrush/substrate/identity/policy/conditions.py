"""The Condition element. AWS: reference_policies_elements_condition_operators.html and, for keys with several values,
reference_policies_condition-single-vs-multi-valued-context-keys.html."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagebrush.substrate.identity.policy.comparisons import OPERATORS, Comparison, Operand
from sagebrush.substrate.identity.policy.templates import Context

_FOR_ALL = "forallvalues"
_FOR_ANY = "foranyvalue"
_IF_EXISTS = "ifexists"


class UnknownOperator(ValueError):
    """A condition operator that the policy language does not have."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to one key: true when the request's values of ``key`` compare with any of ``operands``.

    Negated operators (``StringNotEquals`` ...) are the complement of their positive twin, value by value.
    """

    key: str
    comparison: Comparison
    negated: bool
    if_exists: bool
    quantifier: str
    operands: tuple[Operand, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Every condition key the answer depends on, as written."""
        return (self.key, *(key for operand in self.operands for key in operand.keys))

    def holds(self, context: Context) -> bool:
        """Whether the request satisfies the condition."""
        values = context.get(self.key.lower(), ())
        if self.comparison.null_check:
            return any(operand.text.lower() == ("false" if values else "true") for operand in self.operands)
        if not values:
            return self._holds_without_key()
        if self.quantifier == _FOR_ALL:
            return all(self._satisfies(value, context) for value in values)
        if self.quantifier == _FOR_ANY:
            return any(self._satisfies(value, context) for value in values)
        if self.negated:
            return all(self._satisfies(value, context) for value in values)
        return any(self._satisfies(value, context) for value in values)

    def _holds_without_key(self) -> bool:
        # IfExists makes any operator true, also one with a set operator. An empty set is a missing key:
        # ForAllValues is true of it, ForAnyValue false, negated or not.
        if self.if_exists:
            return True
        return self.quantifier == _FOR_ALL if self.quantifier else self.negated

    def _satisfies(self, value: str, context: Context) -> bool:
        matched = any(self.comparison.matches(value, operand, context) for operand in self.operands)
        return matched != self.negated


def parse_conditions(block: Mapping[str, Mapping[str, Any]], *, variables: bool) -> tuple[Condition, ...]:
    """Compile a Condition block, of which all parts must hold. Raises UnknownOperator, or TypeError for a bad shape."""
    return tuple(
        _parse(operator, key, values, variables) for operator, keys in block.items() for key, values in keys.items()
    )


def _parse(operator: str, key: str, values: Any, variables: bool) -> Condition:
    quantifier, _, name = operator.lower().rpartition(":")
    if quantifier not in ("", _FOR_ALL, _FOR_ANY):
        raise UnknownOperator(operator)
    if_exists = name.endswith(_IF_EXISTS)
    found = OPERATORS.get(name.removesuffix(_IF_EXISTS))
    if found is None or (found.comparison.null_check and (if_exists or quantifier)):
        raise UnknownOperator(operator)
    texts = [_text(value) for value in (values if isinstance(values, list) else [values])]
    operands = tuple(found.comparison.operand(text, variables=variables) for text in texts)
    return Condition(key, found.comparison, found.negated, if_exists, quantifier, operands)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError(f"{value!r} is no condition value")
