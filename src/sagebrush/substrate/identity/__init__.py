"""Who calls and what they may: principals, sessions, access keys, policies, the platform's key and certificates.

Start with :class:`Identity`. ``policy/`` is the policy language (pure), ``standing.py`` reads who may what,
``sessions.py`` and ``tokens.py`` make and open sessions, ``keys.py`` keeps the platform's key, ``entities.py``,
``entity_policies.py``, ``managed.py`` and ``access_keys.py`` are the rows that ``aws/iam`` is the API of.

The names below are imported when they are first used: a command that only makes a session needs no database library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagebrush.substrate.identity.authentication import Secret
    from sagebrush.substrate.identity.identity import Identity
    from sagebrush.substrate.identity.principal import Principal, TemporaryCredentials
    from sagebrush.substrate.identity.seed import ensure_seed

__all__ = ["Identity", "Principal", "Secret", "TemporaryCredentials", "ensure_seed"]

_HOMES = {
    "Identity": "identity",
    "Principal": "principal",
    "Secret": "authentication",
    "TemporaryCredentials": "principal",
    "ensure_seed": "seed",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
