"""The API of the nouns: the plain verbs of their declarations, and what is checked beyond the shapes."""

from __future__ import annotations

from collections.abc import Mapping

from sagebrush.studio.operations.lifecycle_scripts import (
    create_notebook_instance_lifecycle_config,
    create_studio_lifecycle_config,
    update_notebook_instance_lifecycle_config,
)
from sagebrush.studio.operations.update_code_repository import update_code_repository
from sagebrush.studio.resources import NOUNS
from sagebrush.substrate.calls import Handler
from sagebrush.substrate.calls.capability import ResourceArns
from sagebrush.substrate.resources import plain_operations, plain_resource_arns

__all__ = ["OPERATIONS", "RESOURCE_ARNS"]

OPERATIONS: Mapping[str, Handler] = {
    **{name: handler for noun in NOUNS for name, handler in plain_operations(noun).items()},
    "UpdateCodeRepository": update_code_repository,
    "CreateStudioLifecycleConfig": create_studio_lifecycle_config,
    "CreateNotebookInstanceLifecycleConfig": create_notebook_instance_lifecycle_config,
    "UpdateNotebookInstanceLifecycleConfig": update_notebook_instance_lifecycle_config,
}

RESOURCE_ARNS: Mapping[str, ResourceArns] = {
    name: arns for noun in NOUNS for name, arns in plain_resource_arns(noun).items()
}
