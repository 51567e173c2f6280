"""Handlers and scripts as published for SageMaker's images, which import the modules of those images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.replicas import Start, starting


@pytest.fixture
def start(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> Iterator[Start]:
    with starting(algorithm_environment, tmp_path, "sklearn") as begin:
        yield begin


MODEL = "def model_fn(model_dir): return 3\n"


def test_encoders_and_responses_of_sagemaker_containers(start: Start) -> None:
    code = """
from sagemaker_containers.beta.framework import content_types, encoders, env, modules, transformer, worker
import numpy as np
def input_fn(body, content_type):
    assert content_type == content_types.CSV
    return encoders.decode(body, content_type)
def predict_fn(data, model):
    return {"mean": np.float32(data.mean()), "rows": [data, {"deep": data.astype(int)}]}
def output_fn(prediction, accept):
    if accept == "text/csv":
        return worker.Response(encoders.encode(prediction["rows"][0], accept), accept, mimetype=accept)
    if accept == "application/x-npy":
        return worker.Response(encoders.encode(prediction["rows"][0], accept), mimetype=accept, status=201)
    if accept == "image/png":
        return transformer.default_output_fn(prediction, accept)
    return worker.Response(encoders.encode(prediction, accept), mimetype=accept, headers={"X-Mine": "1"})
"""
    replica = start({"code/inference.py": MODEL + code})
    status, body = replica.ask("1,2\n3,4", "text/csv", "application/json")
    assert status == 200
    assert json.loads(body) == {"mean": 2.5, "rows": [[[1.0, 2.0], [3.0, 4.0]], {"deep": [[1, 2], [3, 4]]}]}
    assert replica.ask("1,2\n3,4", "text/csv", "text/csv") == (200, b"1.0,2.0\n3.0,4.0\n")
    status, body = replica.ask("1,2\n3,4", "text/csv", "application/x-npy")
    assert (status, body[:6]) == (201, b"\x93NUMPY")
    assert replica.ask("1,2\n3,4", "text/csv", "image/png")[0] == 406


def test_the_inference_toolkit(start: Start) -> None:
    code = """
from sagemaker_inference import content_types, decoder, default_inference_handler, encoder, environment, errors, utils
from sagemaker_inference.errors import BaseInferenceToolkitError, GenericInferenceToolkitError
class Handler(default_inference_handler.DefaultInferenceHandler):
    def default_predict_fn(self, data, model, context=None):
        return data * model
handler = Handler()
input_fn, predict_fn = handler.default_input_fn, handler.default_predict_fn
def output_fn(prediction, accept):
    if prediction[0] < 0:
        raise GenericInferenceToolkitError(422, "negative")
    if prediction[0] > 100:
        raise BaseInferenceToolkitError(429, "too much", "Too Much")
    return handler.default_output_fn(prediction, accept)
"""
    replica = start({"code/inference.py": MODEL + code})
    assert replica.ask("[1, 2]", "application/json") == (200, b"[3, 6]")
    assert replica.ask("1,2", "text/csv", "text/csv")[1].split() == [b"3", b"6"]
    assert replica.ask("[-1]", "application/json")[0] == 422
    assert b"negative" in replica.ask("[-1]", "application/json")[1]
    assert replica.ask("[50]", "application/json")[0] == 429
    status, told = replica.ask("1", "image/png")
    assert (status, told[:38]) == (415, b"Content type image/png is not supporte")


def test_what_the_xgboost_image_brings(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> None:
    code = """
import sagemaker_xgboost_container.encoder as xgb_encoders
from sagemaker_xgboost_container.constants import xgb_content_types
from sagemaker_xgboost_container.data_utils import get_dmatrix
def input_fn(body, content_type):
    if content_type == "text/libsvm":
        assert isinstance(body, bytes)
        return xgb_encoders.libsvm_to_dmatrix(body)
    if content_type == "text/csv; by=name":
        return xgb_encoders.csv_to_dmatrix(body)
    return xgb_encoders.decode(body, content_type)
def predict_fn(data, model):
    return [type(data).__name__, data.num_row(), data.num_col()]
"""
    with starting(algorithm_environment, tmp_path, "xgboost") as start:
        replica = start({"code/inference.py": MODEL + code})
        assert replica.ask("1,2\n3,4", "text/csv") == (200, b'["DMatrix", 2, 2]')
        assert replica.ask("1,2\n3,4", "text/csv; by=name") == (200, b'["DMatrix", 2, 2]')
        assert replica.ask("0:1 4:1", "text/libsvm") == (200, b'["DMatrix", 1, 5]')
        assert replica.ask("inf,1", "text/csv")[0] == 400
        assert replica.ask("[1]", "application/json")[0] == 415


def test_a_package_of_the_models_own_goes_before_a_stand_in(start: Start) -> None:
    files = {
        "code/inference.py": "import sagemaker_inference\n"
        + MODEL
        + "def predict_fn(d, m): return sagemaker_inference.MINE\n",
        "code/sagemaker_inference/__init__.py": "MINE = 'own'\n",
    }
    assert start(files).ask("[]") == (200, b'"own"')


def test_without_code_no_stand_in_can_be_imported(algorithm_environment: AlgorithmEnvironment) -> None:
    program = """
import importlib.util, json
from sagebrush.runtime import aws_modules
names = ["sagemaker_containers", "sagemaker_inference", "sagemaker_training", "sagemaker_xgboost_container"]
before = [importlib.util.find_spec(name) is not None for name in names]
aws_modules.make_importable()
print(json.dumps([before, [importlib.util.find_spec(name) is not None for name in names]]))
"""
    assert algorithm_environment.compute(program) == [[False] * 4, [True] * 4]


def test_arrays_at_any_depth_need_no_encoder(start: Start) -> None:
    code = """
import numpy as np
def predict_fn(data, model):
    return {"label": np.str_("a"), "n": np.int64(2), "more": [np.float32(0.5), (np.bool_(True), {"x": np.eye(2)})]}
"""
    status, body = start({"code/inference.py": MODEL + code}).ask("[]")
    assert (status, json.loads(body)) == (200, {"label": "a", "n": 2, "more": [0.5, [True, {"x": [[1, 0], [0, 1]]}]]})
