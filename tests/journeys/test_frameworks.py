"""A script of each framework, trained and deployed by each client: both generations of the SDK, and the AWS CLI."""

from __future__ import annotations

import json
import random
import tarfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import RunningPlatform

pytestmark = pytest.mark.journey
PROGRAMS = Path(__file__).with_name("programs")
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
BUCKET = "sagemaker-us-east-1-123456789012"
#: Fits ``predict``, saves it, and leaves beside it what it says of the first rows.
TRAIN = """
import argparse, json, os
import numpy as np
parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, required=True)
rounds = parser.parse_args().rounds
table = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "data.csv"), delimiter=",")
label, rows = table[:, 0], table[:, 1:]
model_dir = os.environ["SM_MODEL_DIR"]
{fit}
print("rmse=%.9f;" % np.sqrt(np.mean((predict(rows) - label) ** 2)))
with open(os.path.join(model_dir, "expected.json"), "w") as file:
    json.dump([float(value) for value in predict(rows[:5])], file)
"""
SERVE = """
import json, os
import numpy as np
def model_fn(model_dir):
    with open(os.path.join(model_dir, "expected.json")) as file:
        expected = json.load(file)
{load}
    return predict, expected
def input_fn(body, content_type):
    return np.array(json.loads(body))
def predict_fn(rows, model):
    predict, expected = model
    return {{"predicted": [float(value) for value in predict(rows)], "expected": expected}}
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""
FIT = {
    "sklearn": """
import joblib
from sklearn.linear_model import LinearRegression
predict = LinearRegression().fit(rows, label).predict
joblib.dump(predict.__self__, os.path.join(model_dir, "model.joblib"))
""",
    "xgboost": """
import xgboost
booster = xgboost.train({"max_depth": 4, "seed": 7}, xgboost.DMatrix(rows, label), rounds)
booster.save_model(os.path.join(model_dir, "model.json"))
predict = lambda rows: booster.predict(xgboost.DMatrix(rows))
""",
    "pytorch": """
import torch
wide = lambda rows: torch.tensor(np.column_stack([rows, np.ones(len(rows))]))
weights = torch.linalg.lstsq(wide(rows), torch.tensor(label)[:, None]).solution
torch.save(weights, os.path.join(model_dir, "weights.pt"))
predict = lambda rows: (wide(rows) @ weights)[:, 0].numpy()
""",
}
LOAD = {
    "sklearn": """
    import joblib
    predict = joblib.load(os.path.join(model_dir, "model.joblib")).predict
""",
    "xgboost": """
    import xgboost
    booster = xgboost.Booster(model_file=os.path.join(model_dir, "model.json"))
    predict = lambda rows: booster.predict(xgboost.DMatrix(rows))
""",
    "pytorch": """
    import torch
    weights = torch.load(os.path.join(model_dir, "weights.pt"))
    predict = lambda rows: (torch.tensor(np.column_stack([rows, np.ones(len(rows))])) @ weights)[:, 0].numpy()
