"""Who calls, and what their policies allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Identity, Principal


def bucket_arn(bucket: str) -> str:
    """The ARN of a bucket."""
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    """The ARN of an object."""
    return f"arn:aws:s3:::{bucket}/{key}"


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated principal, and whom to ask what it may."""

    principal: Principal
    identity: Identity
    source_ip: str = "127.0.0.1"

    @property
    def account(self) -> str:
        """The account that owns what the caller creates."""
        return self.principal.account

    def require(self, action: str, resource: str, context: Mapping[str, str] | None = None) -> None:
        """Raise CallerError AccessDenied (403) unless the policies allow it."""
        try:
            self.identity.authorize(self.principal, action, resource, source_ip=self.source_ip, context=context)
        except CallerError as denied:
            # The evaluator speaks for JSON services; S3 has a code and a status of its own.
            raise CallerError("AccessDenied", denied.message, status=403) from None

    def may(self, action: str, resource: str) -> bool:
        """Whether the policies allow it."""
        return self.identity.decide(self.principal, action, resource, source_ip=self.source_ip).allowed
