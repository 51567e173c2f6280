"""How a shell tells the front door about the proxy it had before: in the proxy URL's credentials.

``http://chain:<urlsafe base64 of the other proxy's URL>@127.0.0.1:4600``. So each shell keeps its own proxy and the
front door keeps no state. Imported by the ``sagebrush`` command too, hence nothing but the standard library.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

#: The user name that marks proxy credentials as the address of the next proxy.
_USER: Final = "chain"


def chain_credentials(proxy_url: str) -> str:
    """``user:password`` for the front door's proxy URL that chains to ``proxy_url``."""
    return f"{_USER}:{base64.urlsafe_b64encode(proxy_url.encode()).decode().rstrip('=')}"


def chained_proxy(proxy_authorization: bytes) -> str | None:
    """The URL of the user's own proxy, if a Proxy-Authorization header carries one."""
    scheme, _, encoded = proxy_authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, _, packed = base64.b64decode(encoded.strip()).decode().partition(":")
        return base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode() if user == _USER else None
    except (binascii.Error, ValueError):
        return None
