"""What every operation's function receives besides its request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagebrush.substrate.identity.principal import Principal

if TYPE_CHECKING:
    from sagebrush.substrate.platform import Platform


@dataclass(frozen=True, slots=True)
class OwnerToken:
    """(owner ARN, step, attempt) of a reconciler's call: a repeat returns the first answer (DESIGN 3.6)."""

    owner_arn: str
    step: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.owner_arn}#{self.step}#{self.attempt}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one operation: who, where, what, and the platform to do it with.

    ``service`` is botocore's service name (``sagemaker``, ``logs``), ``operation`` the API's (``CreateTrainingJob``).
    """

    platform: Platform
    service: str
    operation: str
    principal: Principal
    account: str
    region: str
    request_id: str
    source_ip: str = "127.0.0.1"
    owner: OwnerToken | None = None


#: An operation: (call, validated request as botocore shapes name it) -> result with the output shape's members.
#: Members that are absent must be absent from the dict, never None.
Handler = Callable[[Call, dict[str, Any]], dict[str, Any]]
