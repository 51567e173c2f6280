"""``sagemaker_containers.beta.framework``: what the documentation's handlers import, used or not."""

from __future__ import annotations

from ... import __getattr__, training_env
from ... import _content_types as content_types
from ... import _encoders as encoders
from ... import _errors as errors
from ... import _transformer as transformer
from ... import _worker as worker

__all__ = ["__getattr__", "content_types", "encoders", "errors", "training_env", "transformer", "worker"]
