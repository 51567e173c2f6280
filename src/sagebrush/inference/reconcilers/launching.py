"""One replica: its directory, what it finds there, and its launch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection

from sagebrush.inference import tables
from sagebrush.inference.engine import command, ports
from sagebrush.inference.engine.artefacts import Artefacts
from sagebrush.inference.engine.variables import Surroundings, replica_variables
from sagebrush.inference.model import containers
from sagebrush.inference.model.revisions import Variant
from sagebrush.inference.reconcilers.deployment import Deployment
from sagebrush.inference.reconcilers.provisions import fit_of, spec_of
from sagebrush.inference.tables import Replica
from sagebrush.substrate import faultpoints
from sagebrush.substrate.compute import Bind, Environment, EnvironmentSpec, Fit, LaunchSpec, placing
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.errors import CallerError, JobFailure, Refused
from sagebrush.substrate.identity import job_credentials

BEFORE_LAUNCH = faultpoints.declare("inference.before-launch")
AFTER_LAUNCH = faultpoints.declare("inference.after-launch-before-record")
AFTER_LAUNCH_RECORD = faultpoints.declare("inference.after-launch-record")

#: Seconds between SIGTERM and SIGKILL of a replica.
GRACE_SECONDS = 30.0
_FOLDERS = ("model", "code", "input", "output")
#: The platform's one URL as a Unix socket, in a directory of its own: so a sandbox finds it again after a restart.
_FRONT = Path("run/front")
_FRONT_SOCKET = "front.sock"
_FRONT_TARGET = "/opt/ml/front"


def launch(
    deployment: Deployment, replica: Replica, variant: Variant, environment: Environment, artefacts: Artefacts
) -> None:
    """Start a replica that was not started yet, and record that. Raises Refused where it cannot be."""
    fit, spec = fit_of(deployment, variant), spec_of(deployment, variant)
    binds = _prepare(deployment, replica, artefacts)
    faultpoints.reach(BEFORE_LAUNCH)
    deployment.platform.compute.launcher.launch(
        _launch_spec(deployment, replica, variant, environment, artefacts, binds, fit, spec)
    )
    faultpoints.reach(AFTER_LAUNCH)
    record_launch(deployment, replica, _notices(spec, fit))
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


def _prepare(deployment: Deployment, replica: Replica, artefacts: Artefacts) -> tuple[Bind, ...]:
    """Make the replica's directory anew."""
    root = deployment.opt_ml(replica)
    try:
        remove_tree(deployment.directory(replica))
        for folder in _FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        return placing.place(deployment.platform.objects, artefacts.placements, root, sandboxed=_sandboxed(deployment))
    except OSError as error:
        where = error.filename2 or error.filename
        told = f"{error.strerror or error} while placing {len(artefacts.placements)} files of the model ({where})"
        raise Refused(JobFailure("InternalServerError", told)) from error
    except CallerError as error:
        raise Refused(JobFailure("ClientError", f"{error.code}: {error.message}")) from None


def _launch_spec(
    deployment: Deployment,
    replica: Replica,
    variant: Variant,
    environment: Environment,
    artefacts: Artefacts,
    binds: tuple[Bind, ...],
    fit: Fit,
    spec: EnvironmentSpec,
) -> LaunchSpec:
    platform, opt_ml = deployment.platform, deployment.opt_ml(replica)
    own_server = containers.has_own_server(variant.container)
    private = own_server and platform.compute.private_network()
    if private:
        binds = (*binds, _front_bind(platform.settings.data_dir))
    surroundings = Surroundings(
        region=deployment.row.region,
        # In a network of its own a replica has only its own loopback: there the relay listens.
        endpoint_url=f"http://127.0.0.1:{platform.settings.port}" if private else platform.settings.endpoint_url,
        credentials_token=_token(deployment, replica, variant),
        framework=spec.algorithm or spec.name,
        model_max_bytes=int(platform.settings.model_max_gib * 2**30),
        root=None if _sandboxed(deployment) else opt_ml.absolute(),
        port=_port(variant, private=private) if own_server else None,
        relay=(platform.settings.port, f"{_FRONT_TARGET}/{_FRONT_SOCKET}") if private else None,
    )
    return LaunchSpec(
        directory=deployment.directory(replica),
        argv=command.argv(environment),
        opt_ml=opt_ml,
        environment=environment,
        host_name="model",
        env=replica_variables(surroundings, artefacts, containers.variables_of(variant.container)),
        binds=binds,
        hosts={"model": "127.0.0.1"},
        limits=fit.limits,
        masked=platform.compute.masked,
        term_grace_seconds=GRACE_SECONDS,
        listen=replica.sockets,
        private_network=private,
    )


def _token(deployment: Deployment, replica: Replica, variant: Variant) -> str:
    row = deployment.row
    claims = job_credentials.Claims(row.kind, replica.id, row.arn, variant.role_arn, replica.revision)
    return job_credentials.issue(deployment.platform.identity, claims)


def _port(variant: Variant, *, private: bool) -> int:
    """Where the variant's own server listens: many can at once on one port only where each has its own network."""
    wanted = containers.own_port(variant.container)
    if wanted is not None:
        return wanted
    return containers.DEFAULT_PORT if private else ports.free_port()


def _front_bind(data_dir: Path) -> Bind:
    front = data_dir / _FRONT
    front.mkdir(parents=True, exist_ok=True)
    # The replica's user must get through, whatever the operator's umask.
    front.chmod(0o755)
    return Bind(front, _FRONT_TARGET, read_only=True)


def _sandboxed(deployment: Deployment) -> bool:
    return deployment.platform.compute.isolation() == "sandbox"


def _notices(spec: EnvironmentSpec, fit: Fit) -> list[str]:
    """The platform's own lines at the head of a replica's log."""
    asked = f"asked for {spec.asked_version}" if spec.asked_version else "any version asked for"
    lines = [f"Environment {spec.name}: {asked}, got {spec.got_version}.", *(f"{n}." for n in spec.notices)]
    return [*lines, f"{fit.notice}."] if fit.notice else lines
