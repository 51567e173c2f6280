"""What the front door and the control plane agree on, apart from each other's code: names below the data directory.

Decision 0008. The control plane writes the snapshot and asks the page; the front door answers it, and leaves counts and
captured data in the spool of each endpoint. What the files hold is described where they are written: ``inference/model/
routing`` (snapshot), ``planes/front/invocations/counts`` and ``capture``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

#: The routing snapshot.
SNAPSHOT: Final = Path("run/endpoints.json")
#: The socket of the front door's own page, and the page's path.
PAGE_SOCKET: Final = Path("run/routing.sock")
PAGE: Final = "/_sagebrush/routing"
#: The one URL for user code in a network of its own. Alone in a directory: a sandbox that shows the directory finds
#: the socket again after a restart of the front door, one that shows the socket itself keeps the dead one.
ENCLOSED_SOCKET: Final = Path("run/front/front.sock")
#: Files of counts in a spool begin so; captured data have a folder there.
COUNTS_PREFIX: Final = "counters-"
CAPTURE_FOLDER: Final = "capture"
