"""Deploying with the unmodified SDK (v2): scikit-learn and XGBoost, scripts and artefacts; run by the journeys.

The flows run side by side because ``deploy()`` sleeps thirty seconds wherever it is. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import sagemaker
import xgboost
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer, NumpyDeserializer
from sagemaker.model import Model
from sagemaker.serializers import CSVSerializer, JSONSerializer, NumpySerializer
from sagemaker.sklearn import SKLearn, SKLearnModel
from sagemaker.xgboost import XGBoostModel
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

WORK = Path(tempfile.mkdtemp())
PREFIX = sys.argv[1]
FEATURES, LABEL = load_breast_cancer(return_X_y=True)
ROWS = FEATURES[:4]

SCRIPT = """
import argparse, io, json, os
import joblib, numpy as np
from sklearn.linear_model import LogisticRegression

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))

def input_fn(body, content_type):
    if content_type == "application/json":
        return np.array(json.loads(body))
    if content_type == "text/csv":
        return np.genfromtxt(io.StringIO(body if isinstance(body, str) else body.decode()), delimiter=",", ndmin=2)
    if content_type == "application/x-npy":
        return np.load(io.BytesIO(body))
    raise ValueError("unsupported content type " + content_type)

def predict_fn(data, model):
    return model.predict_proba(data)[:, 1]

def output_fn(prediction, accept):
    if accept == "application/x-npy":
        buffer = io.BytesIO(); np.save(buffer, prediction); return buffer.getvalue(), accept
    if accept == "text/csv":
        return "\\n".join(map(repr, prediction.tolist())), accept
    return json.dumps(prediction.tolist()), "application/json"

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--strength", type=float)
    arguments = parser.parse_args()
    table = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
    model = LogisticRegression(C=arguments.strength, max_iter=5000, random_state=7).fit(table[:, 1:], table[:, 0])
    print("accuracy=%.4f;" % model.score(table[:, 1:], table[:, 0]))
    joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
"""

XGBOOST_HANDLERS = """
import json, os
import xgboost

def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model"))
    return booster

def input_fn(body, content_type):
    return xgboost.DMatrix(json.loads(body))

def predict_fn(data, model):
    return model.predict(data).tolist()

def output_fn(prediction, accept):
    return json.dumps({"scores": prediction}), "application/json"
