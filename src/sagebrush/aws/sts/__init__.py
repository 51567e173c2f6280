"""STS: who am I, and temporary credentials of roles.

Sessions are made and opened in ``substrate/identity``; ``operations/sessions.py`` says who gets which.
"""

from __future__ import annotations

from sagebrush.aws.sts.operations import callers, sessions
from sagebrush.substrate.calls import Capability, Service

CAPABILITY = Capability(
    name="sts",
    services=(
        Service(
            name="sts",
            iam_prefix="sts",
            operations={
                "AssumeRole": sessions.assume_role,
                "GetAccessKeyInfo": callers.get_access_key_info,
                "GetCallerIdentity": callers.get_caller_identity,
                "GetSessionToken": sessions.get_session_token,
            },
            # GetCallerIdentity and GetSessionToken need no permission. AssumeRole needs the role's trust as well as
            # the caller's policies, and asks for both itself.
            open_operations=frozenset({"AssumeRole", "GetCallerIdentity", "GetSessionToken"}),
        ),
    ),
)
