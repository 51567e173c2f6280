"""What a training job runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.compute import Environment
from sagebrush.substrate.compute.environments import layers

#: Runs script mode or the built-in algorithm inside the job; part of the package, launched, never imported.
RUNTIME = "sagebrush.runtime.training"


def argv(algorithm_specification: Mapping[str, Any], environment: Environment, opt_ml: str) -> tuple[str, ...]:
    """The request's own entry point and arguments, else the training runtime with the image's algorithm.

    ``opt_ml``: where the job sees its ``/opt/ml``.
    """
    arguments = tuple(algorithm_specification.get("ContainerArguments", ()))
    entry_point = tuple(algorithm_specification.get("ContainerEntrypoint", ()))
    if entry_point:
        return entry_point + arguments
    algorithm = (environment.algorithm,) if environment.algorithm else ()
    return (layers.python_of(opt_ml), "-m", RUNTIME, *algorithm, *arguments)
