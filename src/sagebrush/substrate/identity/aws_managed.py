"""The AWS managed policies that the platform knows: package data, one JSON document each in ``managed_policies/``.

The documents are our own renderings of what AWS's policies of these names grant, reduced to the services that the
platform, or a policy simulation of its clients, can meet. They are the same for every account and change only with
the package, so no table holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from sagebrush.substrate.identity.access_key_ids import fixed_unique_id

ARN_PREFIX = "arn:aws:iam::aws:policy/"
ADMINISTRATOR = f"{ARN_PREFIX}AdministratorAccess"
SAGEMAKER_FULL = f"{ARN_PREFIX}AmazonSageMakerFullAccess"
S3_FULL = f"{ARN_PREFIX}AmazonS3FullAccess"


@dataclass(frozen=True, slots=True)
class AwsManagedPolicy:
    """A policy under ``arn:aws:iam::aws:policy/``; it has one version, ``v1``."""

    name: str
    document: str

    @property
    def arn(self) -> str:
        """Its ARN."""
        return ARN_PREFIX + self.name

    @property
    def unique_id(self) -> str:
        """Its PolicyId, the same everywhere."""
        return fixed_unique_id("ANPA", "aws", self.name)

    @property
    def description(self) -> str:
        """What ListPolicies shows."""
        return f"Sagebrush's rendering of the AWS managed policy {self.name}"


@lru_cache(maxsize=1)
def aws_managed_policies() -> Mapping[str, AwsManagedPolicy]:
    """All of them by ARN, ordered by name."""
    folder = resources.files(__package__).joinpath("managed_policies")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    found = (AwsManagedPolicy(file.name.removesuffix(".json"), file.read_text(encoding="utf-8")) for file in files)
    return {policy.arn: policy for policy in found}
