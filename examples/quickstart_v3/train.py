"""Train XGBoost on real data with version 3 of the SageMaker SDK, deploy it, and compare with xgboost called directly.

    sagebrush exec -- python examples/quickstart_v3/train.py

Nothing here knows Sagebrush: the environment that `sagebrush exec` sets points the SDK at it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import xgboost
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.serve import ModelBuilder
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

PARAMETERS = {"objective": "binary:logistic", "eval_metric": "auc", "max_depth": 3, "eta": 0.1, "seed": 7}
ROUNDS = 50


def main() -> None:
    session = Session()
    features, label = load_breast_cancer(return_X_y=True)
    table = np.column_stack([label, features])
    train, held_out = train_test_split(table, test_size=0.2, random_state=7, stratify=label)
    file = Path(tempfile.mkdtemp()) / "train.csv"
    np.savetxt(file, train, delimiter=",", fmt="%.17g")  # the label comes first, no header

    image = image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
    trainer = ModelTrainer(
        training_image=image,
        role=get_execution_role(),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={**PARAMETERS, "num_round": ROUNDS},
        base_job_name="quickstart-v3",
    )
    uri = session.upload_data(str(file), key_prefix="quickstart-v3")
    trainer.train(input_data_config=[InputData(channel_name="train", data_source=uri, content_type="text/csv")])
    job = trainer._latest_training_job
    print(f"trained    {job.training_job_name}: {job.training_job_status}, {job.training_time_in_seconds} s")

    name = f"quickstart-v3-{int(time.time())}"
    builder = ModelBuilder(
        image_uri=image, s3_model_data_url=job.model_artifacts.s3_model_artifacts, role_arn=get_execution_role()
    )
    builder.build(model_name=name)
    endpoint = builder.deploy(endpoint_name=name, instance_type="ml.m5.large", initial_instance_count=1)
    body = "\n".join(",".join(map(repr, row)) for row in held_out[:, 1:].tolist())
    answer = endpoint.invoke(body=body, content_type="text/csv", accept="text/csv").body.read().decode()
    served = np.array([float(value) for value in answer.replace("\n", ",").strip(",").split(",")])

    booster = xgboost.train(PARAMETERS, xgboost.DMatrix(train[:, 1:], train[:, 0]), ROUNDS)
    direct = booster.predict(xgboost.DMatrix(held_out[:, 1:]))
    print(f"deployed   {name}: {len(served)} rows predicted, {np.mean((served > 0.5) == held_out[:, 0]):.1%} right")
    print(f"difference to xgboost called directly: {np.abs(served - direct).max():.2e}")

    Endpoint.get(name).delete()
    EndpointConfig.get(name).delete()
    Model.get(name).delete()


main()
