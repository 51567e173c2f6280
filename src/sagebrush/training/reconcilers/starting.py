"""From capacity to running processes: channels, configuration, launch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Bind, Environment, EnvironmentSpec, LaunchSpec, Limits
from sagebrush.substrate.compute.environments.builds import EnvironmentBuilds
from sagebrush.substrate.compute.placing import copied_bytes
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.errors import CallerError, Cancelled, JobFailure, Refused
from sagebrush.substrate.identity import job_credentials
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.training import tables
from sagebrush.training.engine import command, opt_ml, placing, submit_directory, variables
from sagebrush.training.engine.artefacts import volume_bytes
from sagebrush.training.engine.channels import Channel, ChannelPlanner, Plan, channels_of
from sagebrush.training.engine.refusals import download_failed
from sagebrush.training.model import cluster, wording
from sagebrush.training.model.cluster import Host
from sagebrush.training.model.phases import Event
from sagebrush.training.reconcilers.allotment import LOOK_AT_BUILD, environment_of, fits_of, spec_of
from sagebrush.training.reconcilers.checkpointing import Checkpointing
from sagebrush.training.reconcilers.ending import conclude
from sagebrush.training.reconcilers.job import LOG_GROUP, Job
from sagebrush.training.resources import TRAINING_JOB

BEFORE_LAUNCH = faultpoints.declare("training.before-launch")
AFTER_LAUNCH = faultpoints.declare("training.after-launch-before-record")
AFTER_TRAINING = faultpoints.declare("training.after-launch-record")

_LOOK_AT_KILLED = 0.1


@dataclass(frozen=True, slots=True)
class _Prepared:
    host: Host
    binds: tuple[Bind, ...]
    copied_bytes: int


class Starter:
    """The step before Training."""

    def __init__(self, builds: EnvironmentBuilds, checkpointing: Checkpointing):
        self._builds = builds
        self._checkpointing = checkpointing

    def launch(self, job: Job) -> Again | Done:
        """Prepare and start every host that was not started yet, then record that the job trains."""
        absent = [host for host, seen in job.observations().items() if seen.phase == "absent"]
        if absent and (over := job.deadline_passed()):
            # Time runs from the admission: data that takes too long must not hold the capacity for ever.
            return _end(job, over)
        try:
            spec = spec_of(job)
            if absent:
                _refuse_what_cannot_be_kept(job)
                build = environment_of(job, self._builds)
                if build.failure:
                    raise Refused(JobFailure("InternalServerError", build.failure))
                if build.environment is None:
                    return Again(LOOK_AT_BUILD)
                self._start_hosts(job, build.environment, absent)
            events = _notices(job, spec)
        except Cancelled:
            return Again()
        except Refused as refused:
            return _end(job, Event.FAIL, refused.failure)
        faultpoints.reach(AFTER_LAUNCH)
        job.platform.store.write(lambda tx: _record_training(job, events, tx))
        faultpoints.reach(AFTER_TRAINING)
        job.let_go()
        return Again()

    def _start_hosts(self, job: Job, environment: Environment, names: Sequence[str]) -> None:
        config = job.platform.settings
        channels = channels_of(job.request.get("InputDataConfig", []))
        planner = ChannelPlanner(
            job.platform.objects, job.allowed, role_arn=job.request["RoleArn"], region=job.row.region
        )
        plan = planner.plan(channels, job.cluster)
        self._pin(job, plan)
        hosts = [host for host in job.cluster.hosts if host.name in names]
        if len(hosts) == 1:
            prepared = [self._prepare(job, hosts[0], channels, plan)]
        else:
            with ThreadPoolExecutor(min(8, len(hosts)), thread_name_prefix="prepare") as pool:
                prepared = list(pool.map(lambda host: self._prepare(job, host, channels, plan), hosts))
        limits = {group.instance_type: fit.limits for group, fit in zip(job.cluster.groups, fits_of(job), strict=True)}
        faultpoints.reach(BEFORE_LAUNCH)
        for ready in prepared:
            launch = _launch_spec(job, environment, ready, channels, limits[ready.host.group.instance_type])
            job.platform.compute.launcher.launch(replace(launch, term_grace_seconds=config.stop_grace_seconds))

    @staticmethod
    def _pin(job: Job, plan: Plan) -> None:
        """What was planned stays where it is until the job has it, whoever replaces it meanwhile."""
        infos = {p.info.file: p.info for host in plan.values() for placed in host.values() for p in placed}
        try:
            job.platform.objects.pin(list(infos.values()), job.holder)
        except CallerError as error:
            raise Refused(JobFailure("ClientError", f"Data download failed: {error.code}: {error.message}")) from None

    def _prepare(self, job: Job, host: Host, channels: Sequence[Channel], plan: Plan) -> _Prepared:
        """Make one host's /opt/ml anew."""
        root = job.opt_ml(host.name)
        remove_tree(root)
        opt_ml.make_folders(root)
        opt_ml.write_config(
            root,
            hyperparameters=job.request.get("HyperParameters", {}),
            cluster=job.cluster,
            host=host,
            channels=channels,
            checkpoint_config=job.request.get("CheckpointConfig"),
        )
        sandboxed = _sandboxed(job)
        channel_files = [p for placed in plan[host.name].values() for p in placed]
        copied = copied_bytes(channel_files, sandboxed=sandboxed)
        if copied > (room := job.platform.compute.disk_free_bytes()):
            raise download_failed(
                f"No space: a copy of the channels takes {copied} bytes, and beside the reserve (setting "
                f"disk_reserve_gib) {max(0, room)} bytes are free on the disk of the platform."
            )
        try:
            binds = placing.place(
                job.platform.objects,
                plan[host.name],
                root,
                sandboxed=sandboxed,
                cancelled=job.start_check(),
            )
        except CallerError as error:
            # An object that was replaced or deleted between listing and placing.
            raise Refused(JobFailure("ClientError", f"Data download failed: {error.code}: {error.message}")) from None
        if uri := submit_directory.source_of(job.request):
            binds += submit_directory.place_code(job.platform.objects, job.allowed, uri, root, sandboxed=sandboxed)
        self._checkpointing.restore(job, host.name)
        return _Prepared(host, binds, copied)


