"""One replica: its directory, what it finds there, and its launch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.engine import command, ports
from sagebrush.inference.engine.artefacts import Artefacts
from sagebrush.inference.engine.variables import Surroundings, replica_variables
from sagebrush.inference.model import containers, ignored, wording
from sagebrush.inference.model.revisions import Variant
from sagebrush.inference.reconcilers.deployment import Deployment
from sagebrush.inference.reconcilers.provisions import disk_bytes, fit_of, spec_of
from sagebrush.inference.tables import Replica
from sagebrush.substrate import faultpoints
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.compute import Bind, Environment, EnvironmentSpec, Fit, LaunchSpec, placing
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.errors import CallerError, Cancelled, JobFailure, Refused
from sagebrush.substrate.front_door import ENCLOSED_SOCKET
from sagebrush.substrate.identity import job_credentials

BEFORE_LAUNCH = faultpoints.declare("inference.before-launch")
AFTER_LAUNCH = faultpoints.declare("inference.after-launch-before-record")
AFTER_LAUNCH_RECORD = faultpoints.declare("inference.after-launch-record")

#: Seconds between SIGTERM and SIGKILL of a replica.
GRACE_SECONDS = 30.0
_FOLDERS = ("model", "code", "input", "output")
#: The platform's one URL as a Unix socket, in a directory of its own: so a sandbox finds it again after a restart.
_FRONT_TARGET = "/opt/ml/front"


@dataclass(frozen=True, slots=True)
class _Launch:
    """What one launch goes by."""

    deployment: Deployment
    replica: Replica
    variant: Variant
    environment: Environment
    artefacts: Artefacts
    spec: EnvironmentSpec
    fit: Fit

    @property
    def own_server(self) -> bool:
        """Whether the model brings a server of its own."""
        return containers.has_own_server(self.variant.container)

    @property
    def private(self) -> bool:
        """Whether it gets a network of its own."""
        if self.variant.isolated:
            return True
        return self.own_server and self.deployment.platform.compute.private_network()

    @property
    def reaches_platform(self) -> bool:
        """Whether it is in a network of its own from which a relay leads to the platform."""
        return self.private and not self.variant.isolated


def launch(
    deployment: Deployment, replica: Replica, variant: Variant, environment: Environment, artefacts: Artefacts
) -> None:
    """Start a replica that was not started yet, and record that. Raises Refused where it cannot be."""
    spec, fit = spec_of(deployment, variant), fit_of(deployment, variant)
    this = _Launch(deployment, replica, variant, environment, artefacts, spec, fit)
    _refuse_what_cannot_be_kept(this)
    binds = _prepare(this)
    faultpoints.reach(BEFORE_LAUNCH)
    deployment.platform.compute.launcher.launch(_launch_spec(this, binds))
    faultpoints.reach(AFTER_LAUNCH)
    record_launch(deployment, replica, _notices(this))
    faultpoints.reach(AFTER_LAUNCH_RECORD)


def record_launch(deployment: Deployment, replica: Replica, lines: Sequence[str] = ()) -> None:
    """Record that a replica was launched, with the platform's lines at the head of its log."""
    now = deployment.platform.clock.now_us()
    seen = deployment.observe(replica)
    stamp = min(now, seen.started_us or now) // 1000

    def record(tx: Connection) -> None:
        if tables.set_launched(tx, replica.id, now):
            telemetry = deployment.platform.telemetry.of(deployment.row.account, deployment.row.region)
            events = [(stamp, f"[sagebrush] {line}") for line in lines]
            telemetry.logs.append(tx, deployment.log_group, replica.log_stream, events)

    deployment.write(record)


def _refuse_what_cannot_be_kept(this: _Launch) -> None:
    """Raises Refused: an isolated model is never served with a network."""
    problem = this.deployment.platform.compute.network_isolation_problem() if this.variant.isolated else ""
    if problem:
        told = f"EnableNetworkIsolation cannot be kept on this host: {problem}"
        raise Refused(JobFailure("ClientError", told))


def _prepare(this: _Launch) -> tuple[Bind, ...]:
    """Make the replica's directory anew."""
    deployment, placements = this.deployment, this.artefacts.placements
    root, objects = deployment.opt_ml(this.replica), deployment.platform.objects
    try:
        remove_tree(deployment.directory(this.replica))
        for folder in _FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        late = _late(deployment.platform.clock, this.variant.download_seconds)
        return placing.place(objects, placements, root, sandboxed=_sandboxed(deployment), cancelled=late)
    except Cancelled:
        told = wording.not_placed(this.variant.download_seconds)
        raise Refused(JobFailure("ClientError", told)) from None
    except OSError as error:
        where = error.filename2 or error.filename
        told = f"{error.strerror or error} while placing {len(placements)} files of the model ({where})"
        raise Refused(JobFailure("InternalServerError", told)) from error
    except CallerError as error:
        raise Refused(JobFailure("ClientError", f"{error.code}: {error.message}")) from None


