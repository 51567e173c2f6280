"""Models and endpoints for the journeys: real artefacts, made by the frameworks themselves."""

from __future__ import annotations

import functools
import io
import json
import subprocess
import tarfile
import textwrap
from pathlib import Path
from typing import Any

from tests.journeys.running import CLIENTS_V2, ROLE, RunningPlatform, eventually

BUCKET = "sagemaker-journeys"
SKLEARN_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"

#: Handlers around a model that is a number in a file: no framework, so a test is about serving alone.
TIMES = """
import json, os
def model_fn(model_dir):
    return float(open(os.path.join(model_dir, "factor")).read())
def input_fn(body, content_type):
    return json.loads(body)
def predict_fn(data, model):
    return [model * x for x in data]
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""

_MAKE_MODELS = """
import json, sys, joblib, numpy, xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
X, y = load_breast_cancer(return_X_y=True)
booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3, "seed": 7}, xgboost.DMatrix(X, y), 20)
booster.save_model(sys.argv[1] + "/xgboost-model.ubj")
pipeline = make_pipeline(StandardScaler(), LogisticRegression(random_state=7)).fit(X, y)
joblib.dump(pipeline, sys.argv[1] + "/model.joblib")
rows = X[:5]
json.dump({"rows": rows.tolist(), "xgboost": booster.predict(xgboost.DMatrix(rows)).tolist(),
           "sklearn": pipeline.predict(rows).tolist()}, open(sys.argv[1] + "/truth.json", "w"))
"""


def archive_of(files: dict[str, str | bytes]) -> bytes:
    """A gzipped tar of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def handlers(code: str, **files: str | bytes) -> bytes:
    """An artefact whose ``code/inference.py`` is ``code``."""
    return archive_of({"code/inference.py": textwrap.dedent(code), **files})


def times(factor: float) -> bytes:
    """An artefact that multiplies by ``factor``."""
    return handlers(TIMES, factor=str(factor))


@functools.cache
def trained(directory: Path) -> dict[str, Any]:
    """Real models by scikit-learn and xgboost, and what they predict for five rows when called directly."""
    python = CLIENTS_V2 / "bin" / "python"
    subprocess.run([str(python), "-c", _MAKE_MODELS, str(directory)], check=True)
    truth: dict[str, Any] = json.loads((directory / "truth.json").read_text())
    truth["xgboost_archive"] = archive_of({"xgboost-model": (directory / "xgboost-model.ubj").read_bytes()})
    truth["sklearn_archive"] = archive_of({"model.joblib": (directory / "model.joblib").read_bytes()})
    return truth


class Endpoints:
    """Deploys artefacts with boto3, and forgets nothing that it made."""

    def __init__(self, platform: RunningPlatform):
        self.platform = platform
        self.sagemaker = platform.client("sagemaker")
        self.runtime = platform.client("sagemaker-runtime", retries={"max_attempts": 0})
        self.s3 = platform.client("s3")
        self._made: list[str] = []

    def model(self, name: str, artefact: bytes | None, *, image: str = SKLEARN_IMAGE, **environment: str) -> None:
        """CreateModel on an artefact put to S3."""
        container: dict[str, Any] = {"Image": image}
        if artefact is not None:
            key = f"models/{name}/model.tar.gz"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=artefact)
            container["ModelDataUrl"] = f"s3://{BUCKET}/{key}"
        if environment:
            container["Environment"] = environment
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)

    def config(self, name: str, *variants: dict[str, Any], **more: Any) -> None:
        """CreateEndpointConfig; each variant is {"ModelName": ...} and what differs from the defaults."""
        defaults = {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large", "InitialVariantWeight": 1.0}
        full = [{"VariantName": "AllTraffic"} | defaults | variant for variant in variants]
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=full, **more)

    def create(self, name: str, config: str | None = None) -> None:
        self._made.append(name)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config or name)

    def deploy(self, name: str, artefact: bytes, *, image: str = SKLEARN_IMAGE, **environment: str) -> dict[str, Any]:
        """Model, configuration and endpoint of one name; what DescribeEndpoint says once it stands."""
        self.model(name, artefact, image=image, **environment)
        self.config(name, {"ModelName": name})
        self.create(name)
        return self.settled(name)

    def settled(self, name: str, *, seconds: float = 120) -> dict[str, Any]:
        """Wait until the endpoint is neither being created nor updated."""

        def look() -> dict[str, Any] | None:
            described: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return described if described["EndpointStatus"] in {"InService", "Failed", "OutOfService"} else None

        described: dict[str, Any] = eventually(look, seconds=seconds, what=f"{name} to settle")
        return described

    def invoke(self, name: str, data: Any, **more: Any) -> Any:
        """InvokeEndpoint with JSON both ways."""
        answer = self.runtime.invoke_endpoint(
            EndpointName=name, Body=json.dumps(data), **{"ContentType": "application/json", **more}
        )
        return json.loads(answer["Body"].read())

    def gone(self, name: str) -> bool:
        """Whether the endpoint is not there any more."""
        listed = self.sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        return name not in [endpoint["EndpointName"] for endpoint in listed]

    def delete(self, name: str) -> None:
        """DeleteEndpoint, waited for."""
        self.sagemaker.delete_endpoint(EndpointName=name)
        eventually(lambda: self.gone(name), what=f"{name} to be gone")

    def clear(self) -> None:
        """Delete every endpoint made here that is left."""
        for name in self._made:
            if not self.gone(name):
                eventually(lambda name=name: self._try_delete(name), what=f"{name} to take its deletion")
        for name in self._made:
            eventually(lambda name=name: self.gone(name), what=f"{name} to be gone")

    def _try_delete(self, name: str) -> bool:
        try:
            self.sagemaker.delete_endpoint(EndpointName=name)
        except self.sagemaker.exceptions.ClientError as error:
            return "Could not find" in str(error)
        return True
