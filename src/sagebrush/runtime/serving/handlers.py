"""The functions between a request and its answer: the user's own, else those of the framework."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import GeneratorType, ModuleType
from typing import Any, NamedTuple

from sagebrush.runtime import aws_modules
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs
from sagebrush.runtime.serving.context import Context
from sagebrush.runtime.serving.http import Request
from sagebrush.runtime.serving.streaming import Nonsense, Parts

_Handler = Callable[..., Any]
_GROUP = ("input_fn", "predict_fn", "output_fn")
#: What each handler is called with; one more argument means that it wants the context.
_ARGUMENTS = {
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "input_fn": ("body", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "body", "content_type", "accept"),
}
#: Framework -> the module with its ``defaults(with_code)`` and ``preload(with_code)``.
_FRAMEWORKS = {name: f"sagebrush.algorithms.{name}.serving" for name in ("xgboost", "sklearn", "pytorch")}
#: No media type is longer, and clients give up on headers that are.
_LONGEST_CONTENT_TYPE = 1024
#: What handlers of users get as text, as in the toolkit; a type with parameters stays bytes, there too.
_TEXTS = frozenset({"application/json", "text/csv"})


class Answer(NamedTuple):
    """What goes back: all of it, or parts that are still to be made."""

    body: bytes | Parts
    content_type: str
    status: int = 200
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Defaults:
    """What a framework's image does where the user's code does not say.

    ``model_fn`` raises UserError when nothing there fits. ``accept`` is the type of answers for clients that name none,
    ``content_type`` that of requests which do not say what they are.
    """

    input_fn: Callable[[bytes, str], Any]
    output_fn: Callable[[Any, str], Any]
    model_fn: Callable[[str], Any] | None = None
    predict_fn: Callable[[Any, Any], Any] | None = None
    accept: str = codecs.JSON
    content_type: str = codecs.JSON


def defaults_of(framework: str, *, with_code: bool) -> Defaults:
    """The defaults of a framework, or of none (''). ``with_code``: the user's code defines some handlers."""
    if not framework:
        return Defaults(codecs.decode, codecs.encode)
    defaults: Defaults = _of_framework(framework).defaults(with_code=with_code)
    return defaults


def preload(framework: str, *, with_code: bool) -> None:
    """Import what the framework's handlers will need, so that workers forked from here share it."""
    if framework:
        _of_framework(framework).preload(with_code=with_code)


def _of_framework(framework: str) -> ModuleType:
    if framework not in _FRAMEWORKS:
        raise UserError(f"There are no handlers for '{framework}'; there are for {', '.join(sorted(_FRAMEWORKS))}.")
    return importlib.import_module(_FRAMEWORKS[framework])


def load_module(path: str) -> ModuleType:
    """The user's module, which may import what it would find in SageMaker's images. Raises whatever it raises."""
    code = str(Path(path).parent)
    sys.path.insert(0, code)
    aws_modules.make_importable()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH", "")]))
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        error.add_note(f"What {Path(path).name} imports can be installed by a requirements.txt beside it.")
        raise
    return module


