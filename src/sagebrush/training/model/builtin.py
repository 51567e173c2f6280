"""Metric definitions that SageMaker adds to jobs of a built-in algorithm.

Source: `sagemaker-xgboost-container`, ``algorithm_mode/metrics.py`` (names), and the log line
``[round]#011train-<metric>:<value>#011validation-<metric>:<value>`` (``#011`` is a TAB as logs show it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

#: DescribeTrainingJob carries at most this many definitions.
MOST_SHOWN = 40
_XGBOOST_METRICS = (
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
#: Training figures that are among those shown.
_SHOWN_FOR_TRAIN = ("auc", "error", "logloss", "mae", "merror", "mlogloss", "rmse")
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"


@cache
def metric_definitions(algorithm: str) -> tuple[Mapping[str, str], ...]:
    """MetricDefinitions of a built-in algorithm, those to be shown first; empty for a name that has none."""
    if algorithm != "xgboost":
        return ()
    pairs = [("validation", metric) for metric in _XGBOOST_METRICS]
    pairs += [("train", metric) for metric in _SHOWN_FOR_TRAIN]
    pairs += [("train", metric) for metric in _XGBOOST_METRICS if metric not in _SHOWN_FOR_TRAIN]
    return tuple(
        {"Name": f"{data}:{metric}", "Regex": rf".*\[[0-9]+\].*#011{data}-{metric}:{_NUMBER}.*"}
        for data, metric in pairs
    )


def effective_definitions(algorithm: str | None, own: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The definitions a job is searched with: the request's own, then the algorithm's under names not yet taken."""
    taken = {definition["Name"] for definition in own}
    builtin = metric_definitions(algorithm) if algorithm else ()
    return [*own, *(definition for definition in builtin if definition["Name"] not in taken)]


def needed_texts(algorithm: str | None, own: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """For the algorithm's own definitions, a text that every line they match contains."""
    taken = {definition["Name"] for definition in own}
    names = [definition["Name"] for definition in (metric_definitions(algorithm) if algorithm else ())]
    return {name: f"#011{name.replace(':', '-')}:" for name in names if name not in taken}


def runs_algorithm(request: Mapping[str, Any]) -> bool:
    """Whether an image that carries a built-in algorithm would run it: no entry point and no program of the user's."""
    return not (
        request["AlgorithmSpecification"].get("ContainerEntrypoint")
        or "sagemaker_program" in request.get("HyperParameters", {})
        or "SAGEMAKER_PROGRAM" in request.get("Environment", {})
    )
