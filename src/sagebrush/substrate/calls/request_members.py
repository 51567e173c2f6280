"""What stands in a request, member by member, and at which path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: Members whose keys the caller makes up. What lies in them is the caller's text and never a member of the API:
#: a hyperparameter called ``InstanceType`` says nothing about the job's instances.
FREE_MAPS = frozenset(
    """
    Aggregation Arguments AuthenticationRequestExtraParams CollectionParameters ContainerEnvironmentVariables
    CustomerMetadataProperties Environment Filling HookParameters HyperParameters InputArtifacts Labels
    ModelVariantActions OptimizationEnvironment OutputArtifacts OverrideEnvironment Parameters ProfilingParameters
    Properties RuleParameters StaticHyperParameters TextGenerationHyperParameters
    """.split()  # noqa: SIM905
)

#: Names from the request's top to a value; places in lists do not count.
Path = tuple[str, ...]


def members(request: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Every scalar of a request with its path, in the request's order; free maps are left out."""
    return _members(request, ())


def _members(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in FREE_MAPS:
                yield from _members(inner, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from _members(item, path)
    elif path and value is not None:
        yield path, value
