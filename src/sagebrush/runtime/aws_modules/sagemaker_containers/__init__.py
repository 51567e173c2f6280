"""``sagemaker_containers``, as far as handlers and training scripts import it."""

from __future__ import annotations

from typing import Any

from sagebrush.runtime.toolkits import Absent, JobEnvironment

#: What examples import without a use for it.
_ABSENT = frozenset(
    [
        "env",
        "files",
        "functions",
        "logging",
        "mapping",
        "modules",
        "mpi",
        "params",
        "process",
        "runner",
        "server",
        "trainer",
    ]
)


def training_env() -> JobEnvironment:
    """What the training job was given."""
    return JobEnvironment()


def __getattr__(name: str) -> Any:
    if name == "entry_point" or name.removeprefix("_") in _ABSENT:
        return Absent(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
