"""Access key ids and unique ids in AWS's forms.

An access key id is a prefix (``AKIA`` long-lived, ``ASIA`` temporary) and 16 characters of base32: 80 bits, of which
bits 1 to 40 hold the account, as AWS's have since 2019. So GetAccessKeyInfo needs no look-up.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

LONG_LIVED = "AKIA"
TEMPORARY = "ASIA"
_LENGTH = 20
_ACCOUNT_SHIFT = 39
_ACCOUNT_MASK = (1 << 40) - 1


def new_access_key_id(prefix: str, account: str) -> str:
    """A fresh access key id of ``account`` (40 random bits beside it)."""
    number = (1 << 79) | (int(account) << _ACCOUNT_SHIFT) | secrets.randbits(_ACCOUNT_SHIFT)
    return prefix + base64.b32encode(number.to_bytes(10, "big")).decode()


def account_of(access_key_id: str) -> str | None:
    """The account an access key id belongs to, or None when it is not of that form."""
    if len(access_key_id) != _LENGTH or access_key_id[:4] not in (LONG_LIVED, TEMPORARY):
        return None
    try:
        number = int.from_bytes(base64.b32decode(access_key_id[4:]), "big")
    except ValueError:
        return None
    return f"{(number >> _ACCOUNT_SHIFT) & _ACCOUNT_MASK:012d}"


def new_unique_id(prefix: str) -> str:
    """A fresh id of an IAM entity: ``AROA`` roles, ``AIDA`` users, ``ANPA`` managed policies."""
    return prefix + base64.b32encode(secrets.token_bytes(10)).decode() + "Q"


def fixed_unique_id(prefix: str, account: str, name: str) -> str:
    """The id of an entity that exists from the first start: the same wherever it is computed, without a look-up."""
    digest = hashlib.sha256(f"sagebrush/{prefix}/{account}/{name}".encode()).digest()
    return prefix + base64.b32encode(digest[:10]).decode() + "Q"
