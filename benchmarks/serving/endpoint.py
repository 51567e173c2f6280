"""The Sagebrush side: a platform as users start it, one endpoint, and requests that are really signed."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.journeys.running import RunningPlatform, discard, start_platform
from tests.journeys.serving import BUCKET, Endpoints

from benchmarks.serving import load
from sagebrush.planes.front import connection

#: Distinct requests of one load: what a front door could remember of one request would not show otherwise.
DISTINCT = 256
#: One worker, one thread, as every peer has it.
ONE_WORKER = {
    "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def form() -> str:
    """Whether it is the compiled front door that is measured (``make compiled``) or the Python of the checkout."""
    return "Python" if Path(connection.__file__).suffix == ".py" else "compiled"


@dataclass
class Serving:
    """A platform that may have endpoints."""

    platform: RunningPlatform
    endpoints: Endpoints

    def __post_init__(self) -> None:
        environ = self.platform.environ()
        self._credentials = Credentials(
            environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"], environ["AWS_SESSION_TOKEN"]
        )

    def deploy(self, name: str, artefact: bytes, **environment: str) -> None:
        """An endpoint of one replica that is in service; RuntimeError with its reason when it is not."""
        described = self.endpoints.deploy(name, artefact, **environment)
        if described["EndpointStatus"] != "InService":
            raise RuntimeError(f"endpoint {name}: {described.get('FailureReason', described['EndpointStatus'])}")

    def signed(self, name: str, body: bytes, count: int = DISTINCT) -> list[bytes]:
        """Distinct InvokeEndpoint requests, valid for fifteen minutes."""
        return [self._sign(name, body) for _ in range(count)]

    def processes(self) -> list[int]:
        """Where the platform's processes begin; the replicas descend from ``control``."""
        return list(self.platform.processes().values())

    def snapshot(self) -> dict[str, Any]:
        """The routing snapshot that the front door follows."""
        found: dict[str, Any] = json.loads((self.platform.data_dir / "run" / "endpoints.json").read_text())
        return found

    def lanes(self, name: str) -> int:
        """Requests at once that the endpoint's workers take."""
        replicas = [r for v in self.snapshot()["endpoints"][name]["variants"] for r in v["replicas"]]
        return sum(len(replica["sockets"]) * replica["lanes"] for replica in replicas)

    def pretend(self, name: str) -> None:
        """Publish a snapshot with an endpoint of this name, which nobody made: for a front door by itself."""
        (self.platform.data_dir / "endpoints" / name / "spool").mkdir(parents=True)
        variant = {"name": "AllTraffic", "weight": 1.0, "timeout_seconds": 60.0, "replicas": []}
        entry = {
            "id": name,
            "arn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}",
            "status": "InService",
            "spool": f"endpoints/{name}/spool",
            "capture": None,
            "variants": [variant],
        }
        self._publish({"version": 1, "account": "123456789012", "region": "us-east-1", "endpoints": {name: entry}})

    def reroute(self, name: str, socket: str) -> None:
        """Have the front door send the endpoint's requests to another Unix socket, relative to the data directory."""
        snapshot = self.snapshot()
        snapshot["version"] += 1
        for variant in snapshot["endpoints"][name]["variants"]:
            variant["replicas"] = [{"id": "benchmark", "sockets": [socket], "lanes": 64}]
        self._publish(snapshot)

    def _publish(self, snapshot: dict[str, Any]) -> None:
        path = self.platform.data_dir / "run" / "endpoints.json"
        changed = path.with_name("endpoints.json.benchmark")
        changed.write_text(json.dumps(snapshot))
        changed.chmod(0o600)
        changed.rename(path)

    def _sign(self, name: str, body: bytes) -> bytes:
        path = f"/endpoints/{name}/invocations"
        headers = {"Content-Type": "application/json", "amz-sdk-invocation-id": str(uuid.uuid4())}
        request = AWSRequest("POST", self.platform.endpoint_url + path, data=body, headers=headers)
        SigV4Auth(self._credentials, "sagemaker", "us-east-1").add_auth(request)
        host = self.platform.endpoint_url.partition("//")[2]
        return load.http_request("POST", path, body, Host=host, **dict(request.headers.items()))


def post(port: int, raw: bytes) -> bytes:
    """Send one raw request over the ordinary client library; the answer's body. Raises HTTPError."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    request = Request(f"http://127.0.0.1:{port}{first.split()[1]}", data=body, headers=headers, method="POST")
    answer: bytes = urlopen(request, timeout=60).read()
    return answer


def until(question: Any, *, seconds: float = 30.0) -> Any:
    """Ask until the answer is true; the last exception when it never is."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Exception) if time.monotonic() < end else contextlib.nullcontext():
            if answer := question():
                return answer
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)


@contextlib.contextmanager
def serving_platform() -> Iterator[Serving]:
    """A platform of its own, gone at the end with everything in it."""
    platform = start_platform(SAGEBRUSH_CAPACITY_CPUS="32", SAGEBRUSH_CAPACITY_MEMORY_GIB="64")
    try:
        platform.client("s3").create_bucket(Bucket=BUCKET)
        endpoints = Endpoints(platform)
        yield Serving(platform, endpoints)
        endpoints.clear()
    finally:
        discard(platform)
