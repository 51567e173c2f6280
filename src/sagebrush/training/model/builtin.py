"""Metric definitions that SageMaker adds to jobs of a built-in algorithm.

Source: `sagemaker-xgboost-container`, ``algorithm_mode/metrics.py`` (names), and the log line
``[round]#011train-<metric>:<value>#011validation-<metric>:<value>`` (``#011`` is a TAB as logs show it).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

_XGBOOST_METRICS = (
    "accuracy auc aucpr balanced_accuracy f1 f1_binary f1_macro map ndcg precision r2 recall precision_macro "
    "precision_micro recall_macro recall_micro aft-nloglik cox-nloglik error gamma-deviance gamma-nloglik "
    "interval-regression-accuracy logloss mae mape merror mlogloss mphe mse poisson-nloglik rmse rmsle "
    "tweedie-nloglik"
).split()
_NUMBER = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)"
#: DescribeTrainingJob carries at most 40 definitions: of these, training figures are shown too.
_SHOWN_FOR_TRAIN = frozenset({"auc", "error", "logloss", "mae", "merror", "mlogloss", "rmse"})


@cache
def metric_definitions(algorithm: str) -> tuple[Mapping[str, str], ...]:
    """MetricDefinitions of a built-in algorithm; empty for a name that has none."""
    if algorithm != "xgboost":
        return ()
    pairs = [("validation", metric) for metric in _XGBOOST_METRICS]
    pairs += [("train", metric) for metric in _XGBOOST_METRICS if metric in _SHOWN_FOR_TRAIN]
    return tuple(
        {"Name": f"{data}:{metric}", "Regex": rf".*\[[0-9]+\].*#011{data}-{metric}:{_NUMBER}.*"} for data, metric in pairs
    )
