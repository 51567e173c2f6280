"""Script mode: the user's own program, run as the training toolkit would run it.

A ``.py`` entry point runs in this very process as ``__main__``: no second interpreter has to start, SIGTERM reaches the
user's own handler, and an exception's traceback is at hand. Any other entry point is a command, run by the shell in
a child that gets SIGTERM passed on.
"""

# pathlib would cost several milliseconds before the first line of user code.
# ruff: noqa: PTH101, PTH112, PTH113, PTH116, PTH118

from __future__ import annotations

import os
import sys
from types import FrameType

from sagebrush.runtime import aws_modules, warm_start
from sagebrush.runtime.distributed import choice
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.training_environment import TrainingEnvironment


def run(environment: TrainingEnvironment) -> int:
    """Run the entry point to its end and return its exit code. Exceptions of user code pass through."""
    entry_point = environment.entry_point
    if entry_point is None:
        raise UserError("No entry point was given: set the hyperparameter sagemaker_program to the program to run.")
    code = _code_directory(environment, entry_point)
    path = _within(code, entry_point)
    os.environ.update(environment.variables())
    os.chdir(code)
    install_requirements(code)
    if modules := warm_start.hidden([code]):
        warm_start.start_again(modules)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH", "")]))
    aws_modules.make_importable()
    hosts = choice.hosts_of(environment)
    if hosts is not None:
        from sagebrush.runtime.distributed import torchrun

        return torchrun.run(path, environment, hosts)
    if entry_point.endswith(".py"):
        return run_python(path, code, environment.arguments())
    return _run_command(path, environment.arguments())


def _code_directory(environment: TrainingEnvironment, entry_point: str) -> str:
    """The directory that holds the user's code, unpacked where it came as a tar file."""
    source, target = environment.submit_directory, environment.directories.code
    if os.path.isfile(os.path.join(target, entry_point)):
        return target
    if os.path.isdir(source):
        return source
    if os.path.isfile(source):
        from sagebrush.runtime import unpacking

        unpacking.unpack(source, target)
        return target
    raise UserError(f"The code directory {source} was not found in the job, so {entry_point} cannot be run.")


def _within(code: str, entry_point: str) -> str:
    root = os.path.realpath(code)
    path = os.path.realpath(os.path.join(root, entry_point))
    if os.path.commonpath([root, path]) != root:
        raise UserError(f"The entry point {entry_point} lies outside of the code directory {code}.")
    if not os.path.isfile(path):
        raise UserError(f"No file {entry_point} was found in the code directory {code}.")
    return path


def install_requirements(code: str, *, reachable: bool = True) -> None:
    """Install requirements.txt with this interpreter's pip: into the job's own layer of packages.

    Not ``reachable``: a server of the model's own is in a network of its own, so that no index of packages is there.
    The same holds with EnableNetworkIsolation. Raises UserError.
    """
    requirements = os.path.join(code, "requirements.txt")
    if not os.path.isfile(requirements):
        return
    import importlib
    import subprocess

    print("[sagebrush] Installing requirements.txt", flush=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--requirement", requirements]
    pip = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace")
    reason = ""
    assert pip.stderr is not None
    for line in pip.stderr:
        print(line, end="", file=sys.stderr, flush=True)
        if line.startswith("ERROR:"):
            reason = line.removeprefix("ERROR:").strip()
    if pip.wait() != 0:
        told = reason or f"pip ended with exit code {pip.returncode}; see the log."
        where = "" if reachable else " A server of the model's own is in a network without a way to any package index."
        if os.environ.get("SAGEBRUSH_NETWORK") == "isolated":
            where = " EnableNetworkIsolation: there is no way to any package index; bring packages along as files."
        raise UserError(f"requirements.txt could not be installed: {told}{where}")
    importlib.invalidate_caches()


def run_python(path: str, code: str, arguments: list[str]) -> int:
    """Run a script in this process as ``__main__``; its exit code. What it raises passes through.

    The module stays when the script is done, for the interpreter to take down as its own: files that the script has
    left open are written out then. ``runpy`` would leave them to the garbage collector, which loses what they hold.
    """
    import builtins
    from importlib.machinery import SourceFileLoader
    from types import ModuleType

    sys.argv = [path, *arguments]
    sys.path.insert(0, code)
    module = ModuleType("__main__")
    loader = SourceFileLoader("__main__", path)
    module.__dict__.update(__file__=path, __cached__=None, __loader__=loader, __builtins__=builtins, __annotations__={})
    # What was the main module is running still: its names must not go.
    module.__dict__["__sagebrush_runtime__"] = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        exec(compile(loader.get_data(path), path, "exec", dont_inherit=True), module.__dict__)
    except SystemExit as exit_:
        return _exit_code(exit_)
    return 0


def _exit_code(exit_: SystemExit) -> int:
    if exit_.code is None:
        return 0
    if isinstance(exit_.code, int):
        return exit_.code
    print(exit_.code, file=sys.stderr)
    return 1


def _run_command(path: str, arguments: list[str]) -> int:
    import shlex
    import signal
    import subprocess

    # Archives made on Windows, and editors, lose the bit; official images set it too.
    os.chmod(path, os.stat(path).st_mode | 0o111)
    children: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        for child in children:
            child.send_signal(number)

    # Before there is anybody to pass it on to: a signal may come as soon as the program runs, or sooner.
    signal.signal(signal.SIGTERM, pass_on)
    # exec: the signal is for the program, not for a shell that waits for it.
    child = subprocess.Popen(["/bin/sh", "-c", f"exec {shlex.join([path, *arguments])}"])
    early = list(asked)
    children.append(child)
    for number in early:
        child.send_signal(number)
    code = child.wait()
    return 128 - code if code < 0 else code
