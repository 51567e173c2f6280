"""How a script is to be launched, out of the ``sagemaker_*`` hyperparameters that the SDK's ``distribution`` becomes.

Names of hyperparameters: sagemaker 2.257, ``sagemaker.estimator.Framework._distribution_configuration``.
"""

from __future__ import annotations

from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.training_environment import TrainingEnvironment

SMDDP = "sagemaker_distributed_dataparallel_enabled"
TORCHRUN = "sagemaker_torch_distributed_enabled"
_GROUPS = "sagemaker_distribution_instance_groups"
#: Hyperparameter -> what it asks for, as its users call it.
_ABSENT = {
    "sagemaker_mpi_enabled": "mpi (Horovod, and the model parallel library, which is launched by it)",
    "sagemaker_parameter_server_enabled": "parameter_server",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "multi_worker_mirrored_strategy",
    "sagemaker_pytorch_xla_multi_worker_enabled": "pytorchxla",
}
_MODEL_PARALLEL = "mp_parameters"
_INSTEAD = (
    "What there is: distribution={'torch_distributed': {'enabled': True}} and "
    "{'smdistributed': {'dataparallel': {'enabled': True}}}."
)


def hosts_of(environment: TrainingEnvironment) -> list[str] | None:
    """The hosts that work together with this one, in order; None for a script that is to be run as it is.

    Raises UserError for what there is no launcher for.
    """
    parameters = environment.framework_parameters
    if environment.hyperparameters.get(_MODEL_PARALLEL):
        raise UserError(f"SageMaker's model parallel library (smdistributed.modelparallel) is not here. {_INSTEAD}")
    for name, told in _ABSENT.items():
        if _on(parameters.get(name)):
            raise UserError(f"There is no launcher here for the distribution {told}; {name} was set. {_INSTEAD}")
    if not _on(parameters.get(SMDDP)) and not _on(parameters.get(TORCHRUN)):
        return None
    hosts = _hosts(environment, parameters.get(_GROUPS))
    return hosts if environment.current_host in hosts else None


def _on(value: object) -> bool:
    return value is True or str(value).lower() == "true"


def _hosts(environment: TrainingEnvironment, groups: object) -> list[str]:
    """Those of the instance groups that are to work together, all of them where none is named."""
    if not isinstance(groups, list) or not groups:
        return environment.hosts
    chosen = {
        h for group in environment.instance_groups if group["instance_group_name"] in groups for h in group["hosts"]
    }
    return [host for host in environment.hosts if host in chosen]
