"""Policy documents: reading, validating, compiling.

What is malformed is refused when it is written, in IAM's words, so that evaluation never meets it.
AWS: reference_policies_grammar.html and reference_policies_elements.html.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.policy.conditions import Condition, UnknownOperator, parse_conditions
from sagebrush.substrate.identity.policy.patterns import PatternList, actions, resources
from sagebrush.substrate.identity.policy.principals import InvalidPrincipal, PrincipalElement, parse_principal
from sagebrush.substrate.identity.policy.templates import Context

CURRENT_VERSION = "2012-10-17"
_VERSIONS = (CURRENT_VERSION, "2008-10-17")
_TOP = frozenset({"Version", "Id", "Statement"})
_ELEMENTS = frozenset(
    "Sid Effect Principal NotPrincipal Action NotAction Resource NotResource Condition".split()  # noqa: SIM905
)
_SID = re.compile(r"\A[0-9A-Za-z]*\Z")
_VENDOR = re.compile(r"\A[A-Za-z0-9-]+\Z")
_PARTITION = re.compile(r"\Aaws(-[a-z]+)*\Z")


class Kind(enum.Enum):
    """What a document is attached to; that decides which elements it must and must not have."""

    IDENTITY = "identity"
    TRUST = "trust"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A compiled statement; compared by identity."""

    sid: str
    allows: bool
    actions: PatternList
    all_but_actions: bool
    resources: PatternList | None
    all_but_resources: bool
    principal: PrincipalElement | None
    conditions: tuple[Condition, ...]
    index: int

    @property
    def plain(self) -> bool:
        """Whether action and resource alone decide if it applies."""
        return not self.conditions and (self.resources is None or self.resources.plain)

    @property
    def keys(self) -> tuple[str, ...]:
        """Condition keys that it depends on, as written."""
        named = self.resources.keys if self.resources is not None else ()
        return (*named, *(key for condition in self.conditions for key in condition.keys))

    def covers_action(self, action: str) -> bool:
        """``action`` in lower case."""
        return self.actions.matches(action, {}) != self.all_but_actions

    def covers_resource(self, resource: str, context: Context) -> bool:
        """A statement without Resource (trust policies) covers the resource it is attached to."""
        return self.resources is None or self.resources.matches(resource, context) != self.all_but_resources

    def holds(self, context: Context) -> bool:
        """Whether every condition holds."""
        return all(condition.holds(context) for condition in self.conditions)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A compiled policy document and the text it was compiled from."""

    text: str
    statements: tuple[Statement, ...]


def malformed(message: str) -> CallerError:
    """IAM's error for a document that breaks the grammar."""
    return CallerError("MalformedPolicyDocument", message)


