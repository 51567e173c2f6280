"""Calling operations: from the wire and from one capability to another."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sagebrush.substrate.calls.authorizing import authorize
from sagebrush.substrate.calls.call import Call, OwnerToken
from sagebrush.substrate.calls.registry import Registry
from sagebrush.substrate.identity.principal import Principal

if TYPE_CHECKING:
    from sagebrush.substrate.platform import Platform


def new_request_id() -> str:
    """A request id in AWS's form."""
    return str(uuid.uuid4())


class Calls:
    """Dispatches calls to their functions, authorised first.

    Capabilities never import each other; they call each other here, by AWS name and under the caller's role.
    """

    def __init__(self, registry: Registry):
        self.registry = registry

    def dispatch(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        """Authorise and run one operation. Raises CallerError as the operation or the policies say."""
        operation = self.registry.find(call.service, call.operation)
        authorize(operation, call, request)
        return operation.handler(call, request)

    def call(
        self,
        platform: Platform,
        principal: Principal,
        service: str,
        operation: str,
        request: dict[str, Any],
        *,
        owner: OwnerToken | None = None,
    ) -> dict[str, Any]:
        """Call an operation in process, as ``principal``. With ``owner`` a repeat returns the first answer."""
        settings = platform.settings
        call = Call(
            platform=platform,
            service=service,
            operation=operation,
            principal=principal,
            account=settings.account,
            region=settings.region,
            request_id=new_request_id(),
            owner=owner,
        )
        return self.dispatch(call, request)