"""


def file(name: str, text: str) -> Path:
    path = WORK / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def artefact(session: sagemaker.Session, name: str, member: str, path: Path) -> str:
    """The S3 URI of a model.tar.gz that holds one file."""
    archive = WORK / name / "model.tar.gz"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(path, arcname=member)
    return session.upload_data(str(archive), key_prefix=f"{PREFIX}/{name}")


def sklearn_script(session: sagemaker.Session) -> dict:
    """fit and deploy of a script with its own handlers; three serializers; update; delete."""
    source = file("sklearn_source/train.py", SCRIPT).parent
    table = WORK / "train.csv"
    np.savetxt(table, np.column_stack([LABEL, FEATURES]), delimiter=",", fmt="%.17g")
    channel = session.upload_data(str(table), key_prefix=f"{PREFIX}/train")
    estimator = SKLearn(
        entry_point="train.py",
        source_dir=str(source),
        framework_version="1.2-1",
        role=sagemaker.get_execution_role(session),
        instance_type="ml.m5.large",
        hyperparameters={"strength": 0.5},
        metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=([0-9.]+);"}],
        sagemaker_session=session,
    )
    estimator.fit({"train": channel}, logs=False)
    metrics = estimator.latest_training_job.describe()["FinalMetricDataList"]
    predictor = estimator.deploy(
        initial_instance_count=1, instance_type="ml.m5.large", endpoint_name=f"{PREFIX}-script"
    )
    direct = LogisticRegression(C=0.5, max_iter=5000, random_state=7).fit(FEATURES, LABEL).predict_proba(ROWS)[:, 1]
    answers = {}
    for name, serializer, deserializer in (
        ("json", JSONSerializer(), JSONDeserializer()),
        ("csv", CSVSerializer(), CSVDeserializer()),
        ("npy", NumpySerializer(), NumpyDeserializer()),
    ):
        predictor.serializer, predictor.deserializer = serializer, deserializer
        answer = predictor.predict(ROWS.tolist() if name == "json" else ROWS)
        answers[name] = np.asarray(answer, dtype=float).ravel()
    worst = max(float(np.abs(answer - direct).max()) for answer in answers.values())
    predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large")
    count = session.sagemaker_client.describe_endpoint(EndpointName=predictor.endpoint_name)["ProductionVariants"][0]
    predictor.delete_model()
    predictor.delete_endpoint()
    return {"metrics": [m["MetricName"] for m in metrics], "worst": worst, "instances": count["CurrentInstanceCount"]}


def sklearn_model(session: sagemaker.Session) -> dict:
    """SKLearnModel: an artefact and handlers that were never together before."""
    model = LogisticRegression(max_iter=5000, random_state=7).fit(FEATURES, LABEL)
    joblib.dump(model, WORK / "model.joblib")
    data = artefact(session, "sklearn", "model.joblib", WORK / "model.joblib")
    predictor = SKLearnModel(
        model_data=data,
        role=sagemaker.get_execution_role(session),
        entry_point=str(file("sklearn_model/inference.py", SCRIPT)),
        framework_version="1.2-1",
        sagemaker_session=session,
    ).deploy(initial_instance_count=1, instance_type="ml.m5.large", endpoint_name=f"{PREFIX}-sklearn")
    predictor.serializer, predictor.deserializer = JSONSerializer(), JSONDeserializer()
    worst = np.abs(np.array(predictor.predict(ROWS.tolist())) - model.predict_proba(ROWS)[:, 1]).max()
    predictor.delete_endpoint()
    return {"worst": float(worst)}


def booster_file() -> tuple[xgboost.Booster, Path]:
    booster = xgboost.train({"objective": "binary:logistic", "seed": 7}, xgboost.DMatrix(FEATURES, LABEL), 10)
    path = Path(tempfile.mkdtemp(dir=WORK)) / "xgboost-model.ubj"
    booster.save_model(path)
    return booster, path


def xgboost_model(session: sagemaker.Session) -> dict:
    """XGBoostModel with handlers of its own."""
    booster, path = booster_file()
    data = artefact(session, "xgboost-script", "xgboost-model", path)
    predictor = XGBoostModel(
        model_data=data,
        role=sagemaker.get_execution_role(session),
        entry_point=str(file("xgboost_model/inference.py", XGBOOST_HANDLERS)),
        framework_version="1.7-1",
        sagemaker_session=session,
    ).deploy(initial_instance_count=1, instance_type="ml.m5.large", endpoint_name=f"{PREFIX}-xgboost")
    predictor.serializer, predictor.deserializer = JSONSerializer(), JSONDeserializer()
    scores = predictor.predict(ROWS.tolist())["scores"]
    predictor.delete_endpoint()
    return {"worst": float(np.abs(np.array(scores) - booster.predict(xgboost.DMatrix(ROWS))).max())}


def plain_model(session: sagemaker.Session) -> dict:
    """Model.deploy of an artefact on the built-in algorithm's image: its default handlers."""
    booster, path = booster_file()
    model = Model(
        image_uri=sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        model_data=artefact(session, "xgboost-plain", "xgboost-model", path),
        role=sagemaker.get_execution_role(session),
        predictor_cls=sagemaker.predictor.Predictor,
        sagemaker_session=session,
    )
    predictor = model.deploy(
        initial_instance_count=1,
        instance_type="ml.m5.large",
        endpoint_name=f"{PREFIX}-plain",
        serializer=CSVSerializer(),
        deserializer=CSVDeserializer(),
    )
    answer = np.asarray(predictor.predict(ROWS), dtype=float).ravel()
    predictor.delete_endpoint()
    return {"worst": float(np.abs(answer - booster.predict(xgboost.DMatrix(ROWS))).max())}


def main() -> None:
    flows = (sklearn_script, sklearn_model, xgboost_model, plain_model)
    with ThreadPoolExecutor(len(flows)) as pool:
        running = {flow.__name__: pool.submit(flow, sagemaker.Session()) for flow in flows}
        result = {name: future.result() for name, future in running.items()}
    print("RESULT " + json.dumps(result), flush=True)
    os._exit(0)


main()