def _end(job: Job, event: Event, failure: JobFailure | None = None) -> Again | Done:
    """End a job, once none of its hosts runs: some may have been launched before a kill, the others are refused."""
    return Again(_LOOK_AT_KILLED) if job.kill() else conclude(job, event, failure)


def _sandboxed(job: Job) -> bool:
    return job.platform.compute.isolation() == "sandbox"


def _launch_spec(
    job: Job, environment: Environment, ready: _Prepared, channels: Sequence[Channel], limits: Limits
) -> LaunchSpec:
    settings, compute, host = job.platform.settings, job.platform.compute, ready.host
    opt_ml_path = job.opt_ml(host.name)
    root: Path | None = None if _sandboxed(job) else opt_ml_path.absolute()
    claims = job_credentials.Claims(
        TRAINING_JOB.kind, job.row.id, job.row.arn, job.request["RoleArn"], job.attempt.number
    )
    identity = variables.JobIdentity(
        name=job.row.name,
        arn=job.row.arn,
        region=job.row.region,
        endpoint_url=settings.endpoint_url,
        credentials_token=job_credentials.issue(job.platform.identity, claims),
        isolated=job.isolated,
    )
    addresses = cluster.addresses(job.cluster, job.attempt.id)
    env = variables.meeting_point(
        addresses, environment.name, number=job.attempt.id, resolvable=root is None
    ) | variables.job_variables(
        identity,
        cluster=job.cluster,
        host=host,
        channel_names=[c.name for c in channels if not c.groups or host.group.name in c.groups],
        cpus=max(1, round(limits.cpus)),
        user=job.request.get("Environment", {}),
        root=root,
    )
    if submit_directory.source_of(job.request):
        env[submit_directory.VARIABLE] = f"{root or '/opt/ml'}/{submit_directory.ARCHIVE}"
    return LaunchSpec(
        directory=job.directory(host.name),
        argv=command.argv(job.request["AlgorithmSpecification"], environment, str(root or "/opt/ml")),
        opt_ml=opt_ml_path,
        environment=environment,
        host_name=host.name,
        env=env,
        binds=ready.binds,
        hosts=addresses,
        limits=replace(limits, disk_bytes=_disk_bytes(job, ready), disk_reserve_bytes=compute.disk_reserve_bytes),
        masked=compute.masked,
        isolated=job.isolated,
        # Always with a file: a host that runs alone shares with nobody.
        network_file=job.directory(host.name).parent / "network" if job.isolated else None,
    )


