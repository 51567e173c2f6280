"""What a ContainerDefinition asks for.

Sources: "ContainerDefinition", "S3ModelDataSource" (SageMaker API Reference); sagemaker-inference-toolkit (variables).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sagebrush.substrate.objects.locations import S3Location, parse

#: More sockets than this serve nobody better on one machine.
MOST_WORKERS = 64
DEFAULT_PORT = 8080

PROGRAM = "SAGEMAKER_PROGRAM"
SUBMIT_DIRECTORY = "SAGEMAKER_SUBMIT_DIRECTORY"
WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"
PORT = "SAGEMAKER_BIND_TO_PORT"
TIMEOUT = "SAGEMAKER_MODEL_SERVER_TIMEOUT"
#: Seconds that the model server gives a request: the first that is set counts. The other name is the toolkit's.
TIMEOUTS = ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", TIMEOUT)

Container = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelData:
    """Where a model's data lie: one archive, one object taken as it is, or every object under a prefix."""

    kind: Literal["archive", "object", "prefix"]
    location: S3Location


def container_of(request: Mapping[str, Any]) -> Container:
    """The one container of a valid CreateModel."""
    container: Container = request.get("PrimaryContainer") or request["Containers"][0]
    return container


def variables_of(container: Container) -> Mapping[str, str]:
    """The request's own environment variables."""
    variables: Mapping[str, str] = container.get("Environment", {})
    return variables


def model_data_uri(container: Container) -> str | None:
    """The URI of a container's model data; None where it brings none."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    uri: str | None = source["S3Uri"] if source else container.get("ModelDataUrl")
    return uri


def model_data(container: Container) -> ModelData | None:
    """A valid container's model data; None where it brings none."""
    uri = model_data_uri(container)
    if uri is None:
        return None
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None or source["CompressionType"] == "Gzip":
        return ModelData("archive", parse(uri))
    return ModelData("prefix" if source["S3DataType"] == "S3Prefix" else "object", parse(uri))


def code_uri(container: Container) -> str | None:
    """The archive in S3 that holds the user's code; None where it lies elsewhere."""
    uri = variables_of(container).get(SUBMIT_DIRECTORY, "")
    return uri if uri.startswith("s3://") else None


def has_own_server(container: Container) -> bool:
    """Whether the model brings a server of its own: any program but a Python module with handlers."""
    program = variables_of(container).get(PROGRAM, "")
    return bool(program) and not program.endswith(".py")


def workers(container: Container, cpus: float) -> int:
    """How many processes answer requests in one replica; an own server is one."""
    if has_own_server(container):
        return 1
    wanted = variables_of(container).get(WORKERS, "")
    count = int(wanted) if _is_number(wanted) else int(cpus)
    return min(MOST_WORKERS, max(1, count))


def own_port(container: Container) -> int | None:
    """The port that the request wants an own server to listen on; None where it leaves the choice to us."""
    wanted = variables_of(container).get(PORT, "")
    port = int(wanted) if _is_number(wanted) else 0
    return port if 0 < port < 65536 else None


def not_numbers(container: Container) -> list[str]:
    """Variables that are set, should be numbers, and are none: what we would do without them is done."""
    variables = variables_of(container)
    return [name for name in (WORKERS, PORT) if not _is_number(variables.get(name) or "0")]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def timeout_seconds(container: Container, default: float) -> float:
    """How long a request may take in the model server: what the model's variables say, else ``default``."""
    variables = variables_of(container)
    given = next((text for name in TIMEOUTS if (text := variables.get(name, ""))), "")
    try:
        seconds = float(given)
    except ValueError:
        return default  # The model server refuses it, and says so.
    return seconds if 0 < seconds < math.inf else default
