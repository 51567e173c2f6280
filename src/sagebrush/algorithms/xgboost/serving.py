"""Default handlers of the XGBoost image: of the built-in algorithm, and what its scripts need not define.

As aws/sagemaker-xgboost-container answers (``serve.py``, ``serve_utils.py``, ``serving.py``), but for two things.
LibSVM features are numbered from 0, as in training; the container guesses from each request whether they begin at 1, so
that a prediction would depend on the rows beside it. And what cannot be read is told with status 400, not 415.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagebrush.algorithms.xgboost import content
from sagebrush.algorithms.xgboost.lean_imports import lean_imports
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs
from sagebrush.runtime.serving.handlers import Defaults

MODEL = "xgboost-model"
_PICKLE = b"\x80"
#: Predictions that are classes: an ensemble votes, where it averages others.
_VOTING = ("multi:softmax", "binary:hinge")
#: Boosters that predict from a DMatrix only, or from anything else with other rounding.
_FROM_DMATRIX = ("gblinear", "dart")


def defaults(*, with_code: bool) -> Defaults:
    """A script's predict_fn gets a DMatrix and its predictions are plain JSON; the built-in algorithm has its form."""
    if with_code:
        return Defaults(script_input_fn, codecs.encode, script_model_fn, script_predict_fn)
    return Defaults(input_fn, output_fn, model_fn, predict_fn, accept=codecs.CSV)


def preload(*, with_code: bool) -> None:
    """Import xgboost; scikit-learn and pandas, which a script may want to give it, only with a script."""
    with contextlib.nullcontext() if with_code else lean_imports():
        for name in ("xgboost", "scipy.sparse"):
            importlib.import_module(name)


# -- the model --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Booster:
    """A booster and how it predicts: ``rounds`` is the range that early stopping has left, (0, 0) for all."""

    booster: Any
    rounds: tuple[int, int]
    features: int
    from_dmatrix: bool
    votes: bool

    @classmethod
    def of(cls, booster: Any) -> Booster:
        learner = json.loads(booster.save_config())["learner"]
        kind = learner["gradient_booster"]["name"]
        rounds = (0, 0)
        if booster.attr("best_iteration") is not None and kind != "gblinear":
            rounds = (0, min(int(booster.attr("best_iteration")) + 1, booster.num_boosted_rounds()))
        votes = learner["objective"]["name"] in _VOTING
        return cls(booster, rounds, booster.num_features(), kind in _FROM_DMATRIX, votes)

    def predict(self, data: Any) -> Any:
        """For a matrix of numpy's or scipy's."""
        if self.from_dmatrix:
            import xgboost

            return self.booster.predict(xgboost.DMatrix(data), iteration_range=self.rounds, validate_features=False)
        # Without the copy that a DMatrix is; the same predictions.
        return self.booster.inplace_predict(data, iteration_range=self.rounds, validate_features=False)


def model_fn(directory: str) -> list[Booster]:
    """``xgboost-model``, or else every file of the archive as one of an ensemble. Raises UserError."""
    root = Path(directory)
    files = sorted(p for p in root.iterdir() if p.is_file() and not p.name.startswith(".")) if root.is_dir() else []
    named = [path for path in files if path.name == MODEL]
    chosen = named or files
    if os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
        chosen = chosen[:1]
    if not chosen:
        raise UserError(
            f"model_fn is missing and there is no model: the archive has no file {MODEL}, nor any other. Put the model "
            f"there (Booster.save_model('{MODEL}')), or define model_fn(model_dir) in code/inference.py."
        )
    return [Booster.of(_load(path)) for path in chosen]


def script_model_fn(directory: str) -> Any:
    """The booster itself, as a script would have loaded it."""
    return model_fn(directory)[0].booster


def _load(path: Path) -> Any:
    import xgboost

    data = path.read_bytes()
    try:
        if data[:1] == _PICKLE:
            loaded = pickle.loads(data)
            booster = loaded.get_booster() if hasattr(loaded, "get_booster") else loaded
            if not isinstance(booster, xgboost.Booster):
                raise UserError(f"{path.name} is a pickled {type(loaded).__name__}, not a Booster.")
        else:
            booster = xgboost.Booster()
            booster.load_model(bytearray(data))
    except UserError:
        raise
    except Exception as error:
        reason = str(error).split("Stack trace")[0].strip()
        raise UserError(
            f"{path.name} cannot be loaded as a model by XGBoost {xgboost.__version__}: {reason}. A model that an old "
            "version saved in its binary format is converted by that version: Booster.save_model('model.json')."
        ) from error
    booster.set_param({"nthread": _threads()})
    return booster


def _threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else 1


# -- requests and answers ---------------------------------------------------------------------------------------------


