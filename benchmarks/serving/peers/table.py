"""Which peers there are and how each is started and asked."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.model import Model

_HERE = Path(__file__).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Start:
    """What to execute in the peer's folder, and the request to ask it for the row."""

    command: list[str]
    path: str = "/predict"
    body: Callable[[list[float]], Any] = list
    prediction: Callable[[Any], int] = lambda answer: int(answer["prediction"])
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peer:
    """``prepare`` writes what the server wants into its folder; ``requirements`` also names its environment."""

    name: str
    requirements: str
    prepare: Callable[[Path, Path, Model, int], Start]
    programs: dict[str, str] = field(default_factory=dict)


def fastapi(bin: Path, folder: Path, model: Model, port: int) -> Start:
    return Start([str(bin / "python"), str(_HERE / "fastapi_program.py")])


def litserve(bin: Path, folder: Path, model: Model, port: int) -> Start:
    return Start([str(bin / "python"), str(_HERE / "litserve_program.py")])


def bentoml(bin: Path, folder: Path, model: Model, port: int) -> Start:
    command = [str(bin / "bentoml"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--working-dir", str(_HERE), "bentoml_program:Predictor"]
    environ = {"BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"}
    return Start(command, body=lambda row: {"row": row}, environ=environ)


def mlserver(bin: Path, folder: Path, model: Model, port: int) -> Start:
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 1,
    }
    own = {
        "name": "lr",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model.path), "version": "v1"},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(own))
    return Start(
        [str(bin / "mlserver"), "start", str(folder)],
        path="/v2/models/lr/infer",
        body=lambda row: {"inputs": [{"name": "predict", "shape": [1, 20], "datatype": "FP64", "data": row}]},
        prediction=lambda answer: int(answer["outputs"][0]["data"][0]),
    )


def multi_model_server(bin: Path, folder: Path, model: Model, port: int) -> Start:
    manifest = {
        "runtime": "python",
        "model": {"modelName": "lr", "modelVersion": "1.0", "handler": "mms_program:handle"},
        "specificationVersion": "1.0",
        "implementationVersion": "1.0",
        "modelServerVersion": "1.0",
    }
    with zipfile.ZipFile(folder / "lr.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.write(_HERE / "mms_program.py", "mms_program.py")
    (folder / "log4j.properties").write_text(
        "log4j.rootLogger=WARN, console\nlog4j.appender.console=org.apache.log4j.ConsoleAppender\n"
        "log4j.appender.console.layout=org.apache.log4j.PatternLayout\n"
        "log4j.appender.console.layout.ConversionPattern=%d %p %c - %m%n\n"
        "log4j.logger.ACCESS_LOG=OFF\nlog4j.logger.MMS_METRICS=OFF\nlog4j.logger.MODEL_METRICS=OFF\n"
    )
    (folder / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{port}\nmanagement_address=http://127.0.0.1:{port + 1}\n"
        "default_workers_per_model=1\nasync_logging=true\njob_queue_size=1000\n"
    )
    command = [str(bin / "multi-model-server"), "--start", "--foreground", "--model-store", str(folder)]
    command += ["--models", "lr=lr.mar", "--mms-config", str(folder / "config.properties")]
    command += ["--log-config", str(folder / "log4j.properties")]
    return Start(command, path="/predictions/lr", environ={"PATH": f"{bin}:/usr/bin:/bin"})


def ray(bin: Path, folder: Path, model: Model, port: int) -> Start:
    environ = {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_FOLDER": str(folder),
        "PATH": f"{bin}:/usr/bin:/bin",
    }
    return Start([str(bin / "python"), str(_HERE / "ray_program.py")], environ=environ)


FASTAPI = "FastAPI+uvicorn"
PEERS = (
    Peer(FASTAPI, "fastapi", fastapi),
    Peer("BentoML", "bentoml", bentoml),
    Peer("MLServer", "mlserver", mlserver),
    Peer("LitServe", "litserve", litserve),
    Peer("multi-model-server", "multi-model-server", multi_model_server, {"java": "openjdk-17-jre-headless"}),
    Peer("Ray Serve (HAProxy)", "ray", ray),
)