""",
}
ECR = {
    "sklearn": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
    "xgboost": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
    "pytorch": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-{}:2.1.0-cpu-py310",
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Code for each framework, and 400 rows of a plane with little noise (seed 7): label first."""
    for framework in FIT:
        (tmp_path / framework).mkdir()
        (tmp_path / framework / "train.py").write_text(TRAIN.replace("{fit}", FIT[framework]))
        (tmp_path / framework / "inference.py").write_text(SERVE.format(load=LOAD[framework]))
    draw = random.Random(7)
    rows = [[draw.uniform(-1, 1) for _ in range(3)] for _ in range(400)]
    labels = [3 * a - 2 * b + 0.5 * c + 1 + draw.gauss(0, 0.01) for a, b, c in rows]
    table = [",".join(map(repr, [label, *row])) for label, row in zip(labels, rows, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(table))
    return tmp_path


@pytest.mark.parametrize("sdk", ["v2", "v3"])
def test_a_script_of_each_framework_is_trained_and_deployed(platform: RunningPlatform, work: Path, sdk: str) -> None:
    program = str(PROGRAMS / f"frameworks_{sdk}.py")
    prefix = f"{sdk}-{uuid.uuid4().hex[:8]}"
    said = platform.run_client("python", program, prefix, str(work), sdk=sdk, timeout=580).stdout
    check(json.loads(said.partition("RESULT ")[2].splitlines()[0]))


def test_a_script_of_each_framework_is_trained_and_deployed_by_the_cli(platform: RunningPlatform, work: Path) -> None:
    prefix = f"cli-{uuid.uuid4().hex[:8]}"

    def aws(*arguments: str) -> Any:
        said = platform.run_client("aws", *arguments, timeout=300).stdout
        return json.loads(said) if said.lstrip().startswith("{") else said

    aws("s3", "mb", f"s3://{BUCKET}") if BUCKET not in aws("s3", "ls") else None
    check({framework: by_cli(aws, f"{prefix}-{framework}", framework, work) for framework in FIT})


def by_cli(aws: Callable[..., Any], name: str, framework: str, work: Path) -> dict[str, Any]:
    place = f"s3://{BUCKET}/{name}"
    with tarfile.open(work / f"{framework}.tar.gz", "w:gz") as tar:
        for file in ("train.py", "inference.py"):
            tar.add(work / framework / file, file)
    aws("s3", "cp", str(work / f"{framework}.tar.gz"), f"{place}/sourcedir.tar.gz")
    aws("s3", "cp", str(work / "data.csv"), f"{place}/data/data.csv")
    code = {"sagemaker_submit_directory": f"{place}/sourcedir.tar.gz"}
    job = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": ECR[framework].format("training"),
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "rmse", "Regex": "rmse=([0-9.]+);"}],
        },
        "HyperParameters": {**code, "sagemaker_program": "train.py", "rounds": "20"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{place}/data/"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"{place}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    aws("sagemaker", "create-training-job", "--cli-input-json", json.dumps(job))
    described: dict[str, Any] = {"TrainingJobStatus": "InProgress"}
    while described["TrainingJobStatus"] == "InProgress":
        time.sleep(1)
        described = aws("sagemaker", "describe-training-job", "--training-job-name", name)
    assert described["TrainingJobStatus"] == "Completed", described
    container = {
        "Image": ECR[framework].format("inference"),
        "ModelDataUrl": described["ModelArtifacts"]["S3ModelArtifacts"],
        "Environment": {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": code["sagemaker_submit_directory"],
        },
    }
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    model = ("--model-name", name, "--execution-role-arn", ROLE, "--primary-container", json.dumps(container))
    aws("sagemaker", "create-model", *model)
    config = ("--endpoint-config-name", name, "--production-variants", json.dumps([variant]))
    aws("sagemaker", "create-endpoint-config", *config)
    aws("sagemaker", "create-endpoint", "--endpoint-name", name, "--endpoint-config-name", name)
    aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", name)
    lines = (work / "data.csv").read_text().splitlines()[:5]
    rows = [[float(value) for value in line.split(",")[1:]] for line in lines]
    (work / "rows.json").write_text(json.dumps(rows))
    asked = ("--endpoint-name", name, "--content-type", "application/json", "--body", f"fileb://{work}/rows.json")
    aws("sagemaker-runtime", "invoke-endpoint", *asked, str(work / "answer.json"))
    for noun in ("endpoint", "endpoint-config", "model"):
        aws("sagemaker", f"delete-{noun}", f"--{noun}-name", name)
    metrics = {metric["MetricName"]: metric["Value"] for metric in described["FinalMetricDataList"]}
    return {**json.loads((work / "answer.json").read_text()), "metrics": metrics}


def check(told: dict[str, Any]) -> None:
    """The endpoint says what the job's own model said, and that is about right."""
    assert sorted(told) == ["pytorch", "sklearn", "xgboost"]
    for framework, found in told.items():
        assert len(found["predicted"]) == 5
        assert found["predicted"] == pytest.approx(found["expected"], abs=1e-6), framework
        # Trees draw a plane in steps; the others find the plane, and leave the noise.
        limits = (0.02, 0.5) if framework == "xgboost" else (0.009, 0.011)
        assert limits[0] < found["metrics"]["rmse"] < limits[1], (framework, found["metrics"])
