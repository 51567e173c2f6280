"""The environment variables of a replica: the platform's own, then the model's, then what a user must not take away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from sagebrush.inference.engine.artefacts import CODE_ARCHIVE, MODEL_ARCHIVE, Artefacts
from sagebrush.inference.model.containers import PORT, TIMEOUT, TIMEOUTS
from sagebrush.substrate.identity.job_variables import credential_variables, isolated_variables, place_variables

_OPT_ML = PurePath("/opt/ml")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a replica is told of where it is.

    ``root`` is where it finds /opt/ml if elsewhere (without a sandbox). ``port`` is where its own server listens, None
    where it has none. ``timeout_seconds``: how long a request may take, where the model does not say. ``relay`` is
    (port, socket): what is sent to that port is to reach the platform through that socket, for a replica in a network
    of its own. ``credentials_token`` None: it is isolated, reaches nobody and is given no credentials.
    """

    region: str
    endpoint_url: str
    credentials_token: str | None
    framework: str
    model_max_bytes: int
    timeout_seconds: float
    root: PurePath | None = None
    port: int | None = None
    relay: tuple[int, str] | None = None


def replica_variables(
    surroundings: Surroundings, artefacts: Artefacts, own_variables: Mapping[str, str]
) -> dict[str, str]:
    """All variables of one replica."""
    root = surroundings.root or _OPT_ML
    token = surroundings.credentials_token
    if token is None:
        variables = isolated_variables(surroundings.region)
    else:
        variables = place_variables(surroundings.region, surroundings.endpoint_url)
    variables["SAGEMAKER_REGION"] = surroundings.region
    variables |= own_variables
    if not any(variables.get(name) for name in TIMEOUTS):
        variables[TIMEOUT] = _number(surroundings.timeout_seconds)
    if token is not None:
        variables |= credential_variables(surroundings.endpoint_url, token)
    variables |= {
        "SAGEBRUSH_FRAMEWORK": surroundings.framework,
        "SAGEBRUSH_MODEL_MAX_BYTES": str(surroundings.model_max_bytes),
    }
    if surroundings.root is not None:
        variables["SAGEMAKER_BASE_DIR"] = str(root)
    if artefacts.model_archive:
        variables["SAGEBRUSH_MODEL_ARCHIVE"] = f"{root}/{MODEL_ARCHIVE}"
    if artefacts.code_archive:
        variables["SAGEBRUSH_CODE_ARCHIVE"] = f"{root}/{CODE_ARCHIVE}"
    if surroundings.port is not None:
        variables[PORT] = str(surroundings.port)
    if surroundings.relay is not None:
        port, path = surroundings.relay
        variables["SAGEBRUSH_RELAY"] = f"{port}:{path}"
    return variables


def _number(value: float) -> str:
    """As servers of all kinds read it: without a decimal point where it needs none."""
    return str(int(value)) if value == int(value) else str(value)
