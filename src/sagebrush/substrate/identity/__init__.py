"""Who calls and what they may: principals, sessions, access keys, policies, the platform's key and certificates.

Start with :class:`Identity`. ``policy/`` is the policy language (pure), ``standing.py`` reads who may what,
``sessions.py`` and ``tokens.py`` make and open sessions, ``keys.py`` keeps the platform's key, ``entities.py``,
``entity_policies.py``, ``managed.py`` and ``access_keys.py`` are the rows that ``aws/iam`` is the API of.
"""

from sagebrush.substrate.identity.authentication import Secret
from sagebrush.substrate.identity.identity import Identity
from sagebrush.substrate.identity.principal import Principal, TemporaryCredentials
from sagebrush.substrate.identity.seed import ensure_seed

__all__ = ["Identity", "Principal", "Secret", "TemporaryCredentials", "ensure_seed"]
