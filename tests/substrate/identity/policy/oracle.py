"""Deciding as the documentation's text says, word by word: no caches, no compilation, no regular expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def naive_glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive_glob(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and naive_glob(pattern[1:], text[1:])


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def naive_condition(operator: str, wanted: Any, values: Sequence[str]) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return any((item == "true") == (not values) for item in listed(wanted))
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    if not values:
        if if_exists:
            return True
        return quantifier == "ForAllValues" if quantifier else negated

    def one(value: str) -> bool:
        compare = naive_glob if name.endswith("Like") else lambda item, text: bool(item == text)
        found = any(compare(item, value) for item in listed(wanted))
        return not found if negated else found

    answers = [one(value) for value in values]
    if quantifier == "ForAnyValue":
        return any(answers)
    if quantifier == "ForAllValues" or negated:
        return all(answers)
    return any(answers)


def naive_applies(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, list[str]]) -> bool:
    if "Action" in statement:
        acts = any(naive_glob(item.lower(), action.lower()) for item in listed(statement["Action"]))
    else:
        acts = not any(naive_glob(item.lower(), action.lower()) for item in listed(statement["NotAction"]))
    if "Resource" in statement:
        targets = any(naive_glob(item, resource) for item in listed(statement["Resource"]))
    else:
        targets = not any(naive_glob(item, resource) for item in listed(statement["NotResource"]))
    return (
        acts
        and targets
        and all(
            naive_condition(operator, wanted, context.get(key, []))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def naive_layer(statements: Sequence[Mapping[str, Any]], *request: Any) -> str:
    effects = {statement["Effect"] for statement in statements if naive_applies(statement, *request)}
    if "Deny" in effects:
        return "explicitDeny"
    return "allowed" if effects else "implicitDeny"


def naive_decision(layers: Sequence[Sequence[Mapping[str, Any]]], *request: Any) -> str:
    answers = {naive_layer(statements, *request) for statements in layers}
    if "explicitDeny" in answers:
        return "explicitDeny"
    return "allowed" if answers == {"allowed"} else "implicitDeny"
