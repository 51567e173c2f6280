"""The environment variables of a job's processes.

The platform's own come first, then the request's Environment, so that a user's value wins except where it would take
the job's identity or credentials away. Sources: training container contract; boto3's container credential provider.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from sagebrush.substrate.identity.job_variables import credential_variables, isolated_variables, place_variables
from sagebrush.training.model.cluster import NETWORK_INTERFACE, Cluster, Host

#: Below the ports that the kernel gives to whoever asks for any.
_FIRST_PORT, _PORTS = 12000, 20000


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """Who the job is and whom it may call as."""

    name: str
    arn: str
    region: str
    endpoint_url: str
    credentials_token: str
    #: EnableNetworkIsolation: it reaches nobody, and is given no credentials.
    isolated: bool = False


def job_variables(
    identity: JobIdentity,
    *,
    cluster: Cluster,
    host: Host,
    channel_names: Sequence[str],
    cpus: int,
    user: Mapping[str, str],
    root: PurePath | None = None,
) -> dict[str, str]:
    """All variables of one host. ``root`` is where its code finds /opt/ml, if elsewhere (without a sandbox)."""
    base = root or PurePath("/opt/ml")
    place = isolated_variables(identity.region) if identity.isolated else None
    variables = (place or place_variables(identity.region, identity.endpoint_url)) | {
        "SAGEMAKER_JOB_NAME": identity.name,
        "SAGEMAKER_REGION": identity.region,
        "CURRENT_HOST": host.name,
    }
    if root is not None:
        variables["SAGEMAKER_BASE_DIR"] = str(root)
    variables |= _sagemaker_variables(cluster, host, channel_names, cpus, base)
    variables |= user
    own = {"TRAINING_JOB_NAME": identity.name, "TRAINING_JOB_ARN": identity.arn}
    variables |= own
    if identity.isolated:
        return variables
    return variables | credential_variables(identity.endpoint_url, identity.credentials_token)


def meeting_point(addresses: Mapping[str, str], environment: str, *, number: int, resolvable: bool) -> dict[str, str]:
    """How hosts find each other: what SageMaker's PyTorch image tells scripts, and addresses where names mean nothing.

    ``number`` is one that no other running job has: whoever listens for the other hosts does so on every address of the
    machine, so that ports must differ. ``resolvable``: names of hosts can be resolved in the job.
    """
    first = next(iter(addresses))
    variables = {} if resolvable else {"SAGEBRUSH_HOST_ADDRESSES": json.dumps(dict(addresses))}
    if environment == "pytorch":
        variables["MASTER_ADDR"] = first if resolvable else addresses[first]
        variables["MASTER_PORT"] = str(_FIRST_PORT + number % _PORTS)
    return variables


def _sagemaker_variables(
    cluster: Cluster, host: Host, channel_names: Sequence[str], cpus: int, root: PurePath
) -> dict[str, str]:
    """Those SM_* that programs started without the training toolkit can use too."""
    variables = {
        "SM_HOSTS": json.dumps(sorted(cluster.names)),
        "SM_CURRENT_HOST": host.name,
        "SM_CURRENT_INSTANCE_TYPE": host.group.instance_type,
        "SM_CURRENT_INSTANCE_GROUP": host.group.name,
        "SM_NETWORK_INTERFACE_NAME": NETWORK_INTERFACE,
        "SM_CHANNELS": json.dumps(sorted(channel_names)),
        "SM_NUM_CPUS": str(cpus),
        "SM_INPUT_DIR": f"{root}/input",
        "SM_INPUT_CONFIG_DIR": f"{root}/input/config",
        "SM_MODEL_DIR": f"{root}/model",
        "SM_OUTPUT_DIR": f"{root}/output",
        "SM_OUTPUT_DATA_DIR": f"{root}/output/data",
    }
    return variables | {f"SM_CHANNEL_{name.upper()}": f"{root}/input/data/{name}" for name in channel_names}
