"""Image URIs: repository and tag decide, account and region do not (every region has its own registry account)."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from sagebrush.substrate.errors import validation

_REGISTRY = re.compile(r"\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_NAME = re.compile(r"(?P<repository>[a-z0-9][a-z0-9._/-]*)(:(?P<tag>[\w][\w.-]*))?(@sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, slots=True)
class _Family:
    """Images of these repositories run in ``environment``; ``package`` is the pin that carries their version.

    Without a ``package`` tags ask for no version: such images differ in their interpreter, and there is one here.
    """

    repositories: frozenset[str]
    environment: str
    framework: str
    package: str | None
    algorithm: str | None


#: The default images of ``@remote`` and of Studio's notebooks, one per minor version of Python.
_PLAIN_PYTHON = frozenset(
    f"{name}-{kind}"
    for name, kinds in (
        ("sagemaker-base-python", (38, 310, 311, 312, 313, 314)),
        ("sagemaker-data-science", (38, 310, 311)),
        ("sagemaker-distribution", ("cpu", "gpu", "prod")),
    )
    for kind in kinds
)
_FAMILIES = (
    _Family(frozenset({"sagemaker-xgboost", "xgboost"}), "xgboost", "XGBoost", "xgboost-cpu", "xgboost"),
    _Family(frozenset({"sagemaker-scikit-learn", "scikit-learn"}), "sklearn", "scikit-learn", "scikit-learn", None),
    _Family(_PLAIN_PYTHON, "python", "Python", None, None),
    _Family(frozenset({"pytorch-training", "pytorch-inference"}), "pytorch", "PyTorch", "torch", None),
)
#: In the order in which they are built ahead of the first job.
ENVIRONMENT_NAMES = tuple(dict.fromkeys(family.environment for family in _FAMILIES))
#: Too big to be built for somebody who may never use them, or needed with an overlay that takes as long.
ON_DEMAND = frozenset({"python", "pytorch"})


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What an image means here. ``algorithm`` names the built-in algorithm that the image carries, if any.

    ``notices`` are lines for the job's log: what was asked for and what it gets. ``packages`` are requirements of pip's
    that the job needs beside those of the environment.
    """

    name: str
    asked_version: str
    got_version: str
    algorithm: str | None = None
    notices: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def resolve(image_uri: str, *, exact: bool) -> EnvironmentSpec | None:
    """The environment for an image, or None for an image that is none of ours (a user's container).

    Raises CallerError ``ValidationException`` when versions must be exact and this one is not there.
    """
    repository, tag = _split(image_uri)
    family = next((f for f in _FAMILIES if repository in f.repositories), None)
    if family is None:
        return None
    got = _got_version(family)
    if family.package is None:
        return EnvironmentSpec(family.environment, "", got, family.algorithm)
    # Tags are <framework version>-<image revision>[-cpu-py3]; 'latest' and the old bare numbers ask for no version.
    asked = tag.partition("-")[0] if re.match(r"\d+\.\d", tag) else ""
    if not asked or got == asked or got.startswith((f"{asked}.", f"{asked}+")):
        return EnvironmentSpec(family.environment, tag, got, family.algorithm)
    if exact:
        raise validation(
            f"The image {image_uri} asks for {family.framework} {asked}; this platform has {got} and is set to "
            "image_versions = exact"
        )
    notice = f"The image asks for {family.framework} {tag}; this platform runs {family.framework} {got}"
    return EnvironmentSpec(family.environment, tag, got, family.algorithm, (notice,))


def versions(environment: str) -> list[str]:
    """What an environment serves: ``XGBoost 3.2.0``."""
    families = [family for family in _FAMILIES if family.environment == environment]
    return [f"{family.framework} {_got_version(family)}" for family in families]


def _got_version(family: _Family) -> str:
    return pinned_version(family.environment, family.package) if family.package else platform.python_version()


def repositories(environment: str) -> list[str]:
    """The images that an environment stands for, without registry and tag."""
    return sorted(name for f in _FAMILIES if f.environment == environment for name in f.repositories)


def pins(environment: str) -> list[str]:
    """Its packages, ``name==version`` each."""
    return [line for line in lock_text(environment).splitlines() if line and not line.startswith("#")]


@cache
def lock_text(environment: str) -> str:
    """The locked package list of an environment."""
    return resources.files(__package__).joinpath("specs", f"{environment}.txt").read_text()


@cache
def pinned_version(environment: str, package: str) -> str:
    """The version of one package in the lock. Raises KeyError when it is not pinned there."""
    lines = (line.partition("==") for line in lock_text(environment).splitlines() if "==" in line)
    return {name: version for name, _, version in lines}[package]


def _split(image_uri: str) -> tuple[str, str]:
    """Repository and tag of an image in an AWS registry or without one; empty strings for anything else."""
    registry, slash, rest = image_uri.partition("/")
    if slash and not _REGISTRY.fullmatch(registry):
        return "", ""
    match = _NAME.fullmatch(rest if slash else image_uri)
    return (match["repository"], match["tag"] or "") if match else ("", "")
