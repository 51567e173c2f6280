"""What a program forked from a zygote has to see to: threads that were held back, and packages installed since.

A zygote has imported the environment's packages before this job was. Where the job has installed another version of one
of them, or its code has a file of that name, what is imported is not what it should have: then it starts again, cold.
"""

# pathlib would cost several milliseconds before the first line of user code.
# ruff: noqa: PTH113, PTH118, PTH208

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import NoReturn

_VARIABLE = "SAGEBRUSH_WARM_START"
_SUFFIXES = ("py", "pyc", "so")


def is_warm() -> bool:
    """Whether this process was forked from a zygote."""
    return _VARIABLE in os.environ


def allow_threads(count: int, user_api: str | None = "blas") -> None:
    """Let native libraries have as many threads: they were loaded with one, so that the zygote could fork."""
    pools = sys.modules.get("sagebrush.runtime.thread_pools")
    if pools is not None and is_warm():
        pools.CONTROLLER.limit(limits=count, user_api=user_api)


def hidden(folders: Sequence[str] = ()) -> list[str]:
    """Modules that are imported, and that this job has too where it would look first; none unless started warm.

    It looks into ``folders`` (its code's), then among the packages that it has installed.
    """
    if not is_warm():
        return []
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    own = os.path.join(sys.prefix, "lib", version, "site-packages")
    return sorted({name for folder in (*folders, own) for name in _modules_in(folder) if not _lies_in(name, folder)})


def start_again(modules: Sequence[str], keep: Iterable[int] = ()) -> NoReturn:
    """Replace this process by a cold one, as the job has its own ``modules``. The descriptors ``keep`` stay open."""
    print(f"[sagebrush] Starting again, cold: this job has its own {', '.join(modules)}.", flush=True)
    for descriptor in keep:
        os.set_inheritable(descriptor, True)
    environ = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    os.execve(sys.executable, sys.orig_argv, environ)


def _modules_in(folder: str) -> Iterator[str]:
    """Names of imported modules that ``import`` would find in the folder."""
    for entry in os.listdir(folder):
        module, dot, suffix = entry.partition(".")
        if module not in sys.modules or module == "__main__":
            continue
        if suffix.endswith(_SUFFIXES) if dot else os.path.isfile(os.path.join(folder, entry, "__init__.py")):
            yield module


def _lies_in(name: str, directory: str) -> bool:
    return str(getattr(sys.modules[name], "__file__", None) or "").startswith(directory + os.sep)
