"""A platform in one process for these tests: real stores, objects, shims and reconcile loop, no network.

Three seams are doubles: the environment is the interpreter that runs the tests, the model server is
``stand_in_server``, the front door is ``front.FakeFront``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sagebrush
from sagebrush.inference import CAPABILITY, tables
from sagebrush.inference.engine import command
from sagebrush.inference.reconcilers.deployment import RUNNING
from sagebrush.inference.reconcilers.endpoint import EndpointReconciler
from sagebrush.inference.tables import Replica
from sagebrush.substrate.calls import Call, Calls, Registry
from sagebrush.substrate.calls.client import new_request_id
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.compute import Compute, Environment, EnvironmentSpec
from sagebrush.substrate.errors import CallerError, access_denied
from sagebrush.substrate.identity import Identity, Principal, ensure_seed
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import ReconcileLoop, Wakeups
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import OBJECTS, STATE
from sagebrush.substrate.telemetry import Telemetry
from tests.databases import open_at
from tests.inference.front import FakeFront
from tests.inference.requests import BUCKET, config_request, model_request

TESTS = Path(__file__).parents[1]


class ThisInterpreter:
    """Environments that are there already: every known image is the interpreter of the tests."""

    def resolve(self, image_uri: str) -> EnvironmentSpec | None:
        if "xgboost" in image_uri:
            return EnvironmentSpec("tests", "1.7-1", "3.2.0", "xgboost")
        if "scikit-learn" in image_uri:
            return EnvironmentSpec("sklearn", "1.2-1", "1.9.1", None, ("The image asks for 1.2-1; this runs 1.9.1",))
        return None

    def ensure(self, spec: EnvironmentSpec, progress: Callable[[str], None]) -> Environment:
        prefix, source = Path(sys.prefix), Path(sagebrush.__file__).parents[1]
        return Environment(
            name=spec.name,
            python=Path(sys.executable),
            prefix=prefix,
            algorithm=spec.algorithm,
            read_only_paths=(prefix, Path(sys.base_prefix), source, TESTS),
            python_path=(source, TESTS.parent),
        )


class Guard(Identity):
    """The real identity; ``denied`` holds (action, ARN prefix) that no role may do besides."""

    def __init__(self, **parts: Any):
        super().__init__(**parts)
        self.denied: set[tuple[str, str]] = set()

    def authorize(self, principal: Principal, action: str, resource_arn: str, **context: Any) -> None:
        if any(action == denied and resource_arn.startswith(prefix) for denied, prefix in self.denied):
            raise access_denied(f"{principal.arn} may not {action} on {resource_arn}", code="AccessDenied", status=403)
        super().authorize(principal, action, resource_arn, **context)


@dataclass
class Running:
    """A platform with its reconcile loop and a front door that routes nothing."""

    platform: Platform
    guard: Guard
    loop: ReconcileLoop
    front: FakeFront | None

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """One API call by an administrator."""
        settings = self.platform.settings
        principal = self.guard.open_principal()
        call = Call(
            self.platform, "sagemaker", operation, principal, settings.account, settings.region, new_request_id()
        )
        return self.platform.calls.dispatch(call, request)

    def model(self, name: str, data: bytes | None = b"weights", **environment: str) -> None:
        """CreateModel, on data that is put to S3 first."""
        uri = None if data is None else self.put(f"models/{name}/model.tar.gz", data)
        self.call("CreateModel", **model_request(name, uri, environment))

    def config(self, name: str, *variants: dict[str, Any], **more: Any) -> None:
        self.call("CreateEndpointConfig", **config_request(name, *variants, **more))

    def create(self, name: str, *variants: dict[str, Any], **environment: str) -> None:
        """Model, configuration and endpoint of one name."""
        self.model(name, **environment)
        self.config(name, *(variants or ({"ModelName": name},)))
        self.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)

    def deploy(self, name: str, *variants: dict[str, Any], **environment: str) -> dict[str, Any]:
        """As :meth:`create`, waited for."""
        self.create(name, *variants, **environment)
        return self.settled(name)

    def describe(self, name: str) -> dict[str, Any]:
        return self.call("DescribeEndpoint", EndpointName=name)

    def settled(self, name: str) -> dict[str, Any]:
        """Wait until the endpoint stands."""
        eventually(lambda: self.describe(name)["EndpointStatus"] in {"InService", "Failed"}, lambda: self.tell(name))
        return self.describe(name)

    def deleted(self, name: str) -> None:
        """DeleteEndpoint, waited for."""
        self.call("DeleteEndpoint", EndpointName=name)
        eventually(lambda: self.gone(name), lambda: self.tell(name))

    def gone(self, name: str) -> bool:
        try:
            self.describe(name)
        except CallerError as error:
            return "Could not find endpoint" in error.message
        return False

    def tell(self, name: str) -> Any:
        return self.describe(name), self.log(name)

    def log(self, name: str, variant: str = "AllTraffic") -> list[str]:
        """Everything in the logs of a variant's replicas, by age of replica."""
        logs = self.platform.telemetry.logs

        def look(conn: Any) -> list[str]:
            group = logs.find_group(conn, f"/aws/sagemaker/Endpoints/{name}")
            if group is None:
                return []
            streams = logs.list_streams(conn, group, prefix=f"{variant}/", limit=None)
            return [text for stream in streams for text in logs.tail(conn, group.name, stream.name, 100_000)]

        return self.platform.store.read(look)

    def shims(self) -> list[Path]:
        """The directories of replicas that run now."""
        launcher = self.platform.compute.launcher
        directories = self.platform.settings.data_dir.glob("endpoints/*/*")
        return sorted(d for d in directories if launcher.observe(d).phase in RUNNING)

    def put(self, key: str, data: bytes) -> str:
        self.platform.objects.put(BUCKET, key, data)
        return f"s3://{BUCKET}/{key}"

    def keys(self, prefix: str = "") -> list[str]:
        return [info.key for info in self.platform.objects.iterate(BUCKET, prefix)]

    def close(self) -> None:
        if self.loop.running:
            self.loop.stop()
        end_all_replicas(self.platform)
        self.platform.compute.close()
        self.platform.objects.close()
        self.platform.objects._index.close()
        self.platform.store.close()
        if self.front is not None:
            self.front.close()


