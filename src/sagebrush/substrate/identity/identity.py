"""Who calls, and may they: the one object that planes and operations ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.identity import access_keys, context, denials, entities, managed, sessions, versions
from sagebrush.substrate.identity.authentication import Authenticator, Secret
from sagebrush.substrate.identity.aws_managed import ADMINISTRATOR, aws_managed_policies
from sagebrush.substrate.identity.context import ContextValue
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.iam_errors import no_such_entity
from sagebrush.substrate.identity.key_uses import KeyUses
from sagebrush.substrate.identity.keys import PlatformKeys
from sagebrush.substrate.identity.policy import (
    Caller,
    Context,
    Decision,
    Document,
    Kind,
    Layers,
    PolicySet,
    Source,
    decide,
    parse_document,
    trusts,
)
from sagebrush.substrate.identity.principal import Principal, TemporaryCredentials
from sagebrush.substrate.identity.standing import Standing, StandingCache, compile_set
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import Store

#: Condition keys of a request, or what makes them when a policy asks.
RequestKeys = Mapping[str, ContextValue] | Callable[[], Mapping[str, ContextValue]]
#: Reads the resource's tags when a condition asks for one.
ResourceTags = Callable[[], Mapping[str, str]]
T = TypeVar("T")


class Identity:
    """Authentication and authorisation on one platform key and one state store.

    Thread-safe. Every process that serves requests has its own; ``standing.py`` says how soon one sees what another
    changed.
    """

    def __init__(self, *, store: Store, clock: Clock, settings: Settings, key_file: Path) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self.keys = PlatformKeys(key_file)
        self._standings = StandingCache(store, clock)
        self._administrator = compile_set(
            [(Source("AdministratorAccess", "aws-managed"), aws_managed_policies()[ADMINISTRATOR].document)]
        )
        self._authenticator = Authenticator(self.keys, self._standings, clock)
        self.key_uses = KeyUses(store, clock)

    # --- who calls -----------------------------------------------------------------------------------------------

    def lookup(self, access_key_id: str, session_token: str | None) -> Secret:
        """The secret and principal of an access key.

        Raises CallerError ``ExpiredTokenException`` or ``InvalidClientTokenId`` (403); the planes say it in the words
        of their protocol (S3: ``ExpiredToken``, ``InvalidAccessKeyId``).
        """
        return self._authenticator.lookup(access_key_id, session_token)

    def open_principal(self) -> Principal:
        """Whom unsigned requests act as where the setting ``auth`` is ``open``: the operator."""
        return sessions.operator_principal(self._settings.account, "open")

    def service_principal(self, name: str) -> Principal:
        """The platform acting for itself, as ``sagemaker.amazonaws.com``; it may do everything."""
        account = self._settings.account
        return Principal(arn=f"arn:aws:iam::{account}:root", account=account, user_id=name, service=name)

    def operator_session(
        self, session_name: str = "operator", seconds: int = sessions.OPERATOR_SECONDS
    ) -> TemporaryCredentials:
        """Credentials of the administrator, named ``assumed-role/SageMakerRole/<session_name>``."""
        return sessions.operator_session(self.keys, self._clock, self._settings.account, session_name, seconds)

    def role_session(
        self,
        role_arn: str,
        session_name: str,
        seconds: int,
        *,
        policies: Sequence[str] = (),
        session_context: Sequence[tuple[str, str]] = (),
    ) -> TemporaryCredentials:
        """Credentials of a role, with the role's rights and nothing more. Asks no trust policy: STS does.

        ``policies`` (documents, or ARNs of managed policies) restrict the session further. Raises CallerError
        ``NoSuchEntity`` when the role does not exist.
        """
        role = self.role(role_arn)
        principal = sessions.role_principal(
            role.arn,
            role.unique_id,
            session_name,
            policies=tuple(policies),
            context=(*sessions.session_context(self._clock.now_us()), *session_context),
        )
        return sessions.credentials(self.keys, self._clock, principal, seconds)

    def user_session(self, principal: Principal, seconds: int) -> TemporaryCredentials:
        """Temporary credentials with a user's own rights (GetSessionToken)."""
        context_of_session = sessions.session_context(self._clock.now_us())
        user = Principal(principal.arn, principal.account, principal.user_id, session_context=context_of_session)
        return sessions.credentials(self.keys, self._clock, user, seconds)

    # --- may they ------------------------------------------------------------------------------------------------

    def authorize(
        self,
        principal: Principal,
        action: str,
        resource_arn: str,
        *,
        source_ip: str = "",
        context: RequestKeys | None = None,
        resource_tags: ResourceTags | None = None,
        resource_policies: Sequence[Document] = (),
        resource_must_grant: bool = False,
        request_id: str = "",
    ) -> None:
        """Return when the principal's policies allow ``action`` on ``resource_arn``; else raise AccessDenied.

        ``context`` are further condition keys of the request, ``resource_tags`` reads the resource's tags; both are
        asked only when a policy does. ``resource_policies`` are those of the resource (a role's trust policy, a bucket
        policy); with ``resource_must_grant`` they have to name the caller or its account (assuming a role). The log
        gets what would have to change, under ``request_id``.
        """
        if (principal.operator or principal.service) and not resource_policies and not principal.session_policies:
            return
        decision = self.decide(
            principal,
            action,
            resource_arn,
            source_ip=source_ip,
            context=context,
            resource_tags=resource_tags,
            resource_policies=resource_policies,
            resource_must_grant=resource_must_grant,
        )
        if decision.allowed:
            return
        known = self.request_context(principal, source_ip=source_ip, further=context, resource_tags=resource_tags)
        by = denials.denying(self.layers(principal), decision, action, resource_arn, known)
        error = denials.denied(principal, action, resource_arn, decision, by)
        denials.record(request_id, error, denials.mending(principal, action, resource_arn, decision, known))
        raise error

    def decide(
        self,
        principal: Principal,
        action: str,
        resource_arn: str,
        *,
        source_ip: str = "",
        context: RequestKeys | None = None,
        resource_tags: ResourceTags | None = None,
        resource_policies: Sequence[Document] = (),
        resource_must_grant: bool = False,
    ) -> Decision:
        """As :meth:`authorize`, as a value. A denial rests on what the store says now."""

        def once() -> Decision:
            return decide(
                self.layers(principal),
                action,
                resource_arn,
                lambda: self.request_context(
                    principal, source_ip=source_ip, further=context, resource_tags=resource_tags
                ),
                caller=caller_of(principal),
                resource_policies=resource_policies,
                resource_must_grant=resource_must_grant,
            )

        decision = once()
        if not decision.allowed and self._standings.changed():
            decision = once()
        return decision

    def layers(self, principal: Principal) -> Layers:
        """The compiled policies that bear on a principal."""
        session = self._standings.session(principal.session_policies) if principal.session_policies else None
        if principal.operator or principal.service or principal.arn.endswith(":root"):
            return Layers(self._administrator, None, session)
        standing = self._standing_of(principal)
        return Layers(standing.identity, standing.boundary, session)

    def request_context(
        self,
        principal: Principal,
        *,
        source_ip: str = "",
        further: RequestKeys | None = None,
        resource_tags: ResourceTags | None = None,
    ) -> Context:
        """The condition keys of a request of ``principal``, with those the caller of ``authorize`` adds."""
        added = further() if callable(further) else further
        entity = None if principal.operator or principal.service else self._standing_of(principal).entity
        known = context.merged(
            context.of_request(
                now_us=self._clock.now_us(),
                region=self._settings.region,
                account=self._settings.account,
                source_ip=source_ip,
            ),
            context.of_principal(principal, entity.tags if entity is not None else {}),
            context.normalized(added or {}),
        )
        return known if resource_tags is None else context.WithResourceTags(known, resource_tags)

    def role_trusts(self, role_arn: str, service: str = "sagemaker.amazonaws.com") -> bool:
        """Whether the role's trust policy lets ``service`` assume it; False when there is no such role."""
        if self._trusts(role_arn, service):
            return True
        return self._standings.changed() and self._trusts(role_arn, service)

    # --- the rest ------------------------------------------------------------------------------------------------

    def entity(self, arn: str) -> Entity | None:
        """The role or user with this ARN, as the store has it now."""
        return self._store.read(lambda connection: entities.find_by_arn(connection, arn))

    def tags_of(self, arn: str) -> Mapping[str, str]:
        """The tags of the role, user or policy with this ARN; none where there is no such thing."""

        def read(connection: Connection) -> Mapping[str, str]:
            found = entities.find_by_arn(connection, arn)
            return found.tags if found is not None else managed.tags_of(connection, arn)

        return self._store.read(read)

    def role(self, role_arn: str) -> Entity:
        """The role with this ARN. Raises CallerError ``NoSuchEntity``."""
        found = self.entity(role_arn)
        if found is None or found.kind != entities.ROLE:
            raise no_such_entity(f"The role with name {role_arn.rsplit('/', 1)[-1]} cannot be found.")
        return found

    def change(self, fn: Callable[[Connection], T]) -> T:
        """Change users, roles or policies: ``fn`` in a write, counted, and seen by this process at once."""

        def counted(tx: Connection) -> T:
            result = fn(tx)
            versions.bump(tx)
            return result

        try:
            return self._store.write(counted)
        finally:
            self._standings.forget()

    def rotate_key(self) -> str:
        """Exchange the platform's key: new sessions are made with the new one, stored secrets are sealed with it.

        Sessions of former keys stay valid until those are retired (:meth:`PlatformKeys.retire`). Returns its id.
        """
        key_id = self.keys.rotate()
        self.change(lambda tx: access_keys.seal_again(tx, self.keys))
        return key_id

    def sign(self, purpose: str, payload: bytes) -> bytes:
        """Authenticate ``payload`` (page tokens, job tokens) so that :meth:`verify_mac` knows it again."""
        return self.keys.sign(purpose, payload)

    def verify_mac(self, purpose: str, payload: bytes, mac: bytes) -> bool:
        """Whether :meth:`sign` made ``mac`` for exactly this purpose and payload."""
        return self.keys.verify(purpose, payload, mac)

    def _standing_of(self, principal: Principal) -> Standing:
        standing = self._standings.standing(principal.role_arn or principal.arn)
        # A role or user that was deleted and made again is another one; the id tells.
        if standing.entity is None or standing.entity.unique_id != principal.user_id.partition(":")[0]:
            return _NOBODY
        return standing

    def _trusts(self, role_arn: str, service: str) -> bool:
        role = self._standings.standing(role_arn).entity
        if role is None or role.kind != entities.ROLE:
            return False
        principal = self.service_principal(service)
        return trusts(
            parse_document(role.trust_policy, Kind.TRUST),
            "sts:AssumeRole",
            role_arn,
            lambda: self.request_context(principal),
            Caller(service=service),
        )


_NOBODY = Standing(None, PolicySet(()))


def caller_of(principal: Principal) -> Caller:
    """The principal as resource policies name it."""
    return Caller(principal.arn, principal.account, principal.role_arn, principal.service)
