"""Who makes a call."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller.

    ``arn`` is what GetCallerIdentity answers: ``arn:aws:sts::<account>:assumed-role/<Role>/<session>``,
    ``arn:aws:iam::<account>:user/<name>`` or ``arn:aws:iam::<account>:root``. ``role_arn`` is set for role sessions.
    ``operator`` marks a session minted from the data directory's own key: whoever can read that key owns the platform,
    so it carries AdministratorAccess whatever its role's policies say. ``service`` is set when the platform acts for
    itself (``sagemaker.amazonaws.com``). ``session_policies`` further restrict a session: policy documents, or ARNs of
    managed policies. ``session_context`` are (condition key, value) pairs that the session carries, such as
    ``aws:PrincipalTag/Team``; a key may occur more than once.
    """

    arn: str
    account: str
    user_id: str
    role_arn: str | None = None
    operator: bool = False
    service: str | None = None
    session_policies: tuple[str, ...] = field(default=())
    session_context: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class TemporaryCredentials:
    """Credentials of a role session, as STS hands them out."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: datetime
    principal: Principal
