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
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from sagebrush.algorithms.xgboost import content
from sagebrush.algorithms.xgboost.lean_imports import lean_imports
from sagebrush.algorithms.xgboost.selected_output import SelectedOutput
from sagebrush.runtime import recordio
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs
from sagebrush.runtime.serving.handlers import Defaults

MODEL = "xgboost-model"
_LIBSVM = "text/libsvm"
#: How pickles of all protocols begin, and the compressed files that joblib writes. No model of XGBoost's own does.
_PICKLES = (b"\x80", b"c", b"(")
_COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x5d\x00\x00")
#: Before this image the predictions of all rows came on one line.
_FIRST_WITH_LINES = (1, 2, 2)
#: Predictions that are classes: an ensemble votes, where it averages others.
_VOTING = ("multi:softmax", "binary:hinge")
#: Boosters that predict from a DMatrix only, or from anything else with other rounding.
_FROM_DMATRIX = ("gblinear", "dart")


def defaults(*, with_code: bool) -> Defaults:
    """A script's predict_fn gets a DMatrix and its predictions are plain JSON; the built-in algorithm has its form."""
    if with_code:
        return Defaults(script_input_fn, codecs.encode, script_model_fn, script_predict_fn)
    load: Callable[[str], Any] = model_fn
    output: Callable[[Any, str], Any] = output_fn
    if "SAGEMAKER_INFERENCE_OUTPUT" in os.environ:
        load, output = _selecting(os.environ["SAGEMAKER_INFERENCE_OUTPUT"])
    elif os.environ.get("SAGEMAKER_BATCH"):
        output = batch_output_fn
    elif _answers_in_one_line(os.environ.get("SAGEBRUSH_FRAMEWORK_VERSION", "")):
        output = one_line_output_fn
    return Defaults(input_fn, output, load, predict_fn, accept=codecs.CSV, content_type=_LIBSVM)


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
    objective: str
    classes: int

    @classmethod
    def of(cls, booster: Any) -> Booster:
        learner = json.loads(booster.save_config())["learner"]
        kind = learner["gradient_booster"]["name"]
        rounds = (0, 0)
        if booster.attr("best_iteration") is not None and kind != "gblinear":
            rounds = (0, min(int(booster.attr("best_iteration")) + 1, booster.num_boosted_rounds()))
        objective = learner["objective"]["name"]
        classes = int(learner["learner_model_param"].get("num_class") or 0)
        return cls(booster, rounds, booster.num_features(), kind in _FROM_DMATRIX, objective, classes)

    def predict(self, data: Any) -> Any:
        """For a matrix of numpy's or scipy's."""
        if self.from_dmatrix:
            import xgboost

            return self.booster.predict(xgboost.DMatrix(data), iteration_range=self.rounds, validate_features=False)
        # Without the copy that a DMatrix is; the same predictions.
        return self.booster.inplace_predict(data, iteration_range=self.rounds, validate_features=False)


def model_fn(directory: str) -> list[Booster]:
    """Every file at the top of the archive is a model, several are an ensemble, as in SageMaker's image. UserError.

    Beside ``xgboost-model`` what is no model is left out, and told.
    """
    root = Path(directory)
    files = sorted(p for p in root.iterdir() if p.is_file() and not p.name.startswith(".")) if root.is_dir() else []
    files.sort(key=lambda path: path.name != MODEL)
    if os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") != "true":
        files = files[:1]
    if not files:
        raise UserError(
            f"model_fn is missing and there is no model: the archive has no file {MODEL}, nor any other. Put the model "
            f"there (Booster.save_model('{MODEL}')), or define model_fn(model_dir) in code/inference.py."
        )
    loaded = [Booster.of(_load(files[0]))]
    for path in files[1:]:
        try:
            loaded.append(Booster.of(_load(path)))
        except UserError as error:
            if files[0].name != MODEL:
                raise
            print(f"Left out: {error}", flush=True)
    if len(loaded) > 1:
        print(f"An ensemble of {len(loaded)} models: {', '.join(path.name for path in files)}", flush=True)
    return loaded


def script_model_fn(directory: str) -> Any:
    """The booster itself, as a script would have loaded it."""
    return model_fn(directory)[0].booster


def _load(path: Path) -> Any:
    import xgboost

    data = path.read_bytes()
    try:
        if data.startswith(_PICKLES + _COMPRESSED):
            loaded = _unpickled(path, data)
            booster = loaded.get_booster() if hasattr(loaded, "get_booster") else loaded
            if not isinstance(booster, xgboost.Booster):
                raise UserError(f"{path.name} is a pickled {type(loaded).__name__}, not a Booster.")
        else:
            booster = xgboost.Booster()
            booster.load_model(bytearray(data))
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{path.name} cannot be loaded as a model by XGBoost {xgboost.__version__}: {_reason(error)}. A model that "
            "an old version saved in its binary format is converted by that version: Booster.save_model('model.json')."
        ) from error
    booster.set_param({"nthread": _threads()})
    return booster


def _unpickled(path: Path, data: bytes) -> Any:
    """A pickle, or what joblib makes of one: it puts arrays in between, and may compress."""
    try:
        import joblib
    except ModuleNotFoundError:
        return pickle.loads(data)
    return joblib.load(path)


