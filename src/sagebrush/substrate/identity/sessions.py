"""Making sessions: the operator's, and those of roles and users. Needs the platform's keys and no store."""

from __future__ import annotations

from sagebrush.substrate.arns import build
from sagebrush.substrate.arns import parse as parse_arn
from sagebrush.substrate.clock import Clock, to_datetime
from sagebrush.substrate.identity import tokens
from sagebrush.substrate.identity.access_key_ids import TEMPORARY, fixed_unique_id, new_access_key_id
from sagebrush.substrate.identity.keys import PlatformKeys
from sagebrush.substrate.identity.principal import Principal, TemporaryCredentials

OPERATOR_ROLE = "SageMakerRole"
#: A week: `sagebrush env` is evaluated once for a shell, and notebooks run on.
OPERATOR_SECONDS = 7 * 24 * 3600


def operator_role_id(account: str) -> str:
    """The RoleId of SageMakerRole as it is seeded: known without asking the store."""
    return fixed_unique_id("AROA", account, OPERATOR_ROLE)


def operator_principal(account: str, session_name: str = "operator") -> Principal:
    """The administrator, named after SageMakerRole (docs/dev/decisions/0003-the-operator-session.md)."""
    return Principal(
        arn=build("sts", "", account, f"assumed-role/{OPERATOR_ROLE}/{session_name}"),
        account=account,
        user_id=f"{operator_role_id(account)}:{session_name}",
        role_arn=build("iam", "", account, f"role/{OPERATOR_ROLE}"),
        operator=True,
    )


def operator_session(
    keys: PlatformKeys,
    clock: Clock,
    account: str,
    session_name: str = "operator",
    seconds: int = OPERATOR_SECONDS,
) -> TemporaryCredentials:
    """Credentials of the operator: whoever can read the key file may have them."""
    return credentials(keys, clock, operator_principal(account, session_name), seconds)


def role_principal(
    role_arn: str,
    role_id: str,
    session_name: str,
    *,
    policies: tuple[str, ...] = (),
    context: tuple[tuple[str, str], ...] = (),
) -> Principal:
    """A session of a role: what GetCallerIdentity shows leaves the role's path out."""
    account, name = parse_arn(role_arn).account, role_arn.rsplit("/", 1)[-1]
    return Principal(
        arn=build("sts", "", account, f"assumed-role/{name}/{session_name}"),
        account=account,
        user_id=f"{role_id}:{session_name}",
        role_arn=role_arn,
        session_policies=policies,
        session_context=context,
    )


def credentials(keys: PlatformKeys, clock: Clock, principal: Principal, seconds: int) -> TemporaryCredentials:
    """Temporary credentials of ``principal`` that end ``seconds`` from now (whole seconds, as STS shows them)."""
    now_us = clock.now_us()
    expires_us = (now_us // 1_000_000 + seconds) * 1_000_000
    access_key_id = new_access_key_id(TEMPORARY, principal.account)
    sealed = tokens.seal(keys, tokens.Session(access_key_id, principal, expires_us))
    return TemporaryCredentials(
        access_key_id=access_key_id,
        secret_access_key=sealed.secret_access_key,
        session_token=sealed.token,
        expiration=to_datetime(expires_us),
        principal=principal,
    )


def session_context(now_us: int) -> tuple[tuple[str, str], ...]:
    """The condition keys that every temporary credential carries."""
    issued = to_datetime(now_us).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (("aws:TokenIssueTime", issued), ("aws:MultiFactorAuthPresent", "false"))
