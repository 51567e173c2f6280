"""Where things lie in a job: SageMaker's ``/opt/ml`` tree, or the same tree elsewhere (``SAGEMAKER_BASE_DIR``)."""

# pathlib would cost several milliseconds before the first line of user code.
# ruff: noqa: PTH112, PTH118

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_BASE = "/opt/ml"


@dataclass(frozen=True)
class Directories:
    """The paths of the container contract below ``base``."""

    base: str

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Directories:
        """As the environment says. The toolkit's variable names ``/opt``, or directly its ``ml``."""
        base = environ.get("SAGEMAKER_BASE_DIR", "")
        if not base:
            return cls(DEFAULT_BASE)
        inner = os.path.join(base, "ml")
        return cls(inner if os.path.isdir(inner) else base)

    @property
    def input(self) -> str:
        return os.path.join(self.base, "input")

    @property
    def config(self) -> str:
        return os.path.join(self.base, "input", "config")

    @property
    def code(self) -> str:
        return os.path.join(self.base, "code")

    @property
    def model(self) -> str:
        return os.path.join(self.base, "model")

    @property
    def checkpoints(self) -> str:
        return os.path.join(self.base, "checkpoints")

    @property
    def output(self) -> str:
        return os.path.join(self.base, "output")

    @property
    def output_data(self) -> str:
        return os.path.join(self.base, "output", "data")

    @property
    def output_intermediate(self) -> str:
        return os.path.join(self.base, "output", "intermediate")

    def channel(self, name: str) -> str:
        """Where the data of a channel lies."""
        return os.path.join(self.base, "input", "data", name)
