"""The operation registry and the one way an operation is called.

Planes and capabilities alike go through :func:`dispatch`: it authorises the call, then runs the operation's function.
Start with :class:`Capability` (what a capability exports) and :class:`Call` (what its functions receive).
"""

from sagebrush.substrate.calls.call import Call, Handler, OwnerToken
from sagebrush.substrate.calls.capability import Capability, Service
from sagebrush.substrate.calls.client import Calls
from sagebrush.substrate.calls.registry import Registry

__all__ = ["Call", "Calls", "Capability", "Handler", "OwnerToken", "Registry", "Service"]