class Handlers:
    """One model and everything that is done with it."""

    def __init__(self, module: ModuleType | None, defaults: Defaults, model_dir: str, accept: str):
        """Load the model. Raises UserError for handlers that do not fit, else what they raise."""
        self._context = Context(model_dir)
        if hasattr(module, "transform_fn") and any(hasattr(module, name) for name in _GROUP):
            raise UserError(
                "transform_fn cannot stand beside input_fn, predict_fn or output_fn: it replaces all three of them."
            )
        own = {name: self._own(module, name) for name in _ARGUMENTS}
        where = module.__file__ if module else None
        load = own["model_fn"] or defaults.model_fn or _missing("model_fn", where)
        self._accept = accept or defaults.accept
        self._content_type = defaults.content_type
        self._transform = own["transform_fn"]
        self._wants_text = bool(own["transform_fn"] or own["input_fn"])
        self._input = own["input_fn"] or defaults.input_fn
        self._output = own["output_fn"] or defaults.output_fn
        self._output_is_default = own["output_fn"] is None
        self._predict = own["predict_fn"] or defaults.predict_fn
        if not self._transform and not self._predict:
            _missing("predict_fn (or transform_fn)", where)
        if own["pre_model_fn"]:
            own["pre_model_fn"](model_dir)
        self.model = load(model_dir)
        if own["model_warmup_fn"]:
            own["model_warmup_fn"](model_dir, self.model)

    def answer(self, request: Request) -> Answer:
        """Run the handlers. Raises whatever they raise, Refused and Nonsense."""
        headers = request.headers
        content_type = headers.get(b"content-type", b"").decode("latin-1") or self._content_type
        accept = headers.get(b"accept", b"").decode("latin-1")
        if not accept or accept == "*/*":
            accept = self._accept
        context = self._context
        context.begin(headers)
        data: Any = request.body
        if self._wants_text and content_type in _TEXTS:
            data = codecs.text_of(data, content_type)
        if self._transform:
            result = self._transform(self.model, data, content_type, accept)
        else:
            assert self._predict is not None
            result = self._predict(self._input(data, content_type), self.model)
            # Without an output_fn of the user's own what predict_fn yields goes out as it is.
            if not (self._output_is_default and isinstance(result, GeneratorType)):
                result = self._output(result, accept)
        body, content_type = self._sendable(result, accept)
        return Answer(body, content_type, context.status, context.headers)

    def _own(self, module: ModuleType | None, name: str) -> _Handler | None:
        """The user's function, called with the context if it takes one argument more than it has to."""
        function = getattr(module, name, None)
        if function is None:
            return None
        if not callable(function):
            raise UserError(f"{name} is not a function but {codecs.named(function)}.")
        if _takes_context(function, name):
            context = self._context
            return lambda *arguments: function(*arguments, context)
        own: _Handler = function
        return own

    def _sendable(self, result: Any, accept: str) -> tuple[bytes | Parts, str]:
        told: str | None = None
        if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], str):
            result, told = result
        parts = self._begun(result) if isinstance(result, Iterator) else None
        content_type = self._context.content_type or accept if told is None else told
        body: bytes | Parts
        if isinstance(result, bytes):
            body = result
        elif isinstance(result, str):
            body = result.encode()
        elif isinstance(result, bytearray | memoryview):
            body = bytes(result)
        elif parts is not None:
            body = parts
        elif hasattr(result, "get_data") and hasattr(result, "status_code"):
            body, content_type = self._unwrapped(result)
        else:
            body, content_type = self._encoded(result, content_type)
        if not content_type.isprintable() or len(content_type) > _LONGEST_CONTENT_TYPE:
            raise Nonsense(f"{self._source} returned {content_type[:100]!r} as content type.")
        return body, content_type

    def _begun(self, result: Iterator[Any]) -> bytes | Parts:
        """An answer that is made part by part, with its first part: till then it can set status, type and headers."""
        passed_on = self._output_is_default and not self._transform
        parts = Parts(result, "predict_fn" if passed_on else self._source)
        return parts if parts.begin() else b""

    def _unwrapped(self, response: Any) -> tuple[bytes, str]:
        """A ``worker.Response``, ours or one of Flask's: its status and headers go with the answer."""
        context = self._context
        if response.status_code != 200:
            context.status = response.status_code
        context.headers.update(response.headers)
        return response.get_data(), response.content_type or codecs.JSON

    def _encoded(self, result: Any, content_type: str) -> tuple[bytes, str]:
        """What the server of SageMaker's toolkit does with an object: it makes JSON of it."""
        kind = codecs.JSON if codecs.media_type(content_type) not in (codecs.CSV, codecs.NPY) else content_type
        if result is None:
            raise Nonsense(f"{self._source} returned None, which cannot be sent as {kind}.")
        try:
            return codecs.encode(result, kind)
        except (TypeError, ValueError, RecursionError) as error:
            raise Nonsense(
                f"{self._source} returned {codecs.named(result)}, which cannot be sent as {kind}: {error}"
            ) from None

    @property
    def _source(self) -> str:
        return "transform_fn" if self._transform else "output_fn"


def _missing(name: str, where: str | None) -> _Handler:
    told = f"{name} is missing in {where}." if where else f"{name} is missing, and there is no user code to define it."
    raise UserError(f"{told} It is needed because this image has no default for it.")


def _takes_context(function: _Handler, name: str) -> bool:
    """Whether it takes one positional argument more than it must. Raises UserError for other numbers."""
    wanted = _ARGUMENTS[name]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    count = len(positional)
    required = sum(parameter.default is parameter.empty for parameter in positional)
    if count < len(wanted) or required > len(wanted) + 1:
        raise UserError(
            f"{name} takes {count} argument{'' if count == 1 else 's'}, but it is called as "
            f"{name}({', '.join(wanted)}), or with context as a last argument."
        )
    return count > len(wanted)
