"""What a program forked from a zygote has to see to: threads that were held back, and packages installed since.

A zygote has imported the environment's packages before this job was. Where the job has since installed another version
of one of them, what is imported is not what it should have: then the program starts again, cold.
"""

# pathlib would cost several milliseconds before the first line of user code.
# ruff: noqa: PTH118, PTH208

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

_VARIABLE = "SAGEBRUSH_WARM_START"


def is_warm() -> bool:
    """Whether this process was forked from a zygote."""
    return _VARIABLE in os.environ


def allow_threads(count: int, user_api: str | None = "blas") -> None:
    """Let native libraries have as many threads: they were loaded with one, so that the zygote could fork."""
    pools = sys.modules.get("sagebrush.runtime.thread_pools")
    if pools is not None and is_warm():
        pools.CONTROLLER.limit(limits=count, user_api=user_api)


def outdated() -> list[str]:
    """The imported packages that this job has since installed in another version; none unless started warm."""
    if not is_warm():
        return []
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = os.path.join(sys.prefix, "lib", version, "site-packages")
    installed = {name.removesuffix(".py") for name in os.listdir(own)}
    return sorted(name for name in installed & sys.modules.keys() if not _lies_in(name, own))


def start_again(packages: Sequence[str], keep: Iterable[int] = ()) -> NoReturn:
    """Replace this process by a cold one, as ``packages`` were installed anew. The descriptors ``keep`` stay open."""
    print(f"[sagebrush] Starting again, cold: {', '.join(packages)} installed by this job.", flush=True)
    for descriptor in keep:
        os.set_inheritable(descriptor, True)
    environ = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    os.execve(sys.executable, sys.orig_argv, environ)


def _lies_in(name: str, directory: str) -> bool:
    return str(getattr(sys.modules[name], "__file__", None) or "").startswith(directory + os.sep)
