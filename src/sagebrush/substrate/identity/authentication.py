"""From an access key id to the secret that signs with it, and to whose it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import access_keys, tokens
from sagebrush.substrate.identity.access_key_ids import TEMPORARY
from sagebrush.substrate.identity.access_keys import AccessKey
from sagebrush.substrate.identity.keys import PlatformKeys
from sagebrush.substrate.identity.principal import Principal
from sagebrush.substrate.identity.standing import StandingCache

_REMEMBERED_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Secret:
    """What verifying a signature needs, and whose it is."""

    principal: Principal
    secret_access_key: str = field(repr=False)


class Authenticator:
    """Sessions need the key file only, users' access keys the store as well. Both are remembered."""

    def __init__(self, keys: PlatformKeys, standings: StandingCache, clock: Clock) -> None:
        self._keys = keys
        self._standings = standings
        self._clock = clock
        self._opened: dict[str, tuple[object, tokens.SealedSession]] = {}

    def lookup(self, access_key_id: str, session_token: str | None) -> Secret:
        """As :meth:`Identity.lookup`."""
        if session_token:
            return self._session(access_key_id, session_token)
        if access_key_id.startswith(TEMPORARY):
            raise _invalid_token()
        key = self._access_key(access_key_id)
        user = self._standings.standing(key.user_arn).entity if key is not None and key.active else None
        if key is None or user is None:
            raise _invalid_token()
        principal = Principal(arn=user.arn, account=user.account, user_id=user.unique_id)
        return Secret(principal, access_keys.secret_of(self._keys, key))

    def _session(self, access_key_id: str, token: str) -> Secret:
        generation = self._keys.generation
        remembered = self._opened.get(token)
        if remembered is not None and remembered[0] == generation:
            opened: tokens.SealedSession | None = remembered[1]
        else:
            opened = tokens.open_token(self._keys, token)
        if opened is None or opened.session.access_key_id != access_key_id:
            raise _invalid_token()
        if self._clock.now_us() >= opened.session.expires_us:
            self._opened.pop(token, None)
            raise CallerError(
                "ExpiredTokenException", "The security token included in the request is expired", status=403
            )
        if remembered is None or remembered[0] != generation:
            if len(self._opened) >= _REMEMBERED_TOKENS:
                self._opened.clear()
            self._opened[token] = (generation, opened)
        return Secret(opened.session.principal, opened.secret_access_key)

    def _access_key(self, access_key_id: str) -> AccessKey | None:
        def known() -> AccessKey | None:
            return self._standings.remembered(
                ("access-key", access_key_id), lambda connection: access_keys.find(connection, access_key_id)
            )

        key = known()
        if (key is None or not key.active) and self._standings.changed():
            key = known()
        return key


def _invalid_token() -> CallerError:
    return CallerError("InvalidClientTokenId", "The security token included in the request is invalid.", status=403)
