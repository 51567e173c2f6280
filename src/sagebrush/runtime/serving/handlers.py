"""The functions between a request and its answer: the user's own, else those of the framework."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs

_GROUP = ("input_fn", "predict_fn", "output_fn")


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    body: bytes
    content_type: str


class Nonsense(Exception):
    """A handler returned what cannot be sent."""


@dataclass
class Defaults:
    """What a framework's image does without user code. ``model_fn`` raises UserError when nothing there fits."""

    model_fn: Callable[[str], Any]
    input_fn: Callable[[bytes, str], Any]
    predict_fn: Callable[[Any, Any], Any]
    output_fn: Callable[[Any, str], Any]


def no_model(directory: str) -> Any:
    """Without a framework there is nothing to go by."""
    raise UserError("model_fn is missing: define model_fn(model_dir) in the model's code (code/inference.py).")


PLAIN = Defaults(
    no_model, codecs.decode, lambda data, model: model(data), lambda value, accept: codecs.encode(value, accept)
)


def defaults_of(framework: str) -> Defaults:
    """The defaults of ``xgboost``, ``sklearn`` or '' (none)."""
    if framework == "xgboost":
        from sagebrush.algorithms.xgboost import serving as xgboost

        return Defaults(xgboost.model_fn, xgboost.input_fn, xgboost.predict_fn, xgboost.output_fn)
    if framework == "sklearn":
        from sagebrush.algorithms.sklearn import serving as sklearn

        return Defaults(sklearn.model_fn, codecs.decode, sklearn.predict_fn, codecs.encode)
    return PLAIN


class Handlers:
    """One model and everything that is done with it."""

    def __init__(self, module: ModuleType | None, defaults: Defaults, model_dir: str, accept: str):
        own = {name: getattr(module, name, None) for name in ("model_fn", "transform_fn", *_GROUP)}
        if own["transform_fn"] and any(own[name] for name in _GROUP):
            raise UserError("Define either transform_fn or input_fn, predict_fn and output_fn, not both.")
        self._accept = accept
        self._transform = _with_context(own["transform_fn"], 4)
        self._input = _with_context(own["input_fn"], 2) or defaults.input_fn
        self._wants_text = bool(own["transform_fn"] or own["input_fn"])
        self._predict = _with_context(own["predict_fn"], 2) or defaults.predict_fn
        self._output = _with_context(own["output_fn"], 2) or defaults.output_fn
        self.model = (_with_context(own["model_fn"], 1) or defaults.model_fn)(model_dir)

    def answer(self, body: bytes, content_type: str, accept: str) -> Answer:
        """Run the handlers. Raises whatever they raise, and Nonsense."""
        if not accept or codecs.media_type(accept) == "*/*":
            accept = self._accept
        data: Any = body
        if self._wants_text and codecs.media_type(content_type) in _TEXTS:
            data = _text(body, content_type)
        if self._transform:
            return _sendable(self._transform(self.model, data, content_type, accept), accept, "transform_fn")
        prediction = self._predict(self._input(data, content_type), self.model)
        return _sendable(self._output(prediction, accept), accept, "output_fn")


#: What handlers of users get as text, as in the toolkit.
_TEXTS = frozenset({"application/json", "text/csv", "application/jsonlines", "text/plain"})


def _text(body: bytes, content_type: str) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise codecs.Unreadable(f"the body is no {content_type}: {error}") from None


def load_module(code: str, program: str) -> ModuleType | None:
    """The user's module; None when there is no code. Raises UserError when what was named is missing."""
    path = Path(code) / (program or "inference.py")
    if not path.is_file():
        if program:
            raise UserError(f"No file {program} was found in the code directory {code}.")
        return None
    sys.path.insert(0, code)
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _with_context(function: Callable[..., Any] | None, count: int) -> Callable[..., Any] | None:
    """The function, called with the toolkit's optional last argument ``context`` (None here) if it wants one."""
    if function is None:
        return None
    try:
        wanted = len(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return function
    if wanted == count + 1:
        return lambda *arguments: function(*arguments, None)
    return function


def _sendable(result: Any, accept: str, source: str) -> Answer:
    content_type = accept
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], str):
        result, content_type = result
    if isinstance(result, str):
        result = result.encode()
    if isinstance(result, bytearray | memoryview):
        result = bytes(result)
    if not isinstance(result, bytes):
        try:
            result = codecs.encode(result, content_type)
        except (TypeError, ValueError, codecs.UnsupportedAccept):
            raise Nonsense(
                f"{source} returned a {type(result).__name__}, which cannot be sent as {content_type}"
            ) from None
    return Answer(result, content_type)