def _reason(error: Exception) -> str:
    """What XGBoost says in one line, without its stack trace and the places in its source."""
    text = str(error).partition("Stack trace")[0]
    return codecs.one_line(re.sub(r"\[\d\d:\d\d:\d\d\] \S+:\d+: ", "", text)) or type(error).__name__


def _threads() -> int:
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() and int(given) else 1


# -- requests and answers ---------------------------------------------------------------------------------------------


def input_fn(body: bytes, content_type: str) -> Any:
    """The rows as a matrix of numpy's or scipy's: CSV, LibSVM, Parquet or records, without a label. Raises Refused."""
    if not body:
        raise codecs.NoContent
    return _matrix(body, content_type)


def script_input_fn(body: bytes, content_type: str) -> Any:
    """The rows as a DMatrix. Raises Refused, also for infinity, of which XGBoost makes none."""
    import xgboost

    try:
        return xgboost.DMatrix(_matrix(body, content_type))
    except xgboost.core.XGBoostError as error:
        raise codecs.Unreadable(f"The body is not what XGBoost takes: {_reason(error)}") from error


def _matrix(body: bytes, content_type: str) -> Any:
    reader = _READERS[_format(content_type)]
    if not body or body.isspace():
        raise codecs.Unreadable("The body is empty: at least one row is needed.")
    return reader(body)


@lru_cache(maxsize=256)
def _format(content_type: str) -> str:
    kind = codecs.media_type(content_type)
    if kind in (codecs.RECORDIO, _RECORDIO):
        return _RECORDIO
    try:
        return content.content_type("of the request", {"ContentType": content_type})[0]
    except UserError:
        raise codecs.UnsupportedContentType(
            f"Content type {kind} is not supported; it may be {codecs.CSV}, {_LIBSVM}, {codecs.RECORDIO} or "
            "application/x-parquet."
        ) from None


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
        raise codecs.Unreadable(f"Unable to evaluate payload provided: {_reason(error)}") from error
    if model[0].objective in _VOTING:
        return np.array([_vote(column) for column in all_.T])
    return all_.mean(axis=0)


def script_predict_fn(data: Any, model: Any) -> Any:
    """With all of the model, as the image does for scripts."""
    import xgboost

    try:
        return model.predict(data, validate_features=False)
    except xgboost.core.XGBoostError as error:
        raise codecs.Unreadable(f"Unable to evaluate payload provided: {_reason(error)}") from error


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


def one_line_output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """As images before 1.2-2 answer, whatever was asked for: the predictions of all rows in one line."""
    return ",".join(map(str, prediction.tolist())).encode(), codecs.CSV


def batch_output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """As the image answers a batch transform (``SAGEMAKER_BATCH``): a line for each row, classes in brackets."""
    return "".join(f"{value}\n" for value in prediction.tolist()).encode(), accept


def _answers_in_one_line(version: str) -> bool:
    """Whether this is the tag of such an image: ``1.0-1-cpu-py3``, ``0.90-2``, or ``1``, the first of all."""
    found = re.match(r"(\d+)\.(\d+)(?:-(\d+))?", version)
    if found is None:
        return version == "1"
    major, minor, build = (int(part) if part else 9 for part in found.groups())
    return (major, minor, build) < _FIRST_WITH_LINES


def _selecting(names: str) -> tuple[Callable[[str], Any], Callable[[Any, str], Any]]:
    """model_fn and output_fn for a model of whose predictions these are to be answered."""
    selected: list[SelectedOutput] = []

    def load(directory: str) -> list[Booster]:
        boosters = model_fn(directory)
        selected.append(SelectedOutput.of(names, boosters[0].objective, boosters[0].classes))
        return boosters

    return load, lambda prediction, accept: selected[0].encode(prediction, accept)


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
    text = codecs.text_of(body, codecs.CSV).strip(" \r\n")
    return codecs.csv_table(text, content.delimiter(text.partition("\n")[0]), "float32")


def _libsvm(body: bytes) -> Any:
    """Features alone, or with a label before them, which is not looked at."""
    import numpy as np
    from scipy.sparse import csr_matrix

    values: list[float] = []
    columns: list[int] = []
    starts = [0]
    for number, line in enumerate(codecs.text_of(body, _LIBSVM).strip().split("\n"), start=1):
        for pair in line.partition("#")[0].split():
            index, colon, value = pair.partition(":")
            if not colon:
                continue
            try:
                columns.append(_index(index))
                values.append(float(value))
            except ValueError as error:
                raise codecs.Unreadable(f"Line {number} of the LibSVM data: {codecs.one_line(error)}") from None
        starts.append(len(columns))
    shape = (len(starts) - 1, max(columns, default=-1) + 1)
    return csr_matrix((np.array(values, np.float32), columns, starts), shape=shape)


def _index(text: str) -> int:
    index = int(text)
    if not 0 <= index < recordio.MOST_FEATURES:
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
        raise codecs.Unreadable(f"The body is not application/x-parquet: {codecs.one_line(error)}") from None


def _records(body: bytes) -> Any:
    try:
        return recordio.matrix(body)
    except recordio.NotRecords as error:
        raise codecs.Unreadable(f"The body is not {codecs.RECORDIO}: {error}") from None


_RECORDIO = "recordio-protobuf"
_READERS: dict[str, Callable[[bytes], Any]] = {
    content.CSV: _csv,
    content.LIBSVM: _libsvm,
    content.PARQUET: _parquet,
    _RECORDIO: _records,
}
