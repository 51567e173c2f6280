"""Default handlers of the XGBoost image: the model that the built-in algorithm saved, asked in its content types."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs

MODEL = "xgboost-model"
_LIBSVM = frozenset({"text/libsvm", "text/x-libsvm", "libsvm"})
_CSV = frozenset({"text/csv", "csv"})
_PARQUET = frozenset({"application/x-parquet", "parquet"})


def model_fn(directory: str) -> Any:
    """The booster in ``xgboost-model``, or in the only file there. Raises UserError."""
    import xgboost

    path = Path(directory) / MODEL
    if not path.is_file():
        files = [entry for entry in Path(directory).iterdir() if entry.is_file()] if Path(directory).is_dir() else []
        if len(files) != 1:
            raise UserError(
                "model_fn is missing: define model_fn(model_dir) in the model's code (code/inference.py). Without it "
                f"the file {MODEL}, or the only file of the archive, is loaded; there are {len(files)} files."
            )
        path = files[0]
    booster = xgboost.Booster({"nthread": int(os.environ.get("OMP_NUM_THREADS", "1"))})
    booster.load_model(bytearray(path.read_bytes()))
    return booster


def input_fn(body: bytes, content_type: str) -> Any:
    """Features without a label, as a matrix of xgboost's."""
    kind = codecs.media_type(content_type)
    try:
        if kind in _CSV or kind == codecs.JSON:
            return _matrix(codecs.decode(body, codecs.CSV if kind in _CSV else kind))
        if kind in _LIBSVM:
            return _libsvm(body)
        if kind in _PARQUET:
            import numpy as np
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(io.BytesIO(body))
            return _matrix(np.column_stack([column.to_numpy() for column in table.columns]))
    except codecs.Unreadable:
        raise
    except Exception as error:
        raise codecs.Unreadable(f"the body is no {content_type}: {error}") from None
    raise codecs.UnsupportedContentType(
        f"Content type {content_type or '(none)'} is not supported: text/csv, text/libsvm or application/x-parquet."
    )


def predict_fn(data: Any, model: Any) -> Any:
    """As xgboost predicts when it is called directly: with the best iteration where early stopping has set one."""
    best = getattr(model, "best_iteration", None) if model.attr("best_iteration") else None
    rounds = (0, best + 1) if best is not None else (0, 0)
    return model.predict(data, iteration_range=rounds, validate_features=False)


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """CSV on one line unless JSON or JSON Lines is asked for, as the image's own server answers."""
    kind = codecs.media_type(accept)
    values = codecs.plain(prediction)
    if kind == codecs.JSON:
        return json.dumps({"predictions": [{"score": value} for value in values]}).encode(), codecs.JSON
    if kind == codecs.JSON_LINES:
        return b"\n".join(json.dumps({"score": value}).encode() for value in values), codecs.JSON_LINES
    if kind == codecs.CSV:
        texts = [";".join(map(str, value)) if isinstance(value, list) else str(value) for value in values]
        return ",".join(texts).encode(), codecs.CSV
    raise codecs.UnsupportedAccept(f"Accept {accept} is not supported: text/csv, {codecs.JSON} or {codecs.JSON_LINES}.")


def _matrix(rows: Any) -> Any:
    import numpy as np
    import xgboost

    table = np.atleast_2d(np.asarray(rows, dtype=np.float32))
    return xgboost.DMatrix(table, missing=np.nan)


def _libsvm(body: bytes) -> Any:
    import scipy.sparse
    import xgboost

    data, indices, starts = [], [], [0]
    for line in body.decode().splitlines():
        for pair in line.split():
            index, colon, value = pair.partition(":")
            if colon:
                indices.append(int(index))
                data.append(float(value))
        starts.append(len(data))
    width = max(indices, default=0) + 1
    return xgboost.DMatrix(scipy.sparse.csr_matrix((data, indices, starts), shape=(len(starts) - 1, width)))
