"""What replicas of a revision need before they can be launched: environments, and their models' data and code."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.engine import artefacts
from sagebrush.inference.engine.artefacts import Artefacts
from sagebrush.inference.model.revisions import Revision, Variant
from sagebrush.inference.reconcilers.deployment import Deployment
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Environment, EnvironmentSpec, Fit
from sagebrush.substrate.compute.environments.builds import EnvironmentBuilds
from sagebrush.substrate.errors import CallerError, JobFailure, Refused

BEFORE_ARTEFACTS = faultpoints.declare("inference.before-artefacts-record")
AFTER_ARTEFACTS = faultpoints.declare("inference.after-artefacts-record")

#: Seconds a step waits for an environment that is there; longer means that it is being built.
_PATIENCE = 0.2


@dataclass(frozen=True, slots=True)
class Pending:
    """An environment is on its way; ``message`` tells what goes on."""

    message: str


def spec_of(deployment: Deployment, variant: Variant) -> EnvironmentSpec:
    """What the variant's image means here. Raises Refused when it means nothing any more."""
    image = variant.container["Image"]
    try:
        spec = deployment.platform.compute.environments.resolve(image)
    except CallerError as error:
        raise Refused(JobFailure("ClientError", error.message)) from None
    if spec is None:
        raise Refused(JobFailure("ClientError", f"Cannot find the image {image}."))
    return spec


def fit_of(deployment: Deployment, variant: Variant) -> Fit:
    """What each replica of the variant gets of this host. Raises Refused for what it refuses now."""
    compute = deployment.platform.compute
    instance = compute.instances.get(variant.instance_type)
    if instance is None:
        raise Refused(JobFailure("ClientError", f"The instance type {variant.instance_type} is not known here."))
    fit = compute.capacity.fit(instance)
    if fit.failure is not None:
        raise Refused(fit.failure)
    return fit


def disk_bytes(deployment: Deployment, variant: Variant) -> int:
    """What one replica's /opt/ml and /tmp may take, its unpacked model included; 0 means no limit."""
    return variant.volume_gb << 30 or int(deployment.platform.settings.replica_disk_gib * 2**30)


def disk_limit(deployment: Deployment, variant: Variant) -> str:
    """The same as the user knows it."""
    if variant.volume_gb:
        return f"its VolumeSizeInGB of {variant.volume_gb} GB"
    return f"the {deployment.platform.settings.replica_disk_gib:g} GiB it may have (setting replica_disk_gib)"


class Provisions:
    """Environments being built, shared by all endpoints; artefacts, found out once for each revision."""

    def __init__(self) -> None:
        self._builds = EnvironmentBuilds()
        self._waiting: set[tuple[str, EnvironmentSpec]] = set()

    def environment(self, deployment: Deployment, variant: Variant) -> Environment | Pending:
        """The variant's environment, or that it is on its way; its end wakes the endpoint. Raises Refused."""
        row, platform = deployment.row, deployment.platform
        spec = spec_of(deployment, variant)
        build = self._builds.ready(
            platform.compute.environments,
            spec,
            # Who waits for a build is woken by its end: it need not hold a thread as well.
            patience=0.0 if (row.id, spec) in self._waiting else _PATIENCE,
            who=row.id,
            wake=lambda: platform.wakeups.notify(row.id),
        )
        if build.environment is None and not build.failure:
            self._waiting.add((row.id, spec))
            return Pending(build.message)
        self._waiting.discard((row.id, spec))
        if build.environment is None:
            raise Refused(JobFailure("InternalServerError", build.failure))
        return build.environment

    def artefacts(self, deployment: Deployment, revision: Revision) -> dict[str, Artefacts]:
        """What each variant's replicas get: found, pinned and recorded the first time. Raises Refused."""
        number, store = revision.number, deployment.platform.store
        known = store.read(lambda conn: tables.artefacts_of(conn, deployment.row.id, number))
        if known is not None:
            return {name: artefacts.read(document) for name, document in known.items()}
        try:
            found = _find(deployment, revision)
        except Refused:
            # An earlier try may have pinned what it found and then been killed.
            deployment.platform.objects.unpin(_holder(deployment, number))
            raise
        faultpoints.reach(BEFORE_ARTEFACTS)
        documents = {name: these.document() for name, these in found.items()}
        deployment.write(lambda tx: tables.put_artefacts(tx, deployment.row.id, number, documents))
        faultpoints.reach(AFTER_ARTEFACTS)
        return found

    def let_go(self, deployment: Deployment, kept: Revision | None) -> None:
        """Unpin what no replica will need any more: everything but what ``kept`` is made of."""
        row, store = deployment.row, deployment.platform.store
        for number in store.read(lambda conn: tables.revisions_with_artefacts(conn, row.id)):
            if kept is None or number != kept.number:
                deployment.platform.objects.unpin(_holder(deployment, number))

                def drop(tx: Connection, number: int = number) -> None:
                    tables.drop_artefacts(tx, row.id, number)

                deployment.write(drop)


def _find(deployment: Deployment, revision: Revision) -> dict[str, Artefacts]:
    """What each variant gets, pinned: a replica that is started later must not get other bytes, or none."""
    objects = deployment.platform.objects
    found = {v.name: artefacts.find(objects, deployment.allowed(v.role_arn), v.container) for v in revision.variants}
    infos = {p.info.file: p.info for these in found.values() for p in these.placements}
    try:
        objects.pin(list(infos.values()), _holder(deployment, revision.number))
    except CallerError as error:
        raise Refused(JobFailure("ClientError", f"{error.code}: {error.message}")) from None
    return found


def _holder(deployment: Deployment, number: int) -> str:
    return f"{deployment.row.kind}/{deployment.row.id}/{number}"
