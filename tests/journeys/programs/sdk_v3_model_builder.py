"""ModelBuilder with an object of the client's: pickled, deployed, asked, updated, deleted; run by the journeys."""

from __future__ import annotations

import io
import json
import sys
import tempfile

import numpy as np
from sagemaker.core import image_uris
from sagemaker.core.helper.session_helper import get_execution_role
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.serve import ModelBuilder
from sagemaker.serve.builder.schema_builder import SchemaBuilder
from sagemaker.serve.spec.inference_spec import InferenceSpec
from sagemaker.serve.utils.types import ModelServer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

NAME, CONSTRAINTS = sys.argv[1:]
NPY = "application/x-npy"


class Species(InferenceSpec):
    """Names instead of numbers: code of the client's own, around a model of its own."""

    def __init__(self, model: LogisticRegression, names: np.ndarray):
        self._model, self._names = model, names

    def get_model(self) -> None:
        return None

    def load(self, model_dir: str) -> LogisticRegression:
        return self._model

    def invoke(self, input_object: np.ndarray, model: LogisticRegression) -> np.ndarray:
        return self._names[model.predict(input_object)]


def main() -> dict:
    iris = load_iris()
    model = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)
    expected = iris.target_names[model.predict(iris.data)]
    builder = ModelBuilder(
        inference_spec=Species(model, iris.target_names),
        schema_builder=SchemaBuilder(sample_input=iris.data[:2], sample_output=expected[:2]),
        model_server=ModelServer.TORCHSERVE,
        image_uri=image_uris.retrieve("sklearn", "us-east-1", version="1.4-2"),
        instance_type="ml.m5.large",
        role_arn=get_execution_role(),
        model_path=tempfile.mkdtemp(),
        # Of the client's own versions, as it would capture them itself. The constraints spare pip a search.
        dependencies={"auto": False, "custom": [f"-c {CONSTRAINTS}", "sagemaker==3.27.0"]},
    )
    builder.build(model_name=NAME)
    endpoint = builder.deploy(endpoint_name=NAME, initial_instance_count=1, instance_type="ml.m5.large")
    body = io.BytesIO()
    np.save(body, iris.data)
    answer = endpoint.invoke(body=body.getvalue(), content_type=NPY, accept=NPY).body.read()
    told = np.load(io.BytesIO(answer), allow_pickle=False)
    result = {"status": Endpoint.get(NAME).endpoint_status, "rows": len(told), "same": bool((told == expected).all())}
    for noun in (Endpoint, EndpointConfig, Model):
        noun.get(NAME).delete()
    return result


print("RESULT", json.dumps(main()))
