"""The Principal element of trust and resource policies. AWS: reference_policies_elements_principal.html."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ACCOUNT = re.compile(r"\A\d{12}\Z")
_ARN = re.compile(
    r"\Aarn:[a-z-]+:(iam::\d{12}:(root|user/\S+|role/\S+)|sts::\d{12}:(assumed-role|federated-user)/\S+)\Z"
)
_KINDS = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


class InvalidPrincipal(ValueError):
    """A principal that the policy language does not have; the text is as IAM shows it (``"AWS":"x"``)."""


class Grant(enum.IntEnum):
    """How a resource policy's Principal means a caller, weakest first (reference_policies_evaluation-logic.html)."""

    NONE = 0
    #: Its account is named: the account's own policies must allow the action as well.
    ACCOUNT = 1
    #: Its role is named: the session's boundary and session policies still limit what it may.
    ROLE = 2
    #: Itself is named: no boundary and no session policy needs to allow the action.
    DIRECT = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes the request, as a Principal element can name it: by ARN, role, account, or service name."""

    arn: str = ""
    account: str = ""
    role_arn: str | None = None
    service: str | None = None

    @property
    def root(self) -> str:
        """The ARN that stands for the whole account."""
        return f"arn:aws:iam::{self.account}:root"


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """A parsed Principal or NotPrincipal."""

    everyone: bool
    aws: frozenset[str]
    services: frozenset[str]
    negated: bool

    def grant(self, caller: Caller) -> Grant:
        """How the element means ``caller``."""
        if self.negated:
            if self._lists_all_names_of(caller):
                return Grant.NONE
            return Grant.ROLE if caller.role_arn is not None else Grant.DIRECT
        if caller.service is not None:
            return Grant.DIRECT if self.everyone or caller.service in self.services else Grant.NONE
        if caller.arn in self.aws:
            return Grant.DIRECT
        if caller.role_arn is not None:
            if self.everyone or caller.role_arn in self.aws:
                return Grant.ROLE
        elif self.everyone:
            return Grant.DIRECT
        return Grant.ACCOUNT if caller.root in self.aws else Grant.NONE

    def _lists_all_names_of(self, caller: Caller) -> bool:
        # To be excepted, a user's account must be listed beside the user, and a session's role and account beside it
        # (reference_policies_elements_notprincipal.html).
        if caller.service is not None:
            return caller.service in self.services
        names = {caller.arn, caller.root} | ({caller.role_arn} if caller.role_arn else set())
        return self.everyone or names <= self.aws


def parse_principal(element: Any, *, negated: bool) -> PrincipalElement:
    """Parse a Principal element. Raises InvalidPrincipal."""
    if element == "*":
        return PrincipalElement(everyone=True, aws=frozenset(), services=frozenset(), negated=negated)
    if not isinstance(element, Mapping) or not element:
        raise InvalidPrincipal(f'"{element}"')
    if unknown := set(element) - _KINDS:
        raise InvalidPrincipal(f'"{sorted(unknown)[0]}"')
    named = list(_texts("AWS", element.get("AWS", [])))
    return PrincipalElement(
        everyone="*" in named,
        aws=frozenset(_aws_principal(name) for name in named if name != "*"),
        services=frozenset(_texts("Service", element.get("Service", []))),
        negated=negated,
    )


def _texts(kind: str, value: Any) -> Iterable[str]:
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str) or not text:
            raise InvalidPrincipal(f'"{kind}":"{text}"')
        yield text


def _aws_principal(name: str) -> str:
    if _ACCOUNT.match(name):
        return f"arn:aws:iam::{name}:root"
    if not _ARN.match(name) or "*" in name:
        raise InvalidPrincipal(f'"AWS":"{name}"')
    return name
