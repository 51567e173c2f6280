"""Lineage: what was made of what. Artifacts, actions and contexts, and the associations between them.

Records alone (``resources.py``): clients make them, nothing here makes any by itself yet, and QueryLineage is absent.
Associations are edges of their own table (``tables.py``).
"""

from sagebrush.lineage.operations import OPERATIONS, RESOURCE_ARNS
from sagebrush.lineage.resources import NOUNS
from sagebrush.substrate.calls import Capability, Service

__all__ = ["CAPABILITY"]

CAPABILITY = Capability(
    name="lineage",
    services=(Service(name="sagemaker", iam_prefix="sagemaker", operations=OPERATIONS, resource_arns=RESOURCE_ARNS),),
    resources=NOUNS,
)
