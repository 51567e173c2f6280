"""The protocol engine against moto's parser and serialiser: requests per CPU second.

Ours: route, parse, validate in full (lengths, ranges, patterns, enumerations), serialise. moto 5.2.5, as its own
request path calls it: parse and serialise; the operation is given to it, and it validates nothing. Both on the same
botocore models, in processes of their own, in turns within one run. CPU time, not wall time: the engine does no I/O.

Run: ``python -m benchmarks.wire_engine [--rounds 7]``. The first run makes an environment for moto under ``build/``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore

MOTO = "moto==5.2.5"
ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / "build" / "moto-venv"
#: CPU seconds that one measurement of one side should take.
SECONDS = 1.0

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/churn-2026-01-02-03-04-05"
TRAINING_JOB = {
    "TrainingJobName": "churn-2026-01-02-03-04-05",
    "HyperParameters": {f"hyper_parameter_{number}": "0.0123456" for number in range(24)},
    "AlgorithmSpecification": {
        "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1.0-gpu-py310",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": f"metric:{n}", "Regex": "loss=([0-9\\.]+)"} for n in range(6)],
        "EnableSageMakerMetricsTimeSeries": True,
    },
    "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
    "InputDataConfig": [
        {
            "ChannelName": channel,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": f"s3://sagemaker-us-east-1-123456789012/churn/{channel}",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
            "ContentType": "text/csv",
            "CompressionType": "None",
            "RecordWrapperType": "None",
        }
        for channel in ("train", "validation", "test")
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://sagemaker-us-east-1-123456789012/churn/output"},
    "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
    "Tags": [{"Key": f"tag-{number}", "Value": f"value {number}"} for number in range(10)],
    "Environment": {f"VARIABLE_{number}": "value" for number in range(10)},
    "DebugHookConfig": {
        "S3OutputPath": "s3://sagemaker-us-east-1-123456789012/churn/debug",
        "CollectionConfigurations": [
            {"CollectionName": name, "CollectionParameters": {"save_interval": "500", "start_step": "0"}}
            for name in ("losses", "weights", "gradients")
        ],
    },
}
RECORD = {"Record": [{"FeatureName": f"feature_{n}", "ValueAsString": str(n * 1.5)} for n in range(20)]}

#: Name -> (service, operation, path, body, result)
CASES: dict[str, tuple[str, str, str, dict[str, Any], dict[str, Any]]] = {
    "CreateTrainingJob": ("sagemaker", "CreateTrainingJob", "/", TRAINING_JOB, {"TrainingJobArn": ARN}),
    "PutRecord": ("sagemaker-featurestore-runtime", "PutRecord", "/FeatureGroup/customers", RECORD, {}),
}
SCOPE = "AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"


def ours(name: str) -> Callable[[], object]:
    """One request through our engine."""
    from sagebrush.substrate.wire.engine import Engine
    from sagebrush.substrate.wire.http import HttpRequest

    service, operation, path, body, result = CASES[name]
    engine = Engine(["sagemaker", "sagemaker-featurestore-runtime", "sagemaker-runtime", "s3"])
    headers = {"authorization": SCOPE, "content-type": "application/json"}
    if service == "sagemaker":
        headers |= {"x-amz-target": f"SageMaker.{operation}", "content-type": "application/x-amz-json-1.1"}
    request = HttpRequest("POST" if path == "/" else "PUT", path, "", headers, json.dumps(body).encode())

    def once() -> object:
        routed = engine.route(request)
        routed.parse(request)
        return engine.serialize(routed.service, routed.operation, result, "request-id", routed)

    assert engine.route(request).operation == operation
    return once


def motos(name: str) -> Callable[[], object]:
    """One request through moto's parser and serialiser, as ``BaseResponse`` calls them."""
    from moto.core.parse import PROTOCOL_PARSERS
    from moto.core.serialize import get_serializer_class
    from moto.core.utils import get_service_model
    from werkzeug.datastructures import Headers, MultiDict

    service, operation, path, body, result = CASES[name]
    protocol = "json" if service == "sagemaker" else "rest-json"
    request = {
        "method": "POST" if path == "/" else "PUT",
        "values": MultiDict(),
        "headers": Headers({"Content-Type": "application/json"}),
        "body": json.dumps(body).encode(),
        "url_path": path,
        "url_params": {"FeatureGroupName": "customers"},
    }

    def once() -> object:
        model = get_service_model(service).operation_model(operation)
        PROTOCOL_PARSERS[protocol](model).parse(request)
        return get_serializer_class(service, protocol)(model).serialize(result)

    return once


def serve(side: str) -> None:
    """Measure on demand: a line ``case count`` on stdin is answered with the CPU seconds that it took."""
    makers = {name: (ours if side == "ours" else motos)(name) for name in CASES}
    for once in makers.values():
        once()
    for line in sys.stdin:
        name, count = line.split()
        once = makers[name]
        started = time.process_time()
        for _ in range(int(count)):
            once()
        print(time.process_time() - started, flush=True)


class Side:
    """One contestant in a process of its own."""

    def __init__(self, side: str, python: Path):
        command = [str(python), str(Path(__file__).resolve()), "--side", side]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._counts = {name: max(50, int(200 * SECONDS / self._seconds(name, 200))) for name in CASES}

    def rate(self, name: str) -> float:
        """Requests per CPU second."""
        return self._counts[name] / self._seconds(name, self._counts[name])

    def _seconds(self, name: str, count: int) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name} {count}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def moto_python() -> Path:
    """The interpreter of moto's environment, made when missing."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", MOTO, f"botocore=={botocore.__version__}"]
        subprocess.run(command, check=True)
    return python


def main() -> None:
    """Measure in turns; print medians, spread and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--side", choices=["ours", "moto"])
    arguments = parser.parse_args()
    if arguments.side:
        serve(arguments.side)
        return
    sides = {"ours": Side("ours", Path(sys.executable)), "moto": Side("moto", moto_python())}
    for name, (_, _, _, body, _) in CASES.items():
        rates: dict[str, list[float]] = {"ours": [], "moto": []}
        for _ in range(arguments.rounds):
            for side, runner in sides.items():
                rates[side].append(runner.rate(name))
        print(f"{name}, {len(json.dumps(body))} bytes, {arguments.rounds} rounds, requests per CPU second")
        for side, values in rates.items():
            label = {"ours": "ours, all validated", "moto": f"{MOTO}, none validated"}[side]
            print(f"  {label:28} median {statistics.median(values):8.0f}   from {min(values):.0f} to {max(values):.0f}")
        ratios = [own / other for own, other in zip(rates["ours"], rates["moto"], strict=True)]
        print(f"  {'ratio':28} median {statistics.median(ratios):8.2f}   from {min(ratios):.2f} to {max(ratios):.2f}")
    for runner in sides.values():
        runner.close()


if __name__ == "__main__":
    main()