def start(
    data_dir: Path,
    *,
    environments: ThisInterpreter | None = None,
    front: bool = True,
    reconciles: bool = True,
    **settings: Any,
) -> Running:
    """A platform on a data directory, new or not."""
    data_dir.mkdir(exist_ok=True, parents=True)
    command.RUNTIME = "tests.inference.stand_in_server"
    config = Settings(data_dir=data_dir, **({"capacity_cpus": 8.0, "capacity_memory_gib": 32.0} | settings))
    clock = SystemClock()
    store = open_at(STATE, data_dir / "state.db", clock)
    index = open_at(OBJECTS, data_dir / "objects.db", clock)
    objects = ObjectStore(data_dir / "objects", index, clock)
    objects.create_bucket(BUCKET, account=config.account, region=config.region)
    compute = Compute(config)
    compute.environments = environments or ThisInterpreter()  # type: ignore[assignment]
    guard = Guard(store=store, clock=clock, settings=config, key_file=data_dir / "platform.key")
    ensure_seed(store, config, clock)
    platform = Platform(
        settings=config,
        clock=clock,
        store=store,
        objects=objects,
        identity=guard,
        telemetry=Telemetry(store, clock),
        compute=compute,
        calls=Calls(Registry([CAPABILITY])),
        wakeups=Wakeups(),
    )
    loop = ReconcileLoop(platform, [EndpointReconciler()], 4)
    if reconciles:
        loop.start()
    return Running(platform, guard, loop, FakeFront(data_dir) if front else None)


def replicas(running: Running) -> list[Replica]:
    """The replicas of the only endpoint, those that are being removed included."""
    (directory,) = running.platform.settings.data_dir.glob("endpoints/*")
    return list(running.platform.store.read(lambda conn: tables.replicas_of(conn, directory.name)))


def end_all_replicas(platform: Platform) -> None:
    """No process of a test outlives it."""
    launcher = platform.compute.launcher
    directories = [p for p in (platform.settings.data_dir / "endpoints").glob("*/*") if p.is_dir()]
    for directory in directories:
        if launcher.observe(directory).phase in RUNNING:
            launcher.kill(directory)
    for directory in directories:
        eventually(lambda d=directory: launcher.observe(d).phase not in RUNNING)  # type: ignore[misc]


def eventually(question: Callable[[], Any], tell: Callable[[], Any] = lambda: "", seconds: float = 60.0) -> None:
    """Ask until the answer is true."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"not within {seconds} s: {tell()}"
        time.sleep(0.02)
