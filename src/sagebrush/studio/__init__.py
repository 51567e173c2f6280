"""What Studio and notebooks are set up with: code repositories, app image configurations, lifecycle configurations.

Four nouns whose whole meaning is their record (``resources.py``): stored, listed, tagged, deleted. Nothing runs behind
them yet; domains, apps and notebook instances, which will use them, are absent.
"""

from sagebrush.studio.operations import OPERATIONS, RESOURCE_ARNS
from sagebrush.studio.resources import NOUNS
from sagebrush.substrate.calls import Capability, Service

__all__ = ["CAPABILITY"]

CAPABILITY = Capability(
    name="studio",
    services=(Service(name="sagemaker", iam_prefix="sagemaker", operations=OPERATIONS, resource_arns=RESOURCE_ARNS),),
    resources=NOUNS,
)
