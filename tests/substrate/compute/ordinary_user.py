"""A launcher that an ordinary user runs, while the tests run as root.

Started as root with this interpreter, which may lie where the user may not go; everything is loaded, then the process
becomes the user for good. Shims and jobs run with the system's Python. Requests and answers are pickles on a pipe.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from sagebrush.substrate.compute import Compute, Environment, Launcher, LaunchSpec, Observation, launcher
from sagebrush.substrate.compute.shim import main as shim_main
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import Settings
from sagebrush.testing.launcher_contract import Rig, eventually

USER = 54321
SYSTEM_PYTHON = Path("/usr/bin/python3")


class UsersLauncher:
    """The Launcher's methods, done by the user's process."""

    def __init__(self, process: subprocess.Popen[bytes], root: Path):
        self._process = process
        self._root = root
        self._lock = threading.Lock()

    def _ask(self, method: str, *arguments: Any) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            pickle.dump((method, arguments), self._process.stdin)
            self._process.stdin.flush()
            answer = pickle.load(self._process.stdout)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def launch(self, spec: LaunchSpec) -> None:
        # What the test made as root is the user's, as it would be on his machine.
        for path in (self._root, *self._root.rglob("*")):
            with suppress(FileNotFoundError):  # of another launch, renamed meanwhile
                os.chown(path, USER, USER, follow_symlinks=False)
        self._ask("launch", spec)

    def observe(self, directory: Path) -> Observation:
        return cast("Observation", self._ask("observe", directory))

    def terminate(self, directory: Path, grace_seconds: float | None = None) -> None:
        self._ask("terminate", directory, grace_seconds)

    def kill(self, directory: Path) -> None:
        self._ask("kill", directory)

    def watch(self, directory: Path, callback: Callable[[], None]) -> None:
        """Waits for the end here: the tests want nothing else of it."""
        eventually(lambda: self.observe(directory).phase in ("exited", "lost", "absent"))
        callback()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@contextmanager
def users_rig(mode: str = "sandbox") -> Iterator[Rig]:
    """A rig whose launcher is an ordinary user's; skips where the host refuses him a sandbox."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user already: the rig of root is his")
    if not SYSTEM_PYTHON.exists() or _version(SYSTEM_PYTHON) < (3, 11):
        pytest.skip(f"the ordinary user needs a Python 3.11 or newer of the system at {SYSTEM_PYTHON}")
    # Not below /tmp, which pytest closes to others.
    root = Path("/var/lib") / f"sagebrush-test-user-{os.getpid()}"
    root.mkdir(mode=0o755)
    shutil.copytree(Path(shim_main.__file__).parent, root / "code" / "shim")
    os.chown(root, USER, USER)
    command = [sys.executable, "-m", __name__, mode, str(root)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    remote = UsersLauncher(process, root)
    try:
        problem = remote._ask("problem")
        if problem:
            pytest.skip(f"this host refuses an ordinary user a sandbox: {problem}")
        environment = Environment("test", SYSTEM_PYTHON, SYSTEM_PYTHON.parents[1])
        yield Rig(cast("Launcher", remote), root, mode, environment)
    finally:
        if process.poll() is None:
            remote.close()
        shutil.rmtree(root)


def _version(python: Path) -> tuple[int, ...]:
    program = "import sys; print(*sys.version_info[:2])"
    printed = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, printed.split()))


def main(mode: str, root: Path, requests: BinaryIO, answers: BinaryIO) -> None:
    """Become the user and answer until the end of the requests."""
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    sys.executable = str(SYSTEM_PYTHON)
    launcher.SHIM = root / "code" / "shim" / "__main__.py"
    os.environ["HOME"] = str(root / "home")
    os.chdir(root)
    compute = Compute(Settings(data_dir=root / "data", isolation="auto" if mode == "sandbox" else mode))
    while True:
        try:
            method, arguments = pickle.load(requests)
        except EOFError:
            break
        try:
            answer: Any = _answer(compute, method, arguments)
        except (OSError, ValueError, CallerError) as error:
            answer = error
        pickle.dump(answer, answers)
        answers.flush()
    compute.close()


def _answer(compute: Compute, method: str, arguments: tuple[Any, ...]) -> Any:
    if method == "problem":
        return compute.isolation_problem()
    if method == "launch":
        (spec,) = arguments
        return compute.launcher.launch(replace(spec, masked=(*spec.masked, *compute.masked)))
    return getattr(compute.launcher, method)(*arguments)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.stdin.buffer, sys.stdout.buffer)
