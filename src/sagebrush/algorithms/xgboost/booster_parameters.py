"""What becomes of the hyperparameters in a current xgboost: most stay, some are renamed, some have gone.

Pure; needs no xgboost. SageMaker documents the parameters of xgboost 1.2 to 1.7. Each that a later xgboost dropped is
mapped to its successor, left out with a notice where it no longer changes anything, or refused where leaving it out
would train another model than was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagebrush.algorithms.xgboost.metric_names import CUSTOM
from sagebrush.runtime.outcome import UserError

#: Hyperparameters for this algorithm, not for the booster.
_OURS = frozenset(
    {
        "num_round",
        "csv_weights",
        "early_stopping_rounds",
        "eval_metric",
        "save_model_on_termination",
        "use_dask_gpu_training",
        "_tuning_objective_metric",
    }
)
_WITHOUT_EFFECT = {
    "deterministic_histogram": "histograms are always deterministic now",
    "single_precision_histogram": "xgboost chooses the precision of histograms itself now",
    "predictor": "prediction follows the device now",
    "dsplit": "rows are split between hosts as the channels are",
    "prob_buffer_row": "it has had no use since xgboost 1.0",
}
_REFUSED_UPDATERS = {
    "distcol": "use tree_method=hist, which is distributed",
    "grow_skmaker": "use tree_method=approx",
}


@dataclass(frozen=True)
class Plan:
    """What to train: the booster's parameters and everything that is not the booster's.

    ``metrics`` are xgboost's own, ``custom_metrics`` ours, in the order in which their values are logged;
    ``stopping_metric`` decides early stopping (None: the last one logged).
    """

    parameters: dict[str, Any]
    rounds: int
    csv_weights: bool
    metrics: tuple[str, ...]
    custom_metrics: tuple[str, ...]
    early_stopping_rounds: int | None
    stopping_metric: str | None
    save_on_termination: bool
    notices: tuple[str, ...]


def plan(values: Mapping[str, Any]) -> Plan:
    """Turn validated hyperparameters into a plan. Raises UserError for what xgboost no longer has."""
    notices: list[str] = []
    if values.get("use_dask_gpu_training") == "true":
        raise UserError(
            "Hyperparameter use_dask_gpu_training: true is not supported; one host trains on one GPU with "
            "tree_method=gpu_hist."
        )
    parameters = {name: value for name, value in values.items() if name not in _OURS}
    for name, reason in _WITHOUT_EFFECT.items():
        if name in parameters:
            del parameters[name]
            notices.append(f"Hyperparameter {name} has no effect: {reason}.")
    _map_objective(parameters, notices)
    _map_sketch(parameters, notices)
    _map_updaters(parameters)
    _map_device(parameters, notices)
    if "monotone_constraints" in parameters:
        parameters["monotone_constraints"] = tuple(parameters["monotone_constraints"])
    objective_metrics = _tuning_metrics(values)
    asked = _union(objective_metrics, values.get("eval_metric", []))
    stopping = objective_metrics or values.get("eval_metric", [])
    own = tuple(metric for metric in asked if metric not in CUSTOM)
    if own:
        parameters["eval_metric"] = list(own)
    return Plan(
        parameters=parameters,
        rounds=values["num_round"],
        csv_weights=values.get("csv_weights", 0) == 1,
        metrics=own,
        custom_metrics=tuple(metric for metric in asked if metric in CUSTOM),
        early_stopping_rounds=values.get("early_stopping_rounds"),
        stopping_metric=stopping[-1] if stopping else None,
        save_on_termination=values.get("save_model_on_termination", "true") == "true",
        notices=tuple(notices),
    )


def _tuning_metrics(values: Mapping[str, Any]) -> list[str]:
    """The metrics of a tuning job's objective: ``validation:auc`` names ``auc``."""
    objective = values.get("_tuning_objective_metric")
    return str(objective).split(":")[1].split(",") if objective and ":" in objective else []


def _union(first: list[str], second: list[str]) -> list[str]:
    """Both lists once; sorted when both are given, because all hosts must agree on the order."""
    if not first or not second:
        return list(dict.fromkeys(first or second))
    return sorted(set(first) | set(second))


def _map_objective(parameters: dict[str, Any], notices: list[str]) -> None:
    if parameters.get("objective") == "reg:linear":
        parameters["objective"] = "reg:squarederror"
        notices.append("Hyperparameter objective: reg:linear is called reg:squarederror now.")


def _map_sketch(parameters: dict[str, Any], notices: list[str]) -> None:
    epsilon = parameters.pop("sketch_eps", None)
    if epsilon is None:
        return
    if parameters.get("tree_method") == "approx" and "max_bin" not in parameters:
        parameters["max_bin"] = max(2, math.ceil(1 / epsilon))
        notices.append(f"Hyperparameter sketch_eps: {epsilon:g} is max_bin {parameters['max_bin']} now.")
    else:
        notices.append("Hyperparameter sketch_eps has no effect: it is for tree_method=approx without max_bin.")


def _map_updaters(parameters: dict[str, Any]) -> None:
    updaters = parameters.get("updater")
    if updaters is None:
        return
    for updater, instead in _REFUSED_UPDATERS.items():
        if updater in updaters:
            raise UserError(f"Hyperparameter updater: {updater} was removed from xgboost; {instead}.")
    parameters["updater"] = ",".join(updaters)


def _map_device(parameters: dict[str, Any], notices: list[str]) -> None:
    if parameters.get("tree_method") == "gpu_hist":
        parameters["tree_method"] = "hist"
        parameters["device"] = "cuda"
        notices.append("Hyperparameter tree_method: gpu_hist is tree_method=hist on device=cuda now.")
