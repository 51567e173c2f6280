"""Default handlers for scikit-learn artefacts: an estimator in a joblib or pickle file, asked by predict()."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sagebrush.runtime.outcome import UserError

_NAMES = ("model.joblib", "model.pkl")
_SUFFIXES = (".joblib", ".pkl")


def model_fn(directory: str) -> Any:
    """The estimator of model.joblib, model.pkl or the only such file. Raises UserError."""
    import joblib

    root = Path(directory)
    found = [root / name for name in _NAMES if (root / name).is_file()]
    if not found:
        found = sorted(path for path in root.iterdir() if path.suffix in _SUFFIXES) if root.is_dir() else []
        if len(found) != 1:
            seen = ", ".join(path.name for path in found) or "none"
            raise UserError(
                "model_fn is missing: define model_fn(model_dir) in the model's code (code/inference.py). Without it a "
                f"file model.joblib or model.pkl, or only one file of that kind, is loaded; found: {seen}."
            )
    return joblib.load(found[0])


def predict_fn(data: Any, model: Any) -> Any:
    """One prediction for each row."""
    return model.predict(data)
