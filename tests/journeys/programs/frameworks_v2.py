"""A script of each framework trained and deployed with version 2 of the SDK; run by the journeys.

Arguments: a prefix for names, a folder with ``<framework>/train.py``, ``<framework>/inference.py`` and ``data.csv``.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorch
from sagemaker.serializers import JSONSerializer
from sagemaker.sklearn import SKLearn
from sagemaker.xgboost import XGBoost

PREFIX, WORK = sys.argv[1], Path(sys.argv[2])
ROWS = np.loadtxt(WORK / "data.csv", delimiter=",")[:5, 1:].tolist()
ESTIMATORS = {
    "sklearn": (SKLearn, {"framework_version": "1.2-1"}),
    "xgboost": (XGBoost, {"framework_version": "1.7-1"}),
    "pytorch": (PyTorch, {"framework_version": "2.1.0", "py_version": "py310"}),
}


def journey(framework: str) -> dict:
    session = sagemaker.Session()
    make, version = ESTIMATORS[framework]
    estimator = make(
        entry_point="train.py",
        source_dir=str(WORK / framework),
        role=sagemaker.get_execution_role(session),
        instance_type="ml.m5.large",
        instance_count=1,
        hyperparameters={"rounds": 20},
        metric_definitions=[{"Name": "rmse", "Regex": "rmse=([0-9.]+);"}],
        sagemaker_session=session,
        **version,
    )
    name = f"{PREFIX}-{framework}"
    uri = session.upload_data(str(WORK / "data.csv"), key_prefix=name)
    estimator.fit({"train": uri}, job_name=name, logs=False)
    model = estimator.create_model(entry_point="inference.py", source_dir=str(WORK / framework))
    predictor = model.deploy(
        initial_instance_count=1,
        instance_type="ml.m5.large",
        endpoint_name=name,
        serializer=JSONSerializer(),
        deserializer=JSONDeserializer(),
    )
    told = predictor.predict(ROWS)
    predictor.delete_model()
    predictor.delete_endpoint()
    metrics = estimator.latest_training_job.describe()["FinalMetricDataList"]
    return {**told, "metrics": {metric["MetricName"]: metric["Value"] for metric in metrics}}


with ThreadPoolExecutor() as pool:
    print("RESULT", json.dumps(dict(zip(ESTIMATORS, pool.map(journey, ESTIMATORS), strict=True))))
