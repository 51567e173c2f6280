"""Model servers in the environment of the algorithms, for the default handlers of the frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.algorithms.environment import AlgorithmEnvironment
from tests.runtime.serving.replica import Replica, archive_of

Start = Callable[..., Replica]


@contextmanager
def starting(environment: AlgorithmEnvironment, directory: Path, framework: str) -> Iterator[Start]:
    """Gives a function that starts a replica with these files as its model; all are ended afterwards."""
    running: list[Replica] = []

    def begin(files: dict[str, str | bytes], **variables: Any) -> Replica:
        environ = environment.environ(reference=True) | {"SAGEBRUSH_FRAMEWORK": framework} | variables
        python = str(environment.python)
        place = directory / f"replica{len(running)}"
        running.append(Replica(place, archive_of(files), python=python, **environ))
        return running[-1]

    try:
        yield begin
    finally:
        for replica in running:
            replica.close()


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
