"""Turning a process forked from a zygote into ``python3 -m <module>``, as if it had just been started.

What exec would have done is done here: descriptors, environment, standard streams, paths, random states. What it would
have undone stays: the modules that the zygote has imported, which is the point.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH109, PTH118, PTH120

from __future__ import annotations

import io
import os
import signal
import sys

from . import kernel

#: Tells the program that it was not started but forked, with modules imported.
VARIABLE = "SAGEBRUSH_WARM_START"
_LAST_DESCRIPTOR = 1 << 20


def become_python(arguments: list[str], env: dict[str, str], kept: int) -> None:
    """Run ``<python> -m <module> ...`` in this process and end it. Descriptors from ``kept`` on are closed."""
    os.closerange(kept, _LAST_DESCRIPTOR)
    # Changing the user has hidden this process from itself; exec would have made it visible again.
    kernel.show_to_peers()
    os.environ.clear()
    os.environ.update(env, **{VARIABLE: "1"})
    # As an interpreter has them that was just started.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _open_streams()
    _be_started_as(arguments)
    _forget_chance()
    code = 1
    try:
        code = _run(arguments)
    finally:
        _end(code)


def _open_streams() -> None:
    """As ``PYTHONUNBUFFERED`` has them."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc] # noqa: SIM115
    out = io.FileIO(1, "w", closefd=False)
    err = io.FileIO(2, "w", closefd=False)
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(out, "utf-8", errors="surrogateescape", write_through=True)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(  # type: ignore[misc]
        err, "utf-8", errors="backslashreplace", write_through=True
    )


def _be_started_as(arguments: list[str]) -> None:
    """What an interpreter finds out as it starts: who it is, and where modules are."""
    import site

    sys.executable = arguments[0]
    sys.prefix = sys.exec_prefix = os.path.dirname(os.path.dirname(arguments[0]))
    sys.orig_argv = list(arguments)
    sys.argv = ["-m", *arguments[3:]]
    library = os.path.dirname(os.__file__)
    own = [path for path in sys.path if (path.startswith(library) and "-packages" not in path) or path.endswith(".zip")]
    given = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path]
    sys.path[:] = [os.getcwd(), *given, *own]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site.addsitedir(os.path.join(sys.prefix, "lib", version, "site-packages"))


def _forget_chance() -> None:
    """No two jobs may draw the same numbers, or know each other's secrets. ``random`` sees to itself."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if process := sys.modules.get("multiprocessing.process"):
        process.current_process().authkey = os.urandom(32)


def _run(arguments: list[str]) -> int:
    import runpy
    import traceback

    try:
        runpy.run_module(arguments[2], run_name="__main__", alter_sys=True)
    except SystemExit as exit_:
        if exit_.code is None or isinstance(exit_.code, int):
            return (exit_.code or 0) & 0xFF
        print(exit_.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> None:
    """As an interpreter ends: threads first, then what was registered for the end."""
    import atexit
    import threading

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)
