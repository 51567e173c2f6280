"""The thread pools of the native libraries that this interpreter has loaded, found once: a zygote imports this last.

Looking for them takes longer than a fork; whoever has been forked finds them here.
"""

from __future__ import annotations

import threadpoolctl

CONTROLLER = threadpoolctl.ThreadpoolController()
