"""What an Update does to a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.errors import validation

#: Of each record, whether they were given at once or one by one (LineageEntityParameters).
MOST_PROPERTIES = 30
_REPLACED = ("ArtifactName", "Description", "Status")


def changes_of(body: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a body that an Update changes: given properties are added, named ones removed.

    Raises ValidationException for more properties than a record may have.
    """
    properties = dict(body.get("Properties", {})) | request.get("Properties", {})
    for name in request.get("PropertiesToRemove", ()):
        properties.pop(name, None)
    if len(properties) > MOST_PROPERTIES:
        raise validation(
            f"1 validation error detected: Value at 'properties' failed to satisfy constraint: Member must have length "
            f"less than or equal to {MOST_PROPERTIES}"
        )
    changes: dict[str, Any] = {member: request[member] for member in _REPLACED if member in request}
    return changes | {"Properties": properties or None}
