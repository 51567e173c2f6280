"""How one value of the request is compared with one value of the policy, per family of operators."""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from sagebrush.substrate.identity.policy.templates import Context, Resolved, Template, Wildcard, glob, literal, parse

_ARN_PARTS = 6


@dataclass(frozen=True, slots=True)
class Operand:
    """One value of the policy: as written, and read as what its operator compares (None when it cannot be)."""

    text: str
    template: Template | None = None
    value: Any = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Condition keys that its policy variables name."""
        return tuple(variable.key for variable in self.template.variables) if self.template else ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A family of operators.

    Text families (``text`` set) compare with what the policy value's template resolves to, the others compare two
    values that ``read`` made; a value that cannot be read compares with nothing. ``null_check`` marks ``Null``.
    """

    text: Callable[[str, Resolved], bool] | None = None
    wildcards: bool = False
    read: Callable[[str], Any] | None = None
    read_request: Callable[[str], Any] | None = None
    compare: Callable[[Any, Any], bool] = operator.eq
    null_check: bool = False

    def operand(self, text: str, *, variables: bool) -> Operand:
        """Prepare a policy value. Only text and ARN operators know policy variables."""
        if self.text is not None:
            return Operand(text, template=parse(text, wildcards=self.wildcards, variables=variables))
        return Operand(text, value=self.read(text) if self.read is not None else None)

    def matches(self, value: str, operand: Operand, context: Context) -> bool:
        """Whether the request's ``value`` compares with the policy's."""
        if self.text is not None:
            resolved = operand.template.resolve(context) if operand.template is not None else None
            return resolved is not None and self.text(value, resolved)
        read = self.read_request or self.read
        ours = read(value) if read is not None else None
        return ours is not None and operand.value is not None and self.compare(ours, operand.value)


@dataclass(frozen=True, slots=True)
class Operator:
    """A named operator: a comparison or its complement."""

    comparison: Comparison
    negated: bool = False


def _same_arn(value: str, resolved: Resolved) -> bool:
    """Each of the six parts is compared apart; ``*`` and ``?`` do not cross a colon but in the last."""
    if resolved == (Wildcard.STAR,):
        return True
    patterns, parts = _split_arn(resolved), value.split(":", _ARN_PARTS - 1)
    if len(patterns) != _ARN_PARTS or len(parts) != _ARN_PARTS:
        return False
    return all(glob(pattern).match(part) for pattern, part in zip(patterns, parts, strict=True))


def _split_arn(resolved: Resolved) -> list[Resolved]:
    segments: list[list[str | Wildcard]] = [[]]
    for part in resolved:
        if isinstance(part, Wildcard):
            segments[-1].append(part)
            continue
        first, *rest = part.split(":", _ARN_PARTS - len(segments))
        segments[-1].append(first)
        segments.extend([text] for text in rest)
    return [tuple(part for part in segment if part != "") for segment in segments]


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


_DATE = re.compile(r"\A\d{4}(-\d{2}(-\d{2}.*)?)?\Z")


def _date(text: str) -> Decimal | None:
    """Seconds since 1970 of an ISO 8601 date (year and month may stand alone) or of an epoch time."""
    text = text.strip()
    if not _DATE.match(text):
        return _number(text)
    try:
        moment = datetime.fromisoformat(text + "-01" * (2 - min(text.count("-"), 2)) if len(text) <= 7 else text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return Decimal(str(moment.timestamp()))


def _bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.strip().lower())


def _binary(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _address(text: str) -> Any:
    try:
        return ip_address(text.strip())
    except ValueError:
        return None


_STRING_EQUALS = Comparison(text=lambda value, resolved: value == literal(resolved))
_STRING_EQUALS_IGNORE_CASE = Comparison(text=lambda value, resolved: value.lower() == literal(resolved).lower())
_STRING_LIKE = Comparison(text=lambda value, resolved: glob(resolved).match(value) is not None, wildcards=True)
_ARN = Comparison(text=_same_arn, wildcards=True)
_IP = Comparison(read=_network, read_request=_address, compare=lambda address, network: address in network)


def _ordered(prefix: str, read: Callable[[str], Any]) -> dict[str, Operator]:
    return {
        f"{prefix}equals": Operator(Comparison(read=read)),
        f"{prefix}notequals": Operator(Comparison(read=read), negated=True),
        f"{prefix}lessthan": Operator(Comparison(read=read, compare=operator.lt)),
        f"{prefix}lessthanequals": Operator(Comparison(read=read, compare=operator.le)),
        f"{prefix}greaterthan": Operator(Comparison(read=read, compare=operator.gt)),
        f"{prefix}greaterthanequals": Operator(Comparison(read=read, compare=operator.ge)),
    }


#: Every operator by its lower-cased name, without quantifier and ``IfExists``.
OPERATORS: dict[str, Operator] = {
    "stringequals": Operator(_STRING_EQUALS),
    "stringnotequals": Operator(_STRING_EQUALS, negated=True),
    "stringequalsignorecase": Operator(_STRING_EQUALS_IGNORE_CASE),
    "stringnotequalsignorecase": Operator(_STRING_EQUALS_IGNORE_CASE, negated=True),
    "stringlike": Operator(_STRING_LIKE),
    "stringnotlike": Operator(_STRING_LIKE, negated=True),
    **_ordered("numeric", _number),
    **_ordered("date", _date),
    "bool": Operator(Comparison(read=_bool)),
    "binaryequals": Operator(Comparison(read=_binary)),
    "ipaddress": Operator(_IP),
    "notipaddress": Operator(_IP, negated=True),
    # AWS: ArnEquals and ArnLike behave alike.
    "arnequals": Operator(_ARN),
    "arnnotequals": Operator(_ARN, negated=True),
    "arnlike": Operator(_ARN),
    "arnnotlike": Operator(_ARN, negated=True),
    "null": Operator(Comparison(null_check=True)),
}
