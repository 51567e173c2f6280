"""A script of each framework trained and deployed with version 3 of the SDK; run by the journeys.

Arguments: a prefix for names, a folder with ``<framework>/train.py``, ``<framework>/inference.py`` and ``data.csv``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, MetricDefinition, SourceCode

PREFIX, WORK = sys.argv[1], Path(sys.argv[2])
ROWS = np.loadtxt(WORK / "data.csv", delimiter=",")[:5, 1:].tolist()
VERSIONS = {
    "sklearn": {"version": "1.2-1"},
    "xgboost": {"version": "1.7-1"},
    "pytorch": {"version": "2.1.0", "py_version": "py310", "instance_type": "ml.m5.large"},
}


def image(framework: str, scope: str) -> str:
    return image_uris.retrieve(framework, "us-east-1", image_scope=scope, **VERSIONS[framework])


def journey(framework: str) -> dict:
    session, name = Session(), f"{PREFIX}-{framework}"
    trainer = ModelTrainer(
        training_image=image(framework, "training"),
        role=get_execution_role(),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        source_code=SourceCode(source_dir=str(WORK / framework), entry_script="train.py"),
        hyperparameters={"rounds": 20},
        base_job_name=name,
    ).with_metric_definitions([MetricDefinition(name="rmse", regex="rmse=([0-9.]+);")])
    uri = session.upload_data(str(WORK / "data.csv"), key_prefix=name)
    trainer.train(input_data_config=[InputData(channel_name="train", data_source=uri)], logs=False)
    job = trainer._latest_training_job
    builder = ModelBuilder(
        image_uri=image(framework, "inference"),
        s3_model_data_url=job.model_artifacts.s3_model_artifacts,
        source_code=SourceCode(source_dir=str(WORK / framework), entry_script="inference.py"),
        role_arn=get_execution_role(),
    )
    builder.build(model_name=name)
    endpoint = builder.deploy(endpoint_name=name, initial_instance_count=1, instance_type="ml.m5.large")
    json_type = "application/json"
    told = json.loads(endpoint.invoke(body=json.dumps(ROWS), content_type=json_type, accept=json_type).body.read())
    for noun in (Endpoint, EndpointConfig, Model):
        noun.get(name).delete()
    metrics = job.refresh().final_metric_data_list
    return {**told, "metrics": {metric.metric_name: metric.value for metric in metrics}}


print("RESULT", json.dumps({framework: journey(framework) for framework in VERSIONS}))
