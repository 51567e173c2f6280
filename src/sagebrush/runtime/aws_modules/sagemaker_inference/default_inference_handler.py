"""The handlers that the toolkit has for every framework, as a class to derive from."""

from __future__ import annotations

from typing import Any

from sagebrush.runtime.serving import codecs

from . import decoder, encoder


class DefaultInferenceHandler:
    """Reads and writes arrays; what a model is, and how it predicts, is for others to say."""

    def default_model_fn(self, model_dir: str, context: Any = None) -> Any:
        """There is none."""
        raise NotImplementedError("Please provide a model_fn implementation.")

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        """The array that was sent."""
        return decoder.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: Any = None) -> Any:
        """There is none."""
        raise NotImplementedError("Please provide a predict_fn implementation.")

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> tuple[str | bytes, str]:
        """The prediction in the first type that is known, and that type."""
        known = [kind for kind in codecs.accepted(accept) if kind in encoder.SUPPORTED_CONTENT_TYPES]
        chosen = known[0] if known else accept
        return encoder.encode(prediction, chosen), chosen
