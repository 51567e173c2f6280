"""From the queue to running processes: capacity, environment, channels, launch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Bind, Environment, EnvironmentSpec, Fit, LaunchSpec, Limits
from sagebrush.substrate.errors import CallerError, JobFailure
from sagebrush.substrate.reconcile import Again, Done
from sagebrush.substrate.resources import transitions_of, update_body
from sagebrush.training import tables
from sagebrush.training.engine import command, job_credentials, opt_ml, placing, submit_directory, variables
from sagebrush.training.engine.channels import Channel, ChannelPlanner, Plan, channels_of
from sagebrush.training.engine.refusals import Cancelled, Refused
from sagebrush.training.model import cluster, times, wording
from sagebrush.training.model.cluster import Host
from sagebrush.training.model.phases import Event, Secondary
from sagebrush.training.reconcilers.builds import Build, EnvironmentBuilds
from sagebrush.training.reconcilers.checkpointing import Checkpointing
from sagebrush.training.reconcilers.ending import conclude, wake_queue
from sagebrush.training.reconcilers.job import LOG_GROUP, Job

BEFORE_ADMISSION = faultpoints.declare("training.before-admission-record")
AFTER_ADMISSION = faultpoints.declare("training.after-admission-record")
BEFORE_LAUNCH = faultpoints.declare("training.before-launch")
AFTER_LAUNCH = faultpoints.declare("training.after-launch-before-record")
AFTER_TRAINING = faultpoints.declare("training.after-launch-record")

#: Seconds a step waits for an environment that is there; longer means that it is being built.
_PATIENCE = 0.25
_LOOK_AT_BUILD = 1.0
#: Seconds between looks of a job in the queue, to refresh what its message says; free capacity wakes it at once.
_LOOK_AT_QUEUE = 5.0
#: Jobs created together reach the queue in any order: so long a young one waits for its elders without saying so.
_YOUNG_US = 500_000
_LOOK_AT_ELDERS = 0.02


@dataclass(frozen=True, slots=True)
class _Prepared:
    host: Host
    binds: tuple[Bind, ...]


class Starter:
    """The steps before Training."""

    def __init__(self, builds: EnvironmentBuilds, checkpointing: Checkpointing):
        self._builds = builds
        self._checkpointing = checkpointing

    # -- queue ----------------------------------------------------------------------------------------------------

    def admit(self, job: Job) -> Again | Done:
        """Wait for the environment and for capacity, in the order of creation; then hold both."""
        deadline = times.wait_deadline_us(job.request["StoppingCondition"], job.row.created_us)
        if deadline is not None and job.platform.clock.now_us() >= deadline:
            return conclude(job, Event.WAIT_EXCEEDED)
        try:
            fits = _fits(job)
            build = self._environment(job)
        except Refused as refused:
            return conclude(job, Event.FAIL, refused.failure)
        if build.failure:
            return conclude(job, Event.FAIL, JobFailure("InternalServerError", build.failure))
        if build.environment is None:
            return _tell_building(job, build)
        faultpoints.reach(BEFORE_ADMISSION)
        outcome = job.platform.store.write(lambda tx: _take_capacity(job, fits, tx))
        faultpoints.reach(AFTER_ADMISSION)
        return outcome

    def _environment(self, job: Job) -> Build:
        return self._builds.ready(
            job.platform.compute.environments,
            _spec_of(job),
            patience=_PATIENCE,
            who=job.row.id,
            wake=lambda: job.platform.wakeups.notify(job.row.id),
        )

    # -- launch ---------------------------------------------------------------------------------------------------

    def launch(self, job: Job) -> Again | Done:
        """Prepare and start every host that was not started yet, then record that the job trains."""
        absent = [host for host, seen in job.observations().items() if seen.phase == "absent"]
        try:
            spec = _spec_of(job)
            if absent:
                build = self._environment(job)
                if build.failure:
                    raise Refused(JobFailure("InternalServerError", build.failure))
                if build.environment is None:
                    return Again(_LOOK_AT_BUILD)
                self._start_hosts(job, build.environment, absent)
            events = _notices(job, spec)
        except Cancelled:
            return Again()
        except Refused as refused:
            return conclude(job, Event.FAIL, refused.failure)
        faultpoints.reach(AFTER_LAUNCH)
        job.platform.store.write(lambda tx: _record_training(job, events, tx))
        faultpoints.reach(AFTER_TRAINING)
        return Again()

    def _start_hosts(self, job: Job, environment: Environment, names: Sequence[str]) -> None:
        config = job.platform.settings
        channels = channels_of(job.request.get("InputDataConfig", []))
        planner = ChannelPlanner(
            job.platform.objects, job.allowed, role_arn=job.request["RoleArn"], region=job.row.region
        )
        plan = planner.plan(channels, job.cluster)
        hosts = [host for host in job.cluster.hosts if host.name in names]
        if len(hosts) == 1:
            prepared = [self._prepare(job, hosts[0], channels, plan)]
        else:
            with ThreadPoolExecutor(min(8, len(hosts)), thread_name_prefix="prepare") as pool:
                prepared = list(pool.map(lambda host: self._prepare(job, host, channels, plan), hosts))
        limits = {group.instance_type: fit.limits for group, fit in zip(job.cluster.groups, _fits(job), strict=True)}
        faultpoints.reach(BEFORE_LAUNCH)
        for ready in prepared:
            launch = _launch_spec(job, environment, ready, channels, limits[ready.host.group.instance_type])
            job.platform.compute.launcher.launch(replace(launch, term_grace_seconds=config.stop_grace_seconds))

    def _prepare(self, job: Job, host: Host, channels: Sequence[Channel], plan: Plan) -> _Prepared:
        """Make one host's /opt/ml anew."""
        root = job.opt_ml(host.name)
        if root.exists():
            shutil.rmtree(root)
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
        try:
            binds = placing.place(
                job.platform.objects,
                plan[host.name],
                root,
                sandboxed=sandboxed,
                cancelled=job.stopped_meanwhile,
            )
        except CallerError as error:
            # An object that was replaced or deleted between listing and placing.
            raise Refused(JobFailure("ClientError", f"Data download failed: {error.code}: {error.message}")) from None
        if uri := submit_directory.source_of(job.request):
            binds += submit_directory.place_code(job.platform.objects, job.allowed, uri, root, sandboxed=sandboxed)
        self._checkpointing.restore(job, host.name)
        return _Prepared(host, binds)


