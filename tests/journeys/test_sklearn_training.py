"""scikit-learn in script mode: the unmodified SDK's SKLearn estimator, on real data."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.running import ROLE, RunningPlatform, finished
from tests.journeys.serving import SKLEARN_IMAGE, archive_of

pytestmark = pytest.mark.journey

SCRIPT = """
import argparse, os
import joblib, pandas, sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

parser = argparse.ArgumentParser()
parser.add_argument("-C", type=float, default=1.0)  # one letter, one dash, as in SageMaker
parser.add_argument("--label", default="")
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
arguments = parser.parse_args()

table = pandas.read_csv(os.path.join(arguments.train, "cancer.csv"))
features, label = table.drop(columns=arguments.label), table[arguments.label]
model = make_pipeline(StandardScaler(), LogisticRegression(C=arguments.C, random_state=7)).fit(features, label)
print(f"scikit-learn={sklearn.__version__}; train-auc={roc_auc_score(label, model.predict_proba(features)[:, 1]):.6f};")
joblib.dump(model, os.path.join(arguments.model_dir, "model.joblib"))
"""

#: Run in the client's own environment, below ``sagebrush exec``; prints what the test compares.
CLIENT = """
import json, os, sys, tarfile, tempfile
import joblib, numpy, sagemaker, sklearn
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Downloader
from sagemaker.sklearn import SKLearn
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder, name = sys.argv[1:]
session = sagemaker.Session()
table = load_breast_cancer(as_frame=True).frame
table.to_csv(os.path.join(folder, "cancer.csv"), index=False)
channel = session.upload_data(os.path.join(folder, "cancer.csv"), key_prefix=name)
estimator = SKLearn(
    entry_point="train.py",
    source_dir=os.path.join(folder, "code"),
    framework_version="1.2-1",
    role=sagemaker.get_execution_role(),
    instance_type="ml.m5.large",
    hyperparameters={"C": 0.5, "label": "target"},
    metric_definitions=[{"Name": "train:auc", "Regex": "train-auc=(.*?);"}],
)
estimator.fit({"train": TrainingInput(channel, content_type="text/csv")}, job_name=name)
S3Downloader.download(estimator.model_data, folder)
with tarfile.open(os.path.join(folder, "model.tar.gz")) as archive:
    members = archive.getnames()
    archive.extractall(folder, filter="data")
trained = joblib.load(os.path.join(folder, "model.joblib"))
features, label = table.drop(columns="target"), table["target"]
direct = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, random_state=7)).fit(features, label)
print(json.dumps({
    "members": members,
    "same": bool(numpy.allclose(trained.predict_proba(features), direct.predict_proba(features), rtol=0, atol=1e-9)),
    "auc": roc_auc_score(label, direct.predict_proba(features)[:, 1]),
    "metrics": estimator.latest_training_job.describe()["FinalMetricDataList"],
}, default=str))
"""


def test_the_sdks_estimator_fits_a_script_with_a_channel_and_hyperparameters(
    platform: RunningPlatform, job_name: str, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    result = platform.run_client("python", "-c", CLIENT, str(tmp_path), job_name, timeout=600)
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["members"] == ["model.joblib"]
    assert summary["same"]
    (metric,) = summary["metrics"]
    assert metric["MetricName"] == "train:auc"
    assert metric["Value"] == pytest.approx(summary["auc"], abs=1e-5)
    # fit() followed the job's log, which tells what the image's version became here.
    assert "this platform runs scikit-learn" in result.stdout
    assert "train-auc=" in result.stdout


def job_of(name: str, hyperparameters: dict[str, str]) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": SKLEARN_IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": hyperparameters,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "OutputDataConfig": {"S3OutputPath": "s3://sagemaker-journeys/output"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def test_the_image_without_a_script_fails_and_says_what_is_missing(sagemaker: Any, job_name: str) -> None:
    sagemaker.create_training_job(**job_of(job_name, {"C": "0.5"}))
    job = finished(sagemaker, job_name, seconds=400)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Nothing to run")
    assert "no built-in algorithm" in job["FailureReason"]
    assert "sagemaker_program" in job["FailureReason"]


def test_a_script_that_asks_for_a_package_that_is_not_there_fails_with_its_line(
    sagemaker: Any, s3: Any, job_name: str
) -> None:
    """xgboost is none of this environment's: the same script on the xgboost image would run."""
    program = textwrap.dedent("""
        import sklearn
        import xgboost
    """)
    s3.put_object(
        Bucket="sagemaker-journeys", Key=f"{job_name}/sourcedir.tar.gz", Body=archive_of({"train.py": program})
    )
    hyperparameters = {
        "sagemaker_program": json.dumps("train.py"),
        "sagemaker_submit_directory": json.dumps(f"s3://sagemaker-journeys/{job_name}/sourcedir.tar.gz"),
    }
    sagemaker.create_training_job(**job_of(job_name, hyperparameters))
    job = finished(sagemaker, job_name, seconds=400)
    assert job["TrainingJobStatus"] == "Failed"
    assert "No module named 'xgboost'" in job["FailureReason"]
