"""The handlers that the toolkit has for every framework."""

from __future__ import annotations

from typing import Any

from sagebrush.runtime.toolkits import Response

from . import _encoders


def default_input_fn(input_data: Any, content_type: str) -> Any:
    """The array that was sent."""
    return _encoders.decode(input_data, content_type)


def default_output_fn(prediction: Any, accept: str) -> Response:
    """The prediction in the type that was asked for."""
    return Response(_encoders.encode(prediction, accept), mimetype=accept)
