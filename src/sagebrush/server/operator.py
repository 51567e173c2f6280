"""The operator: whoever can read the data directory's key may act as the administrator."""

from __future__ import annotations

from typing import Final

from sagebrush.server.data_directory import DataDirectory
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.identity import TemporaryCredentials, sessions
from sagebrush.substrate.identity.keys import PlatformKeys
from sagebrush.substrate.settings import Settings

#: As long as an operator's session may last, in seconds.
LONGEST_SECONDS: Final = sessions.OPERATOR_SECONDS


def operator_credentials(settings: Settings, *, seconds: int) -> TemporaryCredentials:
    """Credentials of the operator, minted from the key file alone: nothing is asked of a running platform."""
    keys = PlatformKeys(DataDirectory(settings.data_dir).key_file)
    return sessions.operator_session(keys, SystemClock(), settings.account, "operator", seconds)
