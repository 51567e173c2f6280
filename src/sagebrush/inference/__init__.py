"""Models and endpoints: a model kept in memory by replicas that answer requests, behind the front door.

Three nouns (``resources.py``): the model, the endpoint configuration, the endpoint, whose states are in
``model/states.py``. The API (``operations/``) only records intent; ``reconcilers/endpoint.py`` brings replicas up and
keeps them up, and tells the front door which of them serve (``model/routing.py``). The work itself is a library
(``engine/``) that needs neither server nor database. A prediction passes through none of this.

Start reading in ``model/states.py``, then ``reconcilers/endpoint.py``.
"""

from sagebrush.inference.operations import OPERATIONS, RESOURCE_ARNS, is_live
from sagebrush.inference.reconcilers.endpoint import EndpointReconciler
from sagebrush.inference.resources import ENDPOINT, ENDPOINT_CONFIG, MODEL
from sagebrush.substrate.calls import Capability, Service

__all__ = ["CAPABILITY"]

CAPABILITY = Capability(
    name="inference",
    services=(
        Service(
            name="sagemaker",
            iam_prefix="sagemaker",
            operations=OPERATIONS,
            resource_arns=RESOURCE_ARNS,
        ),
    ),
    resources=(MODEL, ENDPOINT_CONFIG, ENDPOINT),
    reconcilers=(EndpointReconciler(),),
    runs={ENDPOINT.kind: is_live},
)
