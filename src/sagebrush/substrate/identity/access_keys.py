"""Long-lived access keys of users. The secret must be known to verify a signature, so it is stored, encrypted
(AES-256-GCM) under a key derived from the platform key: the database alone gives no secret away."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from sagebrush.substrate.errors import Fault
from sagebrush.substrate.identity.access_key_ids import LONG_LIVED, new_access_key_id
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.iam_errors import limit_exceeded, no_such_entity
from sagebrush.substrate.identity.keys import PlatformKeys
from sagebrush.substrate.identity.tables import iam_access_keys

MAX_KEYS = 2
_PURPOSE = "access-key-secret"
_NONCE_BYTES = 12
_SECRET_BYTES = 30  # 40 characters of base64


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key; its secret stays sealed until :func:`secret_of`."""

    access_key_id: str
    user_arn: str
    active: bool
    created_us: int
    key_id: str
    sealed: bytes = field(repr=False)


def create(tx: Connection, keys: PlatformKeys, user: Entity, now_us: int) -> tuple[AccessKey, str]:
    """Make a key; the only time that its secret is given out. Raises ``LimitExceeded`` beyond :data:`MAX_KEYS`."""
    if len(of_user(tx, user)) >= MAX_KEYS:
        raise limit_exceeded(f"Cannot exceed quota for AccessKeysPerUser: {MAX_KEYS}")
    access_key_id, secret = new_access_key_id(LONG_LIVED, user.account), secrets.token_urlsafe(_SECRET_BYTES)
    key_id = keys.current
    made = AccessKey(access_key_id, user.arn, True, now_us, key_id, _seal(keys, key_id, access_key_id, secret))
    tx.execute(
        insert(iam_access_keys).values(
            access_key_id=access_key_id,
            user_arn=user.arn,
            active=1,
            key_id=key_id,
            secret=made.sealed,
            created_us=now_us,
        )
    )
    return made, secret


def find(connection: Connection, access_key_id: str) -> AccessKey | None:
    """The key, active or not."""
    row = connection.execute(select(iam_access_keys).where(iam_access_keys.c.access_key_id == access_key_id)).first()
    return None if row is None else _access_key(row)


def of_user(connection: Connection, user: Entity) -> list[AccessKey]:
    """A user's keys, oldest first."""
    chosen = select(iam_access_keys).where(iam_access_keys.c.user_arn == user.arn)
    ordered = chosen.order_by(iam_access_keys.c.created_us, iam_access_keys.c.access_key_id)
    return [_access_key(row) for row in connection.execute(ordered)]


def set_active(tx: Connection, user: Entity, access_key_id: str, active: bool) -> None:
    """Switch a key on or off. Raises ``NoSuchEntity``."""
    changed = update(iam_access_keys).where(_of(user, access_key_id)).values(active=int(active))
    if tx.execute(changed).rowcount == 0:
        raise _missing(access_key_id)


def remove(tx: Connection, user: Entity, access_key_id: str) -> None:
    """Delete a key. Raises ``NoSuchEntity``."""
    if tx.execute(delete(iam_access_keys).where(_of(user, access_key_id))).rowcount == 0:
        raise _missing(access_key_id)


def secret_of(keys: PlatformKeys, key: AccessKey) -> str:
    """The secret access key. Raises Fault when the platform key that sealed it is gone."""
    try:
        cipher = AESGCM(keys.derive(_PURPOSE, key.key_id))
        nonce, sealed = key.sealed[:_NONCE_BYTES], key.sealed[_NONCE_BYTES:]
        return cipher.decrypt(nonce, sealed, key.access_key_id.encode()).decode()
    except (KeyError, InvalidTag):
        raise Fault(
            f"the secret of access key {key.access_key_id} was sealed with another platform key; "
            "delete the access key and create a new one"
        ) from None


def seal_again(tx: Connection, keys: PlatformKeys) -> int:
    """Seal every secret with the current platform key, so that former keys can be retired; how many there were."""
    current = keys.current
    stale = [_access_key(row) for row in tx.execute(select(iam_access_keys).where(iam_access_keys.c.key_id != current))]
    for key in stale:
        sealed = _seal(keys, current, key.access_key_id, secret_of(keys, key))
        changed = update(iam_access_keys).where(iam_access_keys.c.access_key_id == key.access_key_id)
        tx.execute(changed.values(key_id=current, secret=sealed))
    return len(stale)


def _seal(keys: PlatformKeys, key_id: str, access_key_id: str, secret: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(keys.derive(_PURPOSE, key_id)).encrypt(nonce, secret.encode(), access_key_id.encode())


def _of(user: Entity, access_key_id: str) -> ColumnElement[bool]:
    return (iam_access_keys.c.user_arn == user.arn) & (iam_access_keys.c.access_key_id == access_key_id)


def _missing(access_key_id: str) -> Exception:
    return no_such_entity(f"The Access Key with id {access_key_id} cannot be found.")


def _access_key(row: Row[Any]) -> AccessKey:
    return AccessKey(row.access_key_id, row.user_arn, bool(row.active), row.created_us, row.key_id, row.secret)
