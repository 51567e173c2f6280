"""The handlers of the scikit-learn image, for those that begin with them."""

from __future__ import annotations

from typing import Any

from sagebrush.algorithms.sklearn import serving
from sagebrush.runtime.serving import codecs
from sagebrush.runtime.toolkits import Response


def default_input_fn(input_data: str | bytes, content_type: str) -> Any:
    """The rows that were sent."""
    return serving.script_input_fn(input_data.encode() if isinstance(input_data, str) else input_data, content_type)


def default_predict_fn(input_data: Any, model: Any) -> Any:
    """What the model predicts for them."""
    return model.predict(input_data)


def default_output_fn(prediction: Any, accept: str) -> Response:
    """The prediction in the type that was asked for."""
    body, kind = codecs.encode(prediction, accept)
    return Response(body, mimetype=kind)
