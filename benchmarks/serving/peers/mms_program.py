"""The handler of multi-model-server."""

import json
import os

import joblib
import numpy

_state = {}


def handle(data, context):
    """Called with None once, to load, and then with a list of one request."""
    if "model" not in _state:
        _state["model"] = joblib.load(os.environ["MODEL"])
    if data is None:
        return None
    body = data[0]["body"]
    row = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
    return [json.dumps({"prediction": int(_state["model"].predict(numpy.asarray([row]))[0])})]