def input_fn(body: bytes, content_type: str) -> Any:
    """The rows as a matrix of numpy's or scipy's: CSV, LibSVM or Parquet, without a label. Raises Refused."""
    kind, _, _ = content_type.partition(";")
    try:
        format_, _ = content.content_type("of the request", {"ContentType": content_type or None})
    except UserError:
        raise codecs.UnsupportedContentType(
            f"Content type {kind.strip()} is not supported; it may be {codecs.CSV}, text/libsvm or "
            "application/x-parquet."
        ) from None
    if not body.strip():
        raise codecs.Unreadable("The body is empty: at least one row is needed.")
    return _READERS[format_](body)


def script_input_fn(body: bytes, content_type: str) -> Any:
    """The rows as a DMatrix."""
    import xgboost

    return xgboost.DMatrix(input_fn(body, content_type))


def predict_fn(data: Any, model: list[Booster]) -> Any:
    """As xgboost predicts when it is called directly; an ensemble's mean, or its vote on a class."""
    import numpy as np
    import xgboost

    for booster in model:
        _check_width(data, booster.features)
    try:
        if len(model) == 1:
            return model[0].predict(_widened(data, model[0].features))
        all_ = np.stack([booster.predict(_widened(data, booster.features)) for booster in model])
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise codecs.Unreadable(
            f"Unable to evaluate payload provided: {str(error).split('Stack trace')[0].strip()}"
        ) from error
    return np.array([_vote(column) for column in all_.T]) if model[0].votes else all_.mean(axis=0)


def script_predict_fn(data: Any, model: Any) -> Any:
    """With all of the model, as the image does for scripts."""
    return model.predict(data, validate_features=False)


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """One prediction a line (CSV), ``{"predictions": [{"score": ...}]}`` (JSON) or its items a line each."""
    values = prediction.tolist()
    for kind in codecs.accepted(accept):
        if kind == codecs.CSV:
            return codecs.encode(values, codecs.CSV)
        if kind == codecs.JSON:
            return json.dumps({"predictions": [{"score": value} for value in values]}).encode(), kind
        if kind == codecs.JSON_LINES:
            return "".join(json.dumps({"score": value}) + "\n" for value in values).encode(), kind
    raise codecs.UnsupportedAccept(
        f"Accept {accept} is not supported; it may be {codecs.CSV}, {codecs.JSON} or {codecs.JSON_LINES}."
    )


def _vote(predictions: Any) -> Any:
    import numpy as np

    classes, counts = np.unique(predictions, return_counts=True)
    return classes[counts.argmax()]


def _check_width(data: Any, features: int) -> None:
    """LibSVM may have fewer columns than the model, since it leaves out zeros; nothing may have more."""
    width = data.shape[1]
    sparse = not hasattr(data, "__array_interface__")
    if width > features or (width < features and not sparse):
        raise codecs.Unreadable(
            f"Unable to evaluate payload provided: Feature size of the inference data {width} is not consistent with "
            f"feature size of trained model {features}."
        )


def _widened(data: Any, features: int) -> Any:
    if data.shape[1] < features:
        data.resize((data.shape[0], features))
    return data


def _csv(body: bytes) -> Any:
    import numpy as np

    text = codecs.text_of(body, codecs.CSV).strip("\r\n")
    line = text.partition("\n")[0]
    return codecs.csv_table(text, content.delimiter(line)).astype(np.float32)


def _libsvm(body: bytes) -> Any:
    """Features alone, or with a label before them, which is not looked at."""
    import numpy as np
    from scipy.sparse import csr_matrix

    values: list[float] = []
    columns: list[int] = []
    starts = [0]
    for number, line in enumerate(codecs.text_of(body, "text/libsvm").strip().splitlines(), start=1):
        for pair in line.partition("#")[0].split():
            index, colon, value = pair.partition(":")
            if not colon:
                continue
            try:
                columns.append(_index(index))
                values.append(float(value))
            except ValueError as error:
                raise codecs.Unreadable(f"Line {number} of the LibSVM data: {error}") from None
        starts.append(len(columns))
    shape = (len(starts) - 1, max(columns, default=-1) + 1)
    return csr_matrix((np.array(values, np.float32), columns, starts), shape=shape)


def _index(text: str) -> int:
    index = int(text)
    if index < 0:
        raise ValueError(f"{text} is not a feature number")
    return index


def _parquet(body: bytes) -> Any:
    import numpy as np

    with lean_imports():
        import pyarrow as pa
        from pyarrow import parquet
    try:
        table = parquet.read_table(pa.BufferReader(body))
        return np.column_stack([c.to_numpy(zero_copy_only=False).astype(np.float32) for c in table.columns])
    except (pa.ArrowException, ValueError, TypeError, OSError) as error:
        raise codecs.Unreadable(f"The body is not application/x-parquet: {error}") from None


_READERS: dict[str, Callable[[bytes], Any]] = {
    content.CSV: _csv,
    content.LIBSVM: _libsvm,
    content.PARQUET: _parquet,
}