@lru_cache(maxsize=1024)
def parse_document(text: str, kind: Kind = Kind.IDENTITY) -> Document:
    """Validate and compile a document. Raises CallerError ``MalformedPolicyDocument``."""
    try:
        source = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        raise malformed("Syntax errors in policy.") from None
    if not isinstance(source, dict) or set(source) - _TOP:
        raise malformed("Syntax errors in policy.")
    version = source.get("Version", "2008-10-17")
    if version not in _VERSIONS:
        raise malformed("The policy must contain a valid version string")
    listed = source.get("Statement")
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list) or not listed:
        raise malformed("Syntax errors in policy.")
    statements = tuple(
        _statement(item, kind, index, variables=version == CURRENT_VERSION) for index, item in enumerate(listed)
    )
    sids = [statement.sid for statement in statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise malformed("Statement IDs (SID) in a single policy must be unique.")
    return Document(text, statements)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("an element occurs twice")
    return dict(pairs)


def _statement(source: Any, kind: Kind, index: int, *, variables: bool) -> Statement:
    if not isinstance(source, dict) or set(source) - _ELEMENTS:
        raise malformed("Syntax errors in policy.")
    if source.get("Effect") not in ("Allow", "Deny"):
        raise malformed("Syntax errors in policy.")
    sid = source.get("Sid", "")
    if not isinstance(sid, str) or (kind is not Kind.RESOURCE and not _SID.match(sid)):
        raise malformed(
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*"
        )
    named, all_but_actions = _one_of(source, "Action", "Policy statement must contain actions.")
    _check_actions(named, kind)
    principal = _principal(source, kind)
    targets, all_but_resources = _resources(source, kind)
    return Statement(
        sid=sid,
        allows=source["Effect"] == "Allow",
        actions=actions(named),
        all_but_actions=all_but_actions,
        resources=None if targets is None else resources(targets, variables=variables),
        all_but_resources=all_but_resources,
        principal=principal,
        conditions=_conditions(source.get("Condition", {}), variables),
        index=index,
    )


def _one_of(source: Mapping[str, Any], element: str, missing: str) -> tuple[list[str], bool]:
    """The values of an element or of its ``Not`` twin, and whether it was the twin."""
    negated = f"Not{element}"
    if element in source and negated in source:
        raise malformed("Syntax errors in policy.")
    values = source.get(element, source.get(negated))
    values = [values] if isinstance(values, str) else values
    if not values:
        raise malformed(missing)
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise malformed("Syntax errors in policy.")
    return values, negated in source


def _check_actions(named: list[str], kind: Kind) -> None:
    for name in named:
        vendor, colon, action = name.partition(":")
        if name != "*" and not (colon and action and vendor):
            raise malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        if ":" in action:
            raise malformed("Actions/Condition can contain only one colon.")
        if name != "*" and not _VENDOR.match(vendor):
            raise malformed(f"Vendor {vendor} is not valid")
        if kind is Kind.TRUST and vendor.lower() != "sts":
            raise malformed("AssumeRole policy may only specify STS AssumeRole actions.")


def _resources(source: Mapping[str, Any], kind: Kind) -> tuple[list[str] | None, bool]:
    if kind is Kind.TRUST:
        if "Resource" in source or "NotResource" in source:
            raise malformed("Has prohibited field Resource")
        return None, False
    named, negated = _one_of(source, "Resource", "Policy statement must contain resources.")
    for name in named:
        if name == "*":
            continue
        parts = name.split(":", 5)
        if parts[0] != "arn" and not name.startswith("arn*"):
            raise malformed(f'Resource {name} must be in ARN format or "*".')
        if len(parts) > 1 and "*" not in parts[1] and "$" not in parts[1] and not _PARTITION.match(parts[1]):
            raise malformed(f'Partition "{parts[1]}" is not valid for resource "{name}".')
        if len(parts) < 3 and not name.endswith("*"):
            raise malformed("The policy failed legacy parsing")
    return named, negated


def _principal(source: Mapping[str, Any], kind: Kind) -> PrincipalElement | None:
    present = [element for element in ("Principal", "NotPrincipal") if element in source]
    if kind is Kind.IDENTITY:
        if present:
            raise malformed("Policy document should not specify a principal.")
        return None
    if len(present) != 1:
        raise malformed("Missing required field Principal" if not present else "Syntax errors in policy.")
    if kind is Kind.TRUST and present == ["NotPrincipal"] and source["Effect"] == "Allow":
        raise malformed("Allow with NotPrincipal is not allowed.")
    try:
        return parse_principal(source[present[0]], negated=present == ["NotPrincipal"])
    except InvalidPrincipal as error:
        raise malformed(f"Invalid principal in policy: {error}") from None


def _conditions(block: Any, variables: bool) -> tuple[Condition, ...]:
    if not isinstance(block, dict) or not all(isinstance(keys, dict) for keys in block.values()):
        raise malformed("Syntax errors in policy.")
    try:
        return parse_conditions(block, variables=variables)
    except UnknownOperator as error:
        raise malformed(f"Invalid Condition type : {error}.") from None
    except TypeError:
        raise malformed("Syntax errors in policy.") from None
