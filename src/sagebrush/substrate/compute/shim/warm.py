"""Turning a process forked from a zygote into ``python3 <script>`` or ``-m <module>``, as if it had just been started.

What exec would have done is done here: descriptors, environment, standard streams, paths, random states. What it would
have undone stays: the modules that the zygote has imported, which is the point.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH109, PTH118, PTH120, PTH123

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys

from . import kernel
from .python3 import VARIABLE, without_options

#: Libraries read these as they are loaded, so a program that sets one must load them itself.
READ_AT_LOAD = (
    "LD_", "PYTHON", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "NUMEXPR_", "NPY_", "MALLOC_",
    "GLIBC_", "JE_", "ARROW_", "CUDA_", "NVIDIA_", "TORCH_", "PYTORCH_", "NCCL_", "GLOO_", "JAX_", "XLA_",
)  # fmt: skip
#: But not these: the first is honoured, the second read when a process group is made (torchrun sets it).
READ_LATER = ("PYTHONPATH", "TORCH_NCCL_ASYNC_ERROR_HANDLING")
_LAST_DESCRIPTOR = 1 << 20


def become_python(command: list[str], env: dict[str, str], kept: int, *, threads: int = 0) -> None:
    """Run ``<python> [-u] <script> ...`` or ``<python> [-u] -m <module> ...`` in this process and end it.

    Descriptors from ``kept`` on are closed. ``threads``: how many native libraries may have from the start; 0 leaves
    that to the program.
    """
    arguments = without_options(command[1:])
    os.closerange(kept, _LAST_DESCRIPTOR)
    # Changing the user has hidden this process from itself; exec would have made it visible again.
    kernel.show_to_peers()
    os.environ.clear()
    os.environ.update(env, **{VARIABLE: "1"})
    # As an interpreter has them that was just started.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _open_streams()
    _be_started_as(command, arguments)
    _forget_chance()
    if threads and (pools := sys.modules.get("sagebrush.runtime.thread_pools")):
        pools.CONTROLLER.limit(limits=threads, user_api="blas")
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


def _be_started_as(command: list[str], arguments: list[str]) -> None:
    """What an interpreter finds out as it starts: who it is, and where modules are."""
    import site

    sys.executable = command[0]
    sys.prefix = sys.exec_prefix = os.path.dirname(os.path.dirname(command[0]))
    sys.orig_argv = list(command)
    sys.argv = ["-m", *arguments[2:]] if arguments[0] == "-m" else list(arguments)
    first = os.getcwd() if arguments[0] == "-m" else os.path.dirname(os.path.realpath(arguments[0]))
    library = os.path.dirname(os.__file__)
    own = [path for path in sys.path if (path.startswith(library) and "-packages" not in path) or path.endswith(".zip")]
    given = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path]
    sys.path[:] = [first, *given, *own]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site.addsitedir(os.path.join(sys.prefix, "lib", version, "site-packages"))


def _forget_chance() -> None:
    """No two jobs may draw the same numbers, or know each other's secrets. ``random`` sees to itself."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    if process := sys.modules.get("multiprocessing.process"):
        process.current_process().authkey = os.urandom(32)


def _run(arguments: list[str]) -> int:
    try:
        if arguments[0] == "-m":
            import runpy
            from types import ModuleType

            # What the interpreter itself does: the module stays. run_module would take it away when it has run.
            sys.modules["__main__"] = ModuleType("__main__")
            runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
        else:
            # Absolute, but not normal, as the interpreter has it.
            _run_script(os.path.join(os.getcwd(), arguments[0].removeprefix("./")))
    except SystemExit as exit_:
        if exit_.code is None or isinstance(exit_.code, int):
            return (exit_.code or 0) & 0xFF
        print(exit_.code, file=sys.stderr)
        return 1
    except BaseException as error:
        return _tell(error)
    return 0


def _run_script(path: str) -> None:
    """As the interpreter runs it: in a module that stays, for whoever is still running when the script is not."""
    import builtins
    from importlib.machinery import SourceFileLoader
    from types import ModuleType

    module = ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    module.__dict__.update(__file__=path, __cached__=None, __loader__=loader, __builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = module
    with open(path, "rb") as file:
        source = file.read()
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)


def _tell(error: BaseException) -> int:
    """What an uncaught exception does, without the frames that are ours."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") == __name__:
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def _end(code: int) -> None:
    """As an interpreter ends: threads first, then what was registered for the end, then what is left open."""
    import atexit
    import threading

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        if threading.active_count() == 1:  # The interpreter would have stopped daemons; here they would stumble.
            _take_down()
        _write_out()
        sys.stdout.flush()
        sys.stderr.flush()
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
    finally:
        os._exit(code & 0xFF)


def _write_out() -> None:
    """What files that are still open hold, text before bytes. The zygote's own objects are frozen, so not looked at."""
    import gc

    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    files = [found for found in gc.get_objects() if isinstance(found, kinds)]
    for file in sorted(files, key=lambda file: not isinstance(file, io.TextIOWrapper)):
        with contextlib.suppress(OSError, ValueError):
            file.flush()


def _take_down() -> None:
    """The main module's objects go, in the interpreter's order: what they do when they go is done."""
    names = sys.modules["__main__"].__dict__
    for private in (True, False):
        for name in list(names):
            if name != "__builtins__" and private == (name[0] == "_" and name[1:2] != "_"):
                names[name] = None
