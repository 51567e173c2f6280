"""PyTorch with the unmodified SDK (v2): torch_distributed, and the trained model deployed twice; run by the journeys.

Arguments: a prefix for names, a folder for the model and what the endpoints answered. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.predictor import Predictor
from sagemaker.pytorch import PyTorch, PyTorchModel
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import CSVSerializer, JSONSerializer
from sklearn.datasets import load_digits

PREFIX, WORK = sys.argv[1], Path(sys.argv[2])
EXAMPLE = Path(__file__).parents[3] / "examples" / "source_document"
IMAGES, DIGITS = load_digits(return_X_y=True)
ROWS = (IMAGES[:6] / 16).astype("float32")

HANDLERS = """
import json, os
import torch

def model_fn(model_dir, context):
    return torch.jit.load(os.path.join(model_dir, "model.pt"))

def predict_fn(data, model):
    with torch.no_grad():
        return model(data).argmax(dim=1)

def output_fn(prediction, accept):
    return json.dumps({"digits": prediction.tolist()}), "application/json"
"""


def fit(session: sagemaker.Session) -> PyTorch:
    """The source document's train.py by torchrun, on two hosts; the SDK itself wants a type with a GPU for that."""
    np.savetxt(WORK / "digits.csv", np.column_stack([DIGITS, IMAGES]), delimiter=",", fmt="%d")
    estimator = PyTorch(
        entry_point="train.py",
        source_dir=str(EXAMPLE),
        role=sagemaker.get_execution_role(session),
        instance_type="ml.g5.xlarge",
        instance_count=2,
        framework_version="2.1.0",
        py_version="py310",
        hyperparameters={"epochs": 3, "batch-size": 32},
        distribution={"torch_distributed": {"enabled": True}},
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
        base_job_name=PREFIX,
        sagemaker_session=session,
    )
    estimator.fit({"training": session.upload_data(str(WORK / "digits.csv"), key_prefix=PREFIX)}, logs=False)
    S3Downloader.download(estimator.model_data, str(WORK), sagemaker_session=session)
    with tarfile.open(WORK / "model.tar.gz") as archive:
        archive.extractall(WORK, filter="data")
    return estimator


def without_handlers(estimator: PyTorch) -> dict:
    """estimator.deploy: train.py defines no handler, the model is TorchScript; npy is what the SDK sends by itself."""
    predictor = estimator.deploy(1, "ml.m5.large", endpoint_name=f"{PREFIX}-estimator")
    answers = {"npy": np.asarray(predictor.predict(ROWS)).tolist()}
    for name, serializer, deserializer in (
        ("json", JSONSerializer(), JSONDeserializer()),
        ("csv", CSVSerializer(), CSVDeserializer()),
    ):
        predictor.serializer, predictor.deserializer = serializer, deserializer
        answers[name] = np.asarray(predictor.predict(ROWS.tolist()), dtype=float).tolist()
    predictor.delete_model()
    predictor.delete_endpoint()
    return answers


def with_handlers(estimator: PyTorch) -> list[int]:
    """PyTorchModel.deploy: handlers that the artefact never saw before."""
    (WORK / "inference.py").write_text(HANDLERS)
    model = PyTorchModel(
        model_data=estimator.model_data,
        role=estimator.role,
        entry_point=str(WORK / "inference.py"),
        framework_version="2.1.0",
        py_version="py310",
        predictor_cls=Predictor,
        sagemaker_session=estimator.sagemaker_session,
    )
    predictor = model.deploy(
        1,
        "ml.m5.large",
        endpoint_name=f"{PREFIX}-model",
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    digits = predictor.predict(ROWS.tolist())["digits"]
    predictor.delete_model()
    predictor.delete_endpoint()
    return digits


def main() -> None:
    estimator = fit(sagemaker.Session())
    described = estimator.latest_training_job.describe()
    with ThreadPoolExecutor(2) as pool:
        # deploy() sleeps thirty seconds wherever it is.
        plain, handled = pool.submit(without_handlers, estimator), pool.submit(with_handlers, estimator)
        result = {
            "rows": ROWS.tolist(),
            "plain": plain.result(),
            "handled": handled.result(),
            "job": described["TrainingJobName"],
            "hyperparameters": described["HyperParameters"],
            "metrics": {metric["MetricName"]: metric["Value"] for metric in described["FinalMetricDataList"]},
        }
    print("RESULT " + json.dumps(result), flush=True)
    os._exit(0)


main()