def _spec_of(job: Job) -> EnvironmentSpec:
    image = job.request["AlgorithmSpecification"]["TrainingImage"]
    try:
        spec = job.platform.compute.environments.resolve(image)
    except CallerError as error:
        raise Refused(JobFailure("ClientError", error.message)) from None
    if spec is None:
        raise Refused(JobFailure("ClientError", f"Cannot find the training image {image}."))
    return spec


def _fits(job: Job) -> list[Fit]:
    """What each group of hosts gets. Raises Refused for what this host refuses now."""
    fits = []
    for group in job.cluster.groups:
        instance = job.platform.compute.instances.get(group.instance_type)
        if instance is None:
            raise Refused(JobFailure("ClientError", f"The instance type {group.instance_type} is not known here."))
        fit = job.platform.compute.capacity.fit(instance, len(group.hosts))
        if fit.failure is not None:
            raise Refused(fit.failure)
        fits.append(fit)
    return fits


def _tell_building(job: Job, build: Build) -> Again:
    """Let others pass in the queue, and show what the build is doing."""
    message = build.message or wording.PREPARING

    def record(tx: Connection) -> None:
        if not job.attempt.building:
            tables.set_building(tx, job.attempt, True)
            wake_queue(job.platform, tx)
        if transitions_of(tx, job.row.id)[-1]["message"] != message:
            update_body(tx, job.row, {}, now_us=job.platform.clock.now_us(), lease=job.lease, message=message)

    job.platform.store.write(record)
    return Again(_LOOK_AT_BUILD)


