"""A platform in one process for these tests: real stores, objects, shims and reconcile loop, no network.

One seam is a double: the environment is the interpreter that runs the tests (building one takes minutes and is tested
with compute).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sagebrush
from sagebrush.substrate.calls import Call, Calls, Registry
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.compute import Compute, Environment, EnvironmentSpec
from sagebrush.substrate.errors import access_denied
from sagebrush.substrate.identity import Identity, Principal, ensure_seed
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import ReconcileLoop, Wakeups
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import OBJECTS, STATE
from sagebrush.substrate.telemetry import Telemetry
from sagebrush.training import CAPABILITY
from sagebrush.training.reconcilers.training_job import TrainingJobReconciler
from tests.databases import open_at
from tests.training.requests import BUCKET

ENDED = {"Completed", "Failed", "Stopped"}


class ThisInterpreter:
    """Environments that are there already: every known image is the interpreter of the tests."""

    def resolve(self, image_uri: str) -> EnvironmentSpec | None:
        if "xgboost" not in image_uri:
            return None
        return EnvironmentSpec("tests", "1.7-1", "3.2.0", "xgboost", ("The image asks for 1.7-1; this runs 3.2.0",))

    def ensure(self, spec: EnvironmentSpec, progress: Callable[[str], None]) -> Environment:
        prefix, source = Path(sys.prefix), Path(sagebrush.__file__).parents[1]
        return Environment(
            name=spec.name,
            python=Path(sys.executable),
            prefix=prefix,
            algorithm=spec.algorithm,
            # The sources too: a checkout below /tmp would be out of a job's sight.
            read_only_paths=(prefix, Path(sys.base_prefix), source),
            python_path=(source,),
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
    """A platform with its reconcile loop; ``restart`` is what a new control plane on the same directory is."""

    platform: Platform
    guard: Guard
    loop: ReconcileLoop

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """One API call by an administrator."""
        settings = self.platform.settings
        principal = self.guard.open_principal()
        call = Call(self.platform, "sagemaker", operation, principal, settings.account, settings.region, "request")
        return self.platform.calls.dispatch(call, request)

    def describe(self, name: str) -> dict[str, Any]:
        return self.call("DescribeTrainingJob", TrainingJobName=name)

    def finished(self, name: str) -> dict[str, Any]:
        """Wait for the end of a job."""
        eventually(lambda: self.describe(name)["TrainingJobStatus"] in ENDED, lambda: self.describe(name))
        return self.describe(name)

    def until(self, name: str, secondary: str) -> None:
        """Wait until a job is in a phase."""
        eventually(lambda: self.describe(name)["SecondaryStatus"] == secondary, lambda: self.describe(name))

    def log(self, name: str, host: int = 1) -> list[str]:
        """Everything in the log of a host."""
        logs = self.platform.telemetry.logs

        def look(conn: Any) -> list[str]:
            group = logs.find_group(conn, "/aws/sagemaker/TrainingJobs")
            if group is None:
                return []
            streams = logs.list_streams(conn, group, prefix=f"{name}/algo-{host}-", limit=None)
            return [text for stream in streams for text in logs.tail(conn, group.name, stream.name, 100_000)]

        return self.platform.store.read(look)

    def printed(self, name: str, host: int = 1) -> list[str]:
        """What the job itself printed."""
        return [line for line in self.log(name, host) if not line.startswith("[sagebrush]")]

    def get(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        _, stream = self.platform.objects.open(bucket, key)
        with stream:
            return stream.read()

    def put(self, key: str, data: bytes) -> str:
        self.platform.objects.put(BUCKET, key, data)
        return f"s3://{BUCKET}/{key}"

    def keys(self, prefix: str = "") -> list[str]:
        return [info.key for info in self.platform.objects.iterate(BUCKET, prefix)]

    def close(self) -> None:
        if self.loop.running:
            self.loop.stop()
        end_all_jobs(self.platform)
        self.platform.compute.close()
        self.platform.objects.close()
        self.platform.objects._index.close()
        self.platform.store.close()


def start(data_dir: Path, *, environments: ThisInterpreter | None = None, **settings: Any) -> Running:
    """A platform on a data directory, new or not."""
    data_dir.mkdir(exist_ok=True, parents=True)
    chosen = {"capacity_cpus": 8.0, "capacity_memory_gib": 32.0, "stop_grace_seconds": 5.0} | settings
    config = Settings(data_dir=data_dir, **chosen)
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
    loop = ReconcileLoop(platform, [TrainingJobReconciler()], 4)
    loop.start()
    return Running(platform, guard, loop)


def end_all_jobs(platform: Platform) -> None:
    """No process of a test outlives it."""
    launcher = platform.compute.launcher
    directories = [p for p in (platform.settings.data_dir / "jobs").glob("*/*/*") if p.is_dir()]
    for directory in directories:
        if launcher.observe(directory).phase in ("starting", "running"):
            launcher.kill(directory)
    for directory in directories:
        eventually(lambda d=directory: launcher.observe(d).phase not in ("starting", "running"))  # type: ignore[misc]


def eventually(question: Callable[[], Any], tell: Callable[[], Any] = lambda: "", seconds: float = 60.0) -> None:
    """Ask until the answer is true."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"not within {seconds} s: {tell()}"
        time.sleep(0.02)
