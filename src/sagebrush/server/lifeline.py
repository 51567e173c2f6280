"""A process of the platform does not outlive its supervisor.

The supervisor keeps the write end of a pipe and never writes to it; each process watches the read end. End of file
means that the supervisor is gone, however it died, and the process stops by itself so that the next ``up`` finds a
free data directory.
"""

from __future__ import annotations

import logging
import os
import signal
import threading

from sagebrush.substrate.clock import Clock

log = logging.getLogger(__name__)

#: An orderly stop that takes longer than this is no longer waited for.
_GRACE_SECONDS = 10.0


def watch(descriptor: int, clock: Clock) -> None:
    """Watch the read end ``descriptor`` on a daemon thread."""
    os.set_inheritable(descriptor, False)

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        log.warning("the supervisor is gone: stopping")
        os.kill(os.getpid(), signal.SIGTERM)
        clock.sleep_until(clock.monotonic_us() + int(_GRACE_SECONDS * 1e6))
        log.error("could not stop within %s s: exiting at once", _GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