def _late(clock: Clock, seconds: int) -> Callable[[], bool]:
    """Whether so many seconds are over; never, where there are none."""
    until = clock.monotonic_us() + seconds * 1_000_000
    return lambda: bool(seconds) and clock.monotonic_us() > until


def _launch_spec(this: _Launch, binds: tuple[Bind, ...]) -> LaunchSpec:
    platform, opt_ml = this.deployment.platform, this.deployment.opt_ml(this.replica)
    own_variables = containers.variables_of(this.variant.container)
    return LaunchSpec(
        directory=this.deployment.directory(this.replica),
        argv=command.argv("/opt/ml" if _sandboxed(this.deployment) else str(opt_ml.absolute())),
        opt_ml=opt_ml,
        environment=this.environment,
        host_name="model",
        env=replica_variables(_surroundings(this), this.artefacts, own_variables),
        binds=(*binds, _front_bind(platform.settings.data_dir)) if this.reaches_platform else binds,
        hosts={"model": "127.0.0.1"},
        limits=replace(
            this.fit.limits,
            disk_bytes=disk_bytes(this.deployment, this.variant),
            disk_reserve_bytes=platform.compute.disk_reserve_bytes,
        ),
        masked=platform.compute.masked,
        term_grace_seconds=GRACE_SECONDS,
        listen=this.replica.sockets,
        private_network=this.private,
        isolated=this.variant.isolated,
    )


def _surroundings(this: _Launch) -> Surroundings:
    deployment, settings = this.deployment, this.deployment.platform.settings
    return Surroundings(
        region=deployment.row.region,
        # In a network of its own a replica has only its own loopback: there the relay listens.
        endpoint_url=f"http://127.0.0.1:{settings.port}" if this.reaches_platform else settings.endpoint_url,
        credentials_token=None if this.variant.isolated else _token(this),
        framework=this.spec.algorithm or this.spec.name,
        model_max_bytes=int(settings.model_max_gib * 2**30),
        timeout_seconds=this.replica.timeout_seconds,
        root=None if _sandboxed(deployment) else deployment.opt_ml(this.replica).absolute(),
        port=_port(this) if this.own_server else None,
        relay=(settings.port, f"{_FRONT_TARGET}/{ENCLOSED_SOCKET.name}") if this.reaches_platform else None,
    )


def _token(this: _Launch) -> str:
    row, replica = this.deployment.row, this.replica
    claims = job_credentials.Claims(row.kind, replica.id, row.arn, this.variant.role_arn, replica.revision)
    return job_credentials.issue(this.deployment.platform.identity, claims)


def _port(this: _Launch) -> int:
    """Where the variant's own server listens: many can at once on one port only where each has its own network."""
    wanted = containers.own_port(this.variant.container)
    if wanted is not None:
        return wanted
    return containers.DEFAULT_PORT if this.private else ports.free_port()


def _front_bind(data_dir: Path) -> Bind:
    front = data_dir / ENCLOSED_SOCKET.parent
    front.mkdir(parents=True, exist_ok=True)
    # The replica's user must get through, whatever the operator's umask.
    front.chmod(0o755)
    return Bind(front, _FRONT_TARGET, read_only=True)


def _sandboxed(deployment: Deployment) -> bool:
    return deployment.platform.compute.isolation() == "sandbox"


def _notices(this: _Launch) -> list[str]:
    """The platform's own lines at the head of a replica's log."""
    spec, fit = this.spec, this.fit
    asked = f"asked for {spec.asked_version}" if spec.asked_version else "any version asked for"
    lines = [f"Environment {spec.name}: {asked}, got {spec.got_version}.", *(f"{n}." for n in spec.notices)]
    lines += [f"{fit.notice}."] if fit.notice else []
    if this.variant.isolated:
        lines.append("EnableNetworkIsolation: no network but a loopback of its own, and no credentials.")
    return lines + [f"{member} is recorded and has no effect here." for member in _ignored(this)]


def _ignored(this: _Launch) -> list[str]:
    revision = this.deployment.revision_of(this.replica)
    captured = ignored.of_capture(revision.capture if revision is not None else None)
    return [*this.variant.ignored, *captured, *ignored.of_deployment(this.deployment.row.body.get("deployment_config"))]
