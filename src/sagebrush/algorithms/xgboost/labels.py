"""Whether the labels fit the objective, told before training in words that name the objective and a wrong label.

xgboost itself notices late, and since 3.0 often by way of a base score that it derived from the labels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sagebrush.algorithms.xgboost.hyperparameters import MULTICLASS
from sagebrush.runtime.outcome import UserError

_LOGISTIC = ("binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic")
_NOT_NEGATIVE = {"count:poisson": "PoissonRegression", "reg:tweedie": "TweedieRegression"}


def check(labels: Any, objective: str, num_class: int | None, channel: str) -> None:
    """Raise UserError naming a label that the objective cannot have."""
    if labels.size == 0:
        raise UserError("Got input data without labels. Please check the input data set.")
    if objective in _LOGISTIC:
        _require(labels, (labels >= 0) & (labels <= 1), "label must be in [0,1] for logistic regression", channel)
    elif objective in MULTICLASS:
        whole = (labels >= 0) & (labels < (num_class or 0)) & (labels == np.floor(labels))
        _require(labels, whole, f"label must be in [0, num_class), num_class is {num_class}", channel)
    elif objective in _NOT_NEGATIVE:
        _require(labels, labels >= 0, f"{_NOT_NEGATIVE[objective]}: label must be nonnegative", channel)
    elif objective == "reg:gamma":
        _require(labels, labels > 0, "GammaRegression: label must be positive", channel)


def _require(labels: Any, good: Any, rule: str, channel: str) -> None:
    if not good.all():
        row = int((~good).argmax())
        raise UserError(f"{rule}; the label in row {row + 1} of the {channel} channel is {labels[row]:g}.")
