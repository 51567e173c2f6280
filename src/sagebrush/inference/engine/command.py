"""What a replica runs."""

from __future__ import annotations

from sagebrush.substrate.compute import Environment

#: Serves a model's handlers or its own server; part of the package, launched, never imported.
RUNTIME = "sagebrush.runtime.serving"


def argv(environment: Environment) -> tuple[str, ...]:
    """The model server, in the image's environment."""
    return (str(environment.python), "-m", RUNTIME)
