"""Which metrics there are, and in which direction they improve (aws/sagemaker-xgboost-container, ``xgb_constants``)."""

from __future__ import annotations

MAXIMIZE = (
    "accuracy",
    "auc",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "map",
    "ndcg",
    "precision",
    "r2",
    "recall",
    "precision_macro",
    "precision_micro",
    "recall_macro",
    "recall_micro",
)
MINIMIZE = (
    "aft-nloglik",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "mse",
    "poisson-nloglik",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
)

#: Those that xgboost itself does not have; ``metrics.py`` computes them.
CUSTOM = frozenset(
    {
        "accuracy",
        "balanced_accuracy",
        "f1",
        "f1_binary",
        "f1_macro",
        "mse",
        "precision",
        "precision_macro",
        "precision_micro",
        "r2",
        "recall",
        "recall_macro",
        "recall_micro",
    }
)

#: Metrics that take a threshold or a number of places behind an ``@``.
WITH_THRESHOLD = ("error", "ndcg", "map")


def is_maximized(metric: str) -> bool:
    """Whether more is better; ``ndcg@5`` goes with ``ndcg``."""
    return metric.split("@")[0] in MAXIMIZE
