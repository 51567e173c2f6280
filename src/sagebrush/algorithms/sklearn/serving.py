"""Default handlers of the scikit-learn image: what SageMaker's does for scripts, and estimators without any script.

SageMaker's image has no default for loading a model; here an estimator in a joblib or pickle file needs no code.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sagebrush.runtime.lean_imports import without
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs
from sagebrush.runtime.serving.handlers import Defaults

_NAMES = ("model.joblib", "model.pkl")
_SUFFIXES = (".joblib", ".pkl")
#: What most estimators need, and what imports most of what others need.
_IMPORTS = ("joblib", "sklearn.pipeline", "sklearn.linear_model")


def defaults(*, with_code: bool) -> Defaults:
    """With a script, its input comes in 32 bits, as the image's own default makes it; else in as many as it has."""
    return Defaults(script_input_fn if with_code else input_fn, codecs.encode, model_fn, predict_fn)


def preload(*, with_code: bool) -> None:
    """Import scikit-learn. It needs pandas for data frames only, which no default handler makes."""
    with without(*(() if with_code else ("pandas",))):
        for name in _IMPORTS:
            importlib.import_module(name)


def model_fn(directory: str) -> Any:
    """The estimator of model.joblib, model.pkl or the only such file. Raises UserError."""
    import joblib

    return joblib.load(_model_file(Path(directory)))


def _model_file(root: Path) -> Path:
    files = (path for path in root.iterdir() if path.is_file()) if root.is_dir() else ()
    # Archives made on a Mac hold a ._model.joblib for every model.joblib.
    names = sorted(path.name for path in files if not path.name.startswith("."))
    fitting = [name for name in _NAMES if name in names] or [name for name in names if name.endswith(_SUFFIXES)]
    if len(fitting) == 1 or (fitting and fitting[0] in _NAMES):
        return root / fitting[0]
    listed = ", ".join(names[:10]) or "no files"
    raise UserError(
        "model_fn is missing: define model_fn(model_dir) in the model's code (code/inference.py). Without it "
        f"model.joblib, model.pkl or the only *.joblib or *.pkl of the archive is loaded; it holds {listed}."
    )


def input_fn(body: bytes, content_type: str) -> Any:
    """Rows of JSON, CSV, npy or npz; a list of numbers is one row."""
    data = codecs.decode(body, content_type)
    if data.ndim == 0:
        raise codecs.Unreadable("The body is a single value where rows are wanted.")
    return data.reshape(1, -1) if data.ndim == 1 else data


def script_input_fn(body: bytes, content_type: str) -> Any:
    """The same; numbers in JSON and CSV in 32 bits. Raises Refused."""
    data = input_fn(body, content_type)
    if codecs.media_type(content_type) not in (codecs.JSON, codecs.CSV):
        return data
    try:
        return data.astype("float32")
    except ValueError as error:
        raise codecs.Unreadable(f"The body holds other than numbers: {codecs.one_line(error)}") from None


def predict_fn(data: Any, model: Any) -> Any:
    """One prediction for each row. What the model does not take is the client's fault."""
    if not hasattr(model, "predict"):
        raise TypeError(
            f"The model is {codecs.named(model)}, which has no predict(): define predict_fn(data, model) in the "
            "model's code."
        )
    try:
        return model.predict(data)
    except ValueError as error:
        raise codecs.Unreadable(f"Unable to evaluate payload provided: {codecs.one_line(error)}") from error
