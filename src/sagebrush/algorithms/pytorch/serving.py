"""Default handlers of the PyTorch image: TorchScript models need no code, and scripts define only what differs.

What they take and answer follows SageMaker's own (sagemaker-pytorch-inference-toolkit, DefaultPytorchInferenceHandler).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs
from sagebrush.runtime.serving.handlers import Defaults

_NAME = "model.pt"
_SUFFIXES = (".pt", ".pth")
_READ = (codecs.JSON, codecs.CSV, codecs.NPY)
#: What torch says when there is no memory left, in errors of no class of their own.
_NO_MEMORY = ("can't allocate memory", "not enough memory")


def defaults(*, with_code: bool) -> Defaults:
    """The same with a script and without: what it leaves out."""
    return Defaults(input_fn, output_fn, model_fn, predict_fn)


def preload(*, with_code: bool) -> None:
    """Import torch; it starts no threads before it computes."""
    importlib.import_module("torch")


def model_fn(directory: str) -> Any:
    """The TorchScript module of model.pt, or of the only *.pt or *.pth. Raises UserError."""
    import torch

    path = _model_file(Path(directory))
    try:
        return torch.jit.load(str(path), map_location=_device())
    except RuntimeError as error:
        raise UserError(
            f"{path.name} is not TorchScript, the only form of model that needs no code (save it with "
            "torch.jit.script or torch.jit.trace). For what torch.save writes, a state_dict for example, define "
            f"model_fn(model_dir) in the model's code (code/inference.py). torch says: {codecs.one_line(error)}"
        ) from None


def _model_file(root: Path) -> Path:
    files = (path for path in root.iterdir() if path.is_file()) if root.is_dir() else ()
    # Archives made on a Mac hold a ._model.pt for every model.pt.
    names = sorted(path.name for path in files if not path.name.startswith("."))
    fitting = [_NAME] if _NAME in names else [name for name in names if name.endswith(_SUFFIXES)]
    if len(fitting) == 1:
        return root / fitting[0]
    listed = ", ".join(names[:10]) or "no files"
    raise UserError(
        "model_fn is missing: define model_fn(model_dir) in the model's code (code/inference.py). Without it "
        f"model.pt or the only *.pt or *.pth of the archive is loaded; it holds {listed}."
    )


def _device() -> Any:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def input_fn(body: bytes, content_type: str) -> Any:
    """A tensor of the shape that was sent: JSON and CSV in 32 bits, npy as the array has it. Raises Refused."""
    import numpy as np
    import torch

    kind = codecs.media_type(content_type)
    if kind not in _READ:
        told = f"Content type {content_type or '(none)'} is not supported; it may be {', '.join(_READ)}."
        raise codecs.UnsupportedContentType(told)
    array = codecs.decode(body, content_type)
    try:
        # Of its own: what was read of the request may not be written to, which torch warns of.
        own = np.array(array, dtype=None if kind == codecs.NPY else np.float32)
        return torch.from_numpy(own).to(_device())
    except (TypeError, ValueError) as error:
        raise codecs.Unreadable(f"The body holds what is no tensor: {codecs.one_line(error)}") from None


def predict_fn(data: Any, model: Any) -> Any:
    """What the model makes of it, in evaluation mode and without gradients.

    What a TorchScript model does not take is the client's fault: Raises Unreadable. Other models raise what they raise.
    """
    import torch

    if not callable(model):
        raise TypeError(
            f"The model is {codecs.named(model)}, which cannot be called: define predict_fn(data, model) in the "
            "model's code."
        )
    if isinstance(model, torch.nn.Module):
        model.eval().to(_device())
    try:
        with torch.no_grad():
            return model(data)
    except (RuntimeError, IndexError) as error:
        if any(told in str(error) for told in _NO_MEMORY):
            raise MemoryError(codecs.one_line(error)) from error
        if not isinstance(model, torch.jit.ScriptModule):
            raise
        # TorchScript shows where in the model it was; what went wrong comes last.
        reason = str(error).strip().rpartition("\n")[2]
        raise codecs.Unreadable(f"Unable to evaluate payload provided: {codecs.one_line(reason)}") from error


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """Tensors, at any depth of lists and dictionaries, in the type that was asked for. Raises UnsupportedAccept."""
    return codecs.encode(_arrays(prediction), accept)


def _arrays(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # numpy has no such type.
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_arrays(item) for item in value]
    return value