def _take_capacity(job: Job, fits: Sequence[Fit], tx: Connection) -> Again:
    capacity = job.platform.compute.capacity
    vcpus, memory = sum(fit.vcpus for fit in fits), sum(fit.memory_gib for fit in fits)
    ahead = tables.ahead_of(tx, job.attempt)
    now = job.platform.clock.now_us()
    if ahead == 0 and capacity.admit(tx, owner_id=job.row.id, vcpus=vcpus, memory_gib=memory):
        first = tables.first_admitted_us(tx, job.row.id)
        stamp = now // 1_000_000
        tables.admit(tx, job.attempt, now, [(h, f"{job.row.name}/{h}-{stamp}") for h in job.cluster.names])
        message = None if job.request.get("InputDataConfig") else wording.PREPARING
        job.enter(tx, Event.DOWNLOAD, message=message, changes={"started_us": now if first is None else first})
        wake_queue(job.platform, tx)
        return Again()
    if ahead and now - job.row.created_us < _YOUNG_US:
        return Again(_LOOK_AT_ELDERS)
    if job.attempt.building:
        tables.set_building(tx, job.attempt, False)
    used_vcpus, used_memory = capacity.used(tx)
    message = wording.waiting(
        ahead,
        f"{vcpus:g} vCPU and {memory:g} GiB",
        f"{max(0.0, capacity.vcpus - used_vcpus):g} vCPU and {max(0.0, capacity.memory_gib - used_memory):.1f} GiB "
        f"of {capacity.vcpus:g} and {capacity.memory_gib:.1f} GiB are free",
    )
    if job.phase.secondary is not Secondary.PENDING:
        job.enter(tx, Event.QUEUE, message=message)
    elif transitions_of(tx, job.row.id)[-1]["message"] != message:
        update_body(tx, job.row, {}, now_us=now, lease=job.lease, message=message)
    return Again(_LOOK_AT_QUEUE)


def _sandboxed(job: Job) -> bool:
    return job.platform.compute.isolation() == "sandbox"


def _launch_spec(
    job: Job, environment: Environment, ready: _Prepared, channels: Sequence[Channel], limits: Limits
) -> LaunchSpec:
    settings, host = job.platform.settings, ready.host
    opt_ml_path = job.opt_ml(host.name)
    root: Path | None = None if _sandboxed(job) else opt_ml_path.absolute()
    claims = job_credentials.Claims(job.row.id, job.row.arn, job.request["RoleArn"], job.attempt.number)
    identity = variables.JobIdentity(
        name=job.row.name,
        arn=job.row.arn,
        region=job.row.region,
        endpoint_url=settings.endpoint_url,
        credentials_token=job_credentials.issue(job.platform.identity, claims),
    )
    env = variables.job_variables(
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
        argv=command.argv(job.request["AlgorithmSpecification"], environment),
        opt_ml=opt_ml_path,
        environment=environment,
        host_name=host.name,
        env=env,
        binds=ready.binds,
        hosts=cluster.addresses(job.cluster, job.attempt.id),
        limits=limits,
        masked=job.platform.compute.masked,
    )


def _notices(job: Job, spec: EnvironmentSpec) -> list[tuple[int, str]]:
    """The platform's own lines at the head of each host's log, stamped before whatever the job has printed by now."""
    asked = f"asked for {spec.asked_version}" if spec.asked_version else "any version asked for"
    lines = [f"Environment {spec.name}: {asked}, got {spec.got_version}."]
    lines += [f"{notice}." for notice in spec.notices]
    lines += [f"{fit.notice}." for fit in _fits(job) if fit.notice]
    if _sandboxed(job):
        lines.append("Cold start in a sandbox: a new interpreter, a private /opt/ml.")
    else:
        lines.append(
            "Cold start as a plain process: this host has no sandbox, so paths are in the SM_* variables and "
            "SAGEMAKER_BASE_DIR, and /opt/ml is not there."
        )
    started = [seen.started_us // 1000 for seen in job.observations().values() if seen.started_us is not None]
    stamp = min([job.platform.clock.now_us() // 1000, *started])
    return [(stamp, f"[sagebrush] {line}") for line in lines]


def _record_training(job: Job, events: Sequence[tuple[int, str]], tx: Connection) -> None:
    telemetry = job.platform.telemetry.of(job.row.account, job.row.region)
    for log in tables.host_logs(tx, job.row.id, job.attempt.number):
        telemetry.logs.append(tx, LOG_GROUP, log.stream, events)
    job.enter(tx, Event.TRAIN)