def _disk_bytes(job: Job, ready: _Prepared) -> int:
    """What a host's /opt/ml and /tmp may take: its volume, and the channels where they were copied and not bound."""
    volume = volume_bytes(job.request["ResourceConfig"])
    return volume + ready.copied_bytes if volume else 0


def _refuse_what_cannot_be_kept(job: Job) -> None:
    """Raises Refused for a promise that this host cannot keep: an isolated job never runs with a network."""
    compute = job.platform.compute
    if job.isolated and (problem := compute.network_isolation_problem()):
        raise Refused(JobFailure("ClientError", f"EnableNetworkIsolation cannot be kept on this host: {problem}"))
    if compute.disk_free_bytes() < 0:
        raise Refused(
            JobFailure(
                "CapacityError",
                "No space: the disk of the platform has less free than the "
                f"{compute.disk_reserve_bytes / 2**30:g} GiB that jobs leave free (setting disk_reserve_gib).",
            )
        )


def _notices(job: Job, spec: EnvironmentSpec) -> list[tuple[int, str]]:
    """The platform's own lines at the head of each host's log, stamped before whatever the job has printed by now."""
    asked = f"asked for {spec.asked_version}" if spec.asked_version else "any version asked for"
    lines = [f"Environment {spec.name}: {asked}, got {spec.got_version}."]
    lines += [f"{notice}." for notice in spec.notices]
    lines += [f"{fit.notice}." for fit in fits_of(job) if fit.notice]
    lines += [f"{told}." for told in _gpus(job)]
    lines += [f"{member} is recorded and has no effect here." for member in wording.without_effect(job.request)]
    if job.isolated:
        lines.append("EnableNetworkIsolation: the hosts of the job reach each other and nobody else; no credentials.")
    why_cold = next((seen.start for seen in job.observations().values() if seen.start), "")
    start = f"Cold start ({why_cold})" if why_cold else "Warm start, with the environment's packages loaded,"
    if _sandboxed(job):
        lines.append(f"{start} in a sandbox with a private /opt/ml.")
    else:
        lines.append(
            f"{start} as a plain process: this host has no sandbox, so paths are in the SM_* variables and "
            "SAGEMAKER_BASE_DIR, and /opt/ml is not there."
        )
    started = [seen.started_us // 1000 for seen in job.observations().values() if seen.started_us is not None]
    stamp = min([job.platform.clock.now_us() // 1000, *started])
    return [(stamp, f"[sagebrush] {line}") for line in lines]


def _gpus(job: Job) -> list[str]:
    """Types that promise what no environment here uses."""
    types = {group.instance_type for group in job.cluster.groups}
    known = [job.platform.compute.instances.get(name) for name in sorted(types)]
    return [
        f"{found.name} has {found.gpus} GPU{'' if found.gpus == 1 else 's'}; this environment computes on processors"
        for found in known
        if found is not None and found.gpus
    ]


def _record_training(job: Job, events: Sequence[tuple[int, str]], tx: Connection) -> None:
    telemetry = job.platform.telemetry.of(job.row.account, job.row.region)
    for log in tables.host_logs(tx, job.row.id, job.attempt.number):
        telemetry.logs.append(tx, LOG_GROUP, log.stream, events)
    job.enter(tx, Event.TRAIN)
