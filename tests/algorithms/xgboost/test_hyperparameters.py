"""The hyperparameters' rules; pure, so these run in the project's own environment."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from sagebrush.algorithms.xgboost import booster_parameters, metric_names
from sagebrush.algorithms.xgboost.hyperparameters import DOCUMENTED, validate
from sagebrush.runtime.outcome import UserError

SOURCE = Path(booster_parameters.__file__).parents[1]


def problems(**given: Any) -> str:
    with pytest.raises(UserError) as caught:
        validate({"num_round": "3"} | given)
    return str(caught.value)


def plan(**given: str) -> booster_parameters.Plan:
    return booster_parameters.plan(validate({"num_round": "3"} | given))


def test_all_42_documented_hyperparameters_are_known() -> None:
    names = [rule.name for rule in DOCUMENTED]
    assert len(names) == len(set(names)) == 42
    assert [rule.name for rule in DOCUMENTED if rule.required] == ["num_round"]


@pytest.mark.parametrize(
    ("name", "bad", "legal"),
    [
        ("alpha", "-1", "[0, +∞)"),
        ("booster", "gbforest", "[gbtree, gblinear, dart]"),
        ("colsample_bytree", "1.5", "(0, 1]"),
        ("csv_weights", "2", "[0, 1]"),
        ("early_stopping_rounds", "0", "[1, +∞)"),
        ("eta", "1.01", "[0, 1]"),
        ("eval_metric", "accuraccy", "accuracy"),
        ("grow_policy", "breadthwise", "[depthwise, lossguide]"),
        ("max_depth", "-1", "[0, +∞)"),
        ("num_round", "0", "[1, +∞)"),
        ("objective", "binary:logistics", "did you mean 'binary:logistic'?"),
        ("seed", "99999999999", "[-2147483648, 2147483647]"),
        ("sketch_eps", "1", "(0, 1)"),
        ("subsample", "0", "(0, 1]"),
        ("tree_method", "fast", "[auto, exact, approx, hist, gpu_hist]"),
        ("tweedie_variance_power", "2", "(1, 2)"),
        ("verbosity", "4", "[0, 3]"),
    ],
)
def test_a_value_out_of_range_is_told_with_name_value_and_range(name: str, bad: str, legal: str) -> None:
    told = problems(**{name: bad})
    assert told.startswith(f"Hyperparameter {name}: ")
    assert legal in told
    assert bad[:5] in told


@pytest.mark.parametrize("text", ["three", "2.5", "", "nan", "[]"])
def test_a_value_of_another_kind_is_told(text: str) -> None:
    assert f"Hyperparameter max_depth: could not parse value '{text}'" in problems(max_depth=text)


def test_every_problem_is_told_at_once() -> None:
    told = problems(eta="9", gamma="-1", maxdepth="3")
    assert told.count(";") >= 2
    assert "Extraneous hyperparameter found: maxdepth; did you mean 'max_depth'?" in told


def test_num_class_belongs_to_multiclass_objectives_only() -> None:
    assert "Require input for parameter 'num_class'" in problems(objective="multi:softmax")
    assert "Do not need to setup parameter 'num_class'" in problems(objective="binary:logistic", num_class="3")
    assert validate({"num_round": "1", "objective": "multi:softprob", "num_class": "3"})["num_class"] == 3


def test_values_wrapped_in_json_quotes_and_aliases_are_understood() -> None:
    values = validate({"num_round": '"7"', "objective": '"binary:logistic"', "learning_rate": "0.5", "reg_lambda": "2"})
    assert values == {"num_round": 7, "objective": "binary:logistic", "eta": 0.5, "lambda": 2.0}


def test_constraints_are_read_and_bound_to_tree_methods() -> None:
    planned = plan(
        tree_method="hist", monotone_constraints="(1, 0, -1)", interaction_constraints="[[0,1],[2]]"
    ).parameters
    assert planned["monotone_constraints"] == (1, 0, -1)
    assert planned["interaction_constraints"] == [[0, 1], [2]]
    assert "either 'exact' or 'hist'" in problems(monotone_constraints="(1,)")
    assert "range [-1, 0, 1]" in problems(tree_method="hist", monotone_constraints="(2, 0)")


def test_removed_parameters_are_mapped_dropped_with_a_notice_or_refused() -> None:
    gpu = plan(tree_method="gpu_hist")
    assert (gpu.parameters["tree_method"], gpu.parameters["device"]) == ("hist", "cuda")
    sketch = plan(tree_method="approx", sketch_eps="0.03")
    assert sketch.parameters["max_bin"] == 34
    dropped = plan(deterministic_histogram="true", single_precision_histogram="False")
    assert set(dropped.parameters) == set()
    assert len(dropped.notices) == 2
    assert plan(objective="reg:linear").parameters["objective"] == "reg:squarederror"
    with pytest.raises(UserError, match="distcol was removed from xgboost"):
        plan(updater="distcol")


def test_updaters_must_go_together() -> None:
    assert "Linear updater should be one of" in problems(booster="gblinear", updater="refresh")
    assert "Only one tree grow plugin" in problems(updater="grow_colmaker,grow_histmaker")
    assert "'refresh' and 'prune'" in problems(process_type="update", updater="grow_colmaker")
    assert plan(updater="grow_colmaker,prune").parameters["updater"] == "grow_colmaker,prune"


def test_metrics_are_parted_into_xgboosts_and_ours() -> None:
    planned = plan(objective="binary:logistic", eval_metric="auc,accuracy,error@0.3")
    assert planned.parameters["eval_metric"] == ["auc", "error@0.3"]
    assert planned.custom_metrics == ("accuracy",)
    assert planned.stopping_metric == "error@0.3"
    assert "Metric 'auc' can only be applied" in problems(eval_metric="auc")
    assert "should be one of these options: 'error', 'ndcg', 'map'" in problems(eval_metric="rmse@3")
    assert metric_names.is_maximized("ndcg@5")
    assert not metric_names.is_maximized("error@0.3")


def test_toolkit_hyperparameters_do_not_count() -> None:
    assert validate({"num_round": "1", "sagemaker_region": "us-east-1"}) == {"num_round": 1}


def test_metric_definitions_cover_every_metric_and_find_it_in_an_escaped_line() -> None:
    definitions = json.loads((SOURCE / "xgboost/metric_definitions.json").read_text())
    by_name = {d["Name"]: d["Regex"] for d in definitions}
    every = {*metric_names.MAXIMIZE, *metric_names.MINIMIZE}
    assert set(by_name) == {f"{part}:{metric}" for part in ("train", "validation") for metric in every}
    assert by_name["validation:auc"] == r".*\[[0-9]+\].*#011validation-auc:(\S+)"
    line = "[12]\ttrain-auc:0.99\tvalidation-auc:0.91".replace("\t", "#011")
    found = re.match(by_name["validation:auc"], line)
    assert found is not None
    assert found[1] == "0.91"
    assert re.match(by_name["validation:aucpr"], line) is None


def test_algorithms_import_only_what_their_environment_has() -> None:
    everywhere = set(sys.stdlib_module_names) | {"numpy", "scipy", "pyarrow", "joblib"}
    beside = {"xgboost": {"xgboost"}, "pytorch": {"torch"}}
    for path in SOURCE.rglob("*.py"):
        allowed = everywhere | beside.get(path.parent.name, set())
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                own = module.startswith(("sagebrush.runtime", "sagebrush.algorithms"))
                assert own or module.split(".")[0] in allowed, f"{path}: {module}"
