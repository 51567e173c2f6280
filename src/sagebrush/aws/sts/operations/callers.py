"""Who is it?"""

from __future__ import annotations

from typing import Any

from sagebrush.substrate.calls import Call
from sagebrush.substrate.identity.access_key_ids import account_of
from sagebrush.substrate.identity.iam_errors import validation_error


def get_caller_identity(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The caller. The SDKs' ``get_execution_role()`` rests on the ARN being an assumed role's."""
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


def get_access_key_info(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The account an access key id belongs to, whether the key exists or not. Raises ValidationError."""
    account = account_of(request["AccessKeyId"])
    if account is None:
        raise validation_error("1 validation error detected: Value at 'accessKeyId' is not an access key id")
    return {"Account": account}
