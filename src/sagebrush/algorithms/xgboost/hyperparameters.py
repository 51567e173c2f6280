"""The hyperparameters: names, kinds, legal values, and which depend on which. Pure; needs no xgboost.

Sources: developer guide, "XGBoost hyperparameters", and aws/sagemaker-xgboost-container
``algorithm_mode/hyperparameter_validation.py``. Where the page allows a value that no xgboost takes (``subsample`` 0),
the container's tighter range holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.algorithms.rules import Interval, Rule, check, choice, flag, integer, nested, real, words
from sagebrush.algorithms.xgboost.metric_names import MAXIMIZE, MINIMIZE, WITH_THRESHOLD
from sagebrush.runtime.outcome import UserError

OBJECTIVES = (
    "binary:logistic",
    "binary:logitraw",
    "binary:hinge",
    "count:poisson",
    "multi:softmax",
    "multi:softprob",
    "rank:pairwise",
    "rank:ndcg",
    "rank:map",
    "reg:linear",
    "reg:squarederror",
    "reg:logistic",
    "reg:gamma",
    "reg:pseudohubererror",
    "reg:squaredlogerror",
    "reg:absoluteerror",
    "reg:tweedie",
    "survival:aft",
    "survival:cox",
)
MULTICLASS = ("multi:softmax", "multi:softprob")

TREE_BUILDERS = ("grow_colmaker", "distcol", "grow_histmaker", "grow_skmaker", "grow_quantile_histmaker")
TREE_UPDATERS = (*TREE_BUILDERS, "sync", "refresh", "prune")
LINEAR_UPDATERS = ("shotgun", "coord_descent")

_UNIT = Interval(0, 1)
_UNIT_ABOVE_ZERO = Interval(0, 1, low_open=True)
_NOT_NEGATIVE = Interval(0)
_POSITIVE = Interval(1)


def _metric_problem(metric: str) -> str | None:
    if "<function" in metric:
        return f"User defined evaluation metric {metric} is not supported yet."
    if metric in MAXIMIZE or metric in MINIMIZE:
        return None
    name, at, threshold = metric.partition("@")
    if not at:
        return f"value {metric} not in range [{', '.join(sorted(MAXIMIZE + MINIMIZE))}]"
    if name.strip() not in WITH_THRESHOLD:
        return (
            f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized threshold should be one of "
            "these options: 'error', 'ndcg', 'map'."
        )
    try:
        float(threshold.strip().removesuffix("-"))
    except ValueError:
        return f"Threshold value 't' in '{name}@t' expects float input."
    return None


def _updater_problem(updater: str) -> str | None:
    known = (*TREE_UPDATERS, *LINEAR_UPDATERS)
    return None if updater in known else f"value {updater} not in range [{', '.join(known)}]"


def _monotone_problem(value: Any) -> str | None:
    if isinstance(value, list) and all(item in (-1, 0, 1) and isinstance(item, int) for item in value):
        return None
    return f"value {value} not in range [-1, 0, 1]"


def _interaction_problem(value: Any) -> str | None:
    groups = value if isinstance(value, list) else [None]
    if all(isinstance(g, list) and all(isinstance(i, int) and i >= 0 for i in g) for g in groups):
        return None
    return f"value {value} is not a nested list of feature numbers such as [[1,2], [3,4,5]]"


#: The 42 documented hyperparameters.
DOCUMENTED: tuple[Rule, ...] = (
    integer("num_class", Interval(2)),
    integer("num_round", _POSITIVE, required=True),
    real("alpha", _NOT_NEGATIVE, aliases=("reg_alpha",)),
    real("base_score"),
    choice("booster", ("gbtree", "gblinear", "dart")),
    real("colsample_bylevel", _UNIT_ABOVE_ZERO),
    real("colsample_bynode", _UNIT_ABOVE_ZERO),
    real("colsample_bytree", _UNIT_ABOVE_ZERO),
    integer("csv_weights", _UNIT),
    flag("deterministic_histogram"),
    integer("early_stopping_rounds", _POSITIVE),
    real("eta", _UNIT, aliases=("learning_rate",)),
    words("eval_metric", _metric_problem),
    real("gamma", _NOT_NEGATIVE, aliases=("min_split_loss",)),
    choice("grow_policy", ("depthwise", "lossguide")),
    nested("interaction_constraints", "a nested list of feature numbers", _interaction_problem),
    real("lambda", _NOT_NEGATIVE, aliases=("reg_lambda",)),
    real("lambda_bias", _UNIT),
    integer("max_bin", Interval(2)),
    real("max_delta_step", _NOT_NEGATIVE),
    integer("max_depth", _NOT_NEGATIVE),
    integer("max_leaves", _NOT_NEGATIVE),
    real("min_child_weight", _NOT_NEGATIVE),
    nested("monotone_constraints", "a tuple of -1, 0 and 1", _monotone_problem),
    choice("normalize_type", ("tree", "forest")),
    integer("nthread", _POSITIVE),
    choice("objective", OBJECTIVES),
    integer("one_drop", _UNIT),
    choice("process_type", ("default", "update")),
    real("rate_drop", _UNIT),
    integer("refresh_leaf", _UNIT),
    choice("sample_type", ("uniform", "weighted")),
    real("scale_pos_weight", Interval(0, low_open=True)),
    integer("seed", Interval(-(2**31), 2**31 - 1)),
    flag("single_precision_histogram"),
    real("sketch_eps", Interval(0, 1, low_open=True, high_open=True)),
    real("skip_drop", _UNIT),
    real("subsample", _UNIT_ABOVE_ZERO),
    choice("tree_method", ("auto", "exact", "approx", "hist", "gpu_hist")),
    real("tweedie_variance_power", Interval(1, 2, low_open=True, high_open=True)),
    words("updater", _updater_problem),
    integer("verbosity", Interval(0, 3)),
)

#: What the container takes beyond the documentation page.
UNDOCUMENTED: tuple[Rule, ...] = (
    choice("aft_loss_distribution", ("normal", "logistic", "extreme")),
    real("aft_loss_distribution_scale", _NOT_NEGATIVE),
    choice("dsplit", ("row", "col")),
    integer("num_parallel_tree", _POSITIVE),
    choice("predictor", ("auto", "cpu_predictor", "gpu_predictor")),
    real("prob_buffer_row", Interval(1, low_open=True)),
    choice("sampling_method", ("uniform", "gradient_based")),
    flag("save_model_on_termination"),
    flag("use_dask_gpu_training"),
    Rule("_tuning_objective_metric", "the name of a metric", str, lambda value: None),
)

_TOOLKIT_PREFIX = "sagemaker_"


def validate(given: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters as values. Raises UserError that names every wrong one, its value and what is legal."""
    own = {name: value for name, value in given.items() if not name.startswith(_TOOLKIT_PREFIX)}
    values, problems = check(DOCUMENTED + UNDOCUMENTED, own)
    problems += _dependencies(values)
    if problems:
        raise UserError("; ".join(problems))
    return values


