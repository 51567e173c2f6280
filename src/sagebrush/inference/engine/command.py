"""What a replica runs."""

from __future__ import annotations

from sagebrush.substrate.compute.environments import layers

#: Serves a model's handlers or its own server; part of the package, launched, never imported.
RUNTIME = "sagebrush.runtime.serving"


def argv(opt_ml: str) -> tuple[str, ...]:
    """The model server, in the replica's own layer over the image's environment.

    ``opt_ml``: where the replica sees its ``/opt/ml``.
    """
    return (layers.python_of(opt_ml), "-m", RUNTIME)
