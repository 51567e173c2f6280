"""The metrics that the container has beyond xgboost's own, as one custom metric for ``xgboost.train``.

They are those of scikit-learn of the same names (``f1`` is ``f1_macro``, as in the container), written with numpy so
that a job need not import it. xgboost hands a custom metric *transformed* predictions: probabilities, labels or values,
depending on the objective.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xgboost as xgb

from sagebrush.runtime.outcome import UserError

_Metric = Callable[[Any, Any], float]


def custom_metric(names: Sequence[str], objective: str) -> Callable[[Any, xgb.DMatrix], list[tuple[str, float]]] | None:
    """What to pass as ``custom_metric`` to compute these metrics; None for none."""
    if not names:
        return None

    def evaluate(predictions: Any, data: xgb.DMatrix) -> list[tuple[str, float]]:
        truth = data.get_label()
        if truth.size == 0:
            return [(name, 0.0) for name in names]
        labels = None
        result = []
        for name in names:
            if name in _OF_VALUES:
                result.append((name, _OF_VALUES[name](truth, predictions)))
            else:
                labels = predicted_labels(predictions, objective) if labels is None else labels
                result.append((name, _OF_LABELS[name](truth.astype(np.int64), labels)))
        return result

    return evaluate


def predicted_labels(predictions: Any, objective: str) -> Any:
    """Class labels from what the objective predicts."""
    if predictions.ndim == 2:
        return predictions.argmax(axis=1)
    if objective == "multi:softmax":
        return predictions.astype(np.int64)
    # Margins (logitraw, rank and others) are cut at 0, probabilities at one half; hinge predicts 0 and 1.
    is_probability = objective in ("binary:logistic", "reg:logistic", "binary:hinge")
    return (predictions > (0.5 if is_probability else 0.0)).astype(np.int64)


def _counts(truth: Any, labels: Any) -> tuple[Any, Any, Any, Any]:
    """(classes, hits, true members, predicted members) for every class that occurs in either."""
    classes = np.union1d(truth, labels)
    hits = np.array([np.sum((truth == c) & (labels == c)) for c in classes], float)
    members = np.array([np.sum(truth == c) for c in classes], float)
    predicted = np.array([np.sum(labels == c) for c in classes], float)
    return classes, hits, members, predicted


def _ratio(numerator: Any, denominator: Any) -> Any:
    """Element by element, 0 where there is nothing to divide by (scikit-learn's zero_division)."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


def _precision(truth: Any, labels: Any) -> tuple[Any, Any]:
    classes, hits, _, predicted = _counts(truth, labels)
    return classes, _ratio(hits, predicted)


def _recall(truth: Any, labels: Any) -> tuple[Any, Any]:
    classes, hits, members, _ = _counts(truth, labels)
    return classes, _ratio(hits, members)


def _f1(truth: Any, labels: Any) -> tuple[Any, Any]:
    classes, hits, members, predicted = _counts(truth, labels)
    return classes, _ratio(2 * hits, members + predicted)


def _macro(score: Callable[[Any, Any], tuple[Any, Any]]) -> _Metric:
    return lambda truth, labels: float(score(truth, labels)[1].mean())


def _binary(name: str, score: Callable[[Any, Any], tuple[Any, Any]]) -> _Metric:
    """Of class 1 only; refuses more than two classes, as scikit-learn does."""

    def metric(truth: Any, labels: Any) -> float:
        classes, scores = score(truth, labels)
        if not set(classes.tolist()) <= {0, 1}:
            raise UserError(
                f"Metric '{name}': Target is multiclass but average='binary'. Please use {name.split('_')[0]}_macro."
            )
        return float(scores[classes == 1][0]) if 1 in classes else 0.0

    return metric


def _accuracy(truth: Any, labels: Any) -> float:
    return float(np.mean(truth == labels))


def _balanced_accuracy(truth: Any, labels: Any) -> float:
    """The mean recall of the classes that occur."""
    classes, recalls = _recall(truth, labels)
    return float(recalls[np.isin(classes, truth)].mean())


def _mse(truth: Any, values: Any) -> float:
    return float(np.mean((truth.astype(float) - values) ** 2))


def _r2(truth: Any, values: Any) -> float:
    truth = truth.astype(float)
    spread = float(np.sum((truth - truth.mean()) ** 2))
    missed = float(np.sum((truth - values) ** 2))
    if spread == 0.0:
        return 1.0 if missed == 0.0 else 0.0
    return 1.0 - missed / spread


_OF_VALUES: dict[str, _Metric] = {"mse": _mse, "r2": _r2}
_OF_LABELS: dict[str, _Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _macro(_f1),
    "f1_binary": _binary("f1_binary", _f1),
    "f1_macro": _macro(_f1),
    "precision": _binary("precision", _precision),
    "precision_macro": _macro(_precision),
    # With one label to a row, hits over all predictions is the share of rows that are right.
    "precision_micro": _accuracy,
    "recall": _binary("recall", _recall),
    "recall_macro": _macro(_recall),
    "recall_micro": _accuracy,
}