def _dependencies(values: Mapping[str, Any]) -> list[str]:
    objective = values.get("objective", "reg:squarederror")
    problems = []
    if objective in MULTICLASS and "num_class" not in values:
        problems.append(
            "Require input for parameter 'num_class' for multi-classification "
            f"(hyperparameter objective is {objective}; num_class must be an integer in [2, +∞))"
        )
    if "num_class" in values and objective not in MULTICLASS:
        problems.append(
            "Do not need to setup parameter 'num_class' for learning task other than multi-classification "
            f"(num_class is {values['num_class']}, objective is {objective})."
        )
    problems += _metric_dependencies(values.get("eval_metric", []), objective)
    problems += _constraint_dependencies(values)
    problems += _updater_dependencies(values)
    return problems


def _metric_dependencies(metrics: list[str], objective: str) -> list[str]:
    problems = []
    if "auc" in metrics and not objective.startswith(("binary:", "rank:")):
        problems.append("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        problems.append("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")
    return problems


def _constraint_dependencies(values: Mapping[str, Any]) -> list[str]:
    method = values.get("tree_method")
    problems = []
    if "monotone_constraints" in values and method not in ("exact", "hist"):
        problems.append(
            "monotone_constraints can be used only when the tree_method parameter is set to either 'exact' or 'hist'."
        )
    if "interaction_constraints" in values and method not in ("exact", "hist", "approx"):
        problems.append(
            "interaction_constraints can be used only when the tree_method parameter is set to either 'exact', 'hist' "
            "or 'approx'."
        )
    return problems


def _updater_dependencies(values: Mapping[str, Any]) -> list[str]:
    updaters = values.get("updater")
    if not updaters:
        return []
    if values.get("booster") == "gblinear":
        if len(updaters) == 1 and updaters[0] in LINEAR_UPDATERS:
            return []
        return ["Linear updater should be one of these options: 'shotgun', 'coord_descent'."]
    if values.get("process_type") == "update":
        if set(updaters) <= {"refresh", "prune"}:
            return []
        return ["process_type 'update' can only be used with updater 'refresh' and 'prune'"]
    if not set(updaters) <= set(TREE_UPDATERS):
        return [f"Tree updater should be selected from these options: {', '.join(map(repr, TREE_UPDATERS))}."]
    if len(set(updaters) & set(TREE_BUILDERS)) > 1:
        return [f"Only one tree grow plugin can be selected. Choose one from: {', '.join(map(repr, TREE_BUILDERS))}."]
    return []
