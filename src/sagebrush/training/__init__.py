"""Training jobs: a program run on one or more hosts with data under /opt/ml, its model stored in S3.

One resource, the training job (``resources.py``); its statuses and what leads where are in ``model/phases.py``. The API
(``operations/``) only records intent; ``reconcilers/training_job.py`` does one step after the other: queue,
environment, channels, launch, follow, upload. The work itself is a library (``engine/``) that needs neither server nor
database.

Start reading in ``model/phases.py``, then ``reconcilers/training_job.py``.
"""

from sagebrush.substrate.calls import Capability, Service
from sagebrush.training.operations import NAMING_ONE_JOB, OPERATIONS, is_live, named_job
from sagebrush.training.reconcilers.training_job import TrainingJobReconciler
from sagebrush.training.resources import TRAINING_JOB

__all__ = ["CAPABILITY"]

CAPABILITY = Capability(
    name="training",
    services=(
        Service(
            name="sagemaker",
            iam_prefix="sagemaker",
            operations=OPERATIONS,
            resource_arns=dict.fromkeys(NAMING_ONE_JOB, named_job),
        ),
    ),
    resources=(TRAINING_JOB,),
    reconcilers=(TrainingJobReconciler(),),
    runs={TRAINING_JOB.kind: is_live},
)
