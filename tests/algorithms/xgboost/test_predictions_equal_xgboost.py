"""A job's model predicts what xgboost, called directly with the same parameters on the same data, predicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.jobs import Job, hyperparameters

_COMPARE = """
import sys, json, numpy as np, xgboost as xgb
train, validation, model, parameters, rounds = sys.argv[1:]
train, validation = (np.loadtxt(path, delimiter=",", dtype=np.float32) for path in (train, validation))
data = xgb.DMatrix(validation[:, 1:])
direct = xgb.train(json.loads(parameters), xgb.DMatrix(train[:, 1:], train[:, 0]), int(rounds))
job = xgb.Booster()
job.load_model(model)
mine, theirs = job.predict(data), direct.predict(data)
spread = float(np.std(theirs))
print(json.dumps([float(np.abs(mine - theirs).max()), spread, job.num_boosted_rounds()]))
"""

CASES = {
    "breast_cancer": {"objective": "binary:logistic", "max_depth": 3, "eta": 0.2, "subsample": 0.8, "seed": 3},
    "diabetes": {"objective": "reg:squarederror", "max_depth": 4, "lambda": 2.5, "min_child_weight": 3},
    "digits": {"objective": "multi:softprob", "num_class": 10, "colsample_bytree": 0.5, "max_depth": 4},
}


@pytest.mark.parametrize(("dataset", "kind"), [(d, "csv") for d in CASES] + [("breast_cancer", "parquet")])
def test_model_of_a_job_predicts_as_xgboost_called_directly(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path, dataset: str, kind: str
) -> None:
    parameters = CASES[dataset]
    content_type = {"csv": "text/csv", "parquet": "application/x-parquet"}[kind]
    job = Job(
        algorithm_environment,
        tmp_path,
        hyperparameters(num_round=12, **parameters),
        {"train": content_type, "validation": content_type},
    )
    for channel in job.content_types:
        job.add(channel, f"data.{kind}", datasets / f"{dataset}-{channel}.{kind}")
    assert job.run() == 0, job.output
    files = [datasets / f"{dataset}-{part}.csv" for part in ("train", "validation")]
    difference, spread, rounds = algorithm_environment.compute(_COMPARE, *files, job.model, json.dumps(parameters), 12)
    assert rounds == 12
    assert spread > 0.01
    assert difference < 1e-6 * max(1.0, spread)
    assert job.rounds() == list(range(12))
    assert (tmp_path / "output/success").exists()


def test_libsvm_with_a_weight_on_each_line_and_several_files(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    lines = (datasets / "digits-train.libsvm").read_text().splitlines(keepends=True)
    weighted = [
        f"{line.split(' ', 1)[0]}:{1 + number % 3} {line.split(' ', 1)[1]}" for number, line in enumerate(lines)
    ]
    job = Job(algorithm_environment, tmp_path, hyperparameters(num_round=4, max_depth=3), {"train": "text/libsvm"})
    job.add("train", "a.libsvm", "".join(weighted[:700]))
    job.add("train", "deeper/b.libsvm", "".join(weighted[700:]))
    assert job.run() == 0, job.output
    program = """
import sys, json, numpy as np, xgboost as xgb
from sklearn.datasets import load_svmlight_file
x, y = load_svmlight_file(sys.argv[1], zero_based=True, n_features=64)
weight = 1 + np.arange(len(y)) % 3
direct = xgb.train({"max_depth": 3}, xgb.DMatrix(x, y, weight=weight), 4)
job = xgb.Booster(model_file=sys.argv[2])
data = xgb.DMatrix(x)
print(json.dumps(float(np.abs(job.predict(data) - direct.predict(data)).max())))
"""
    assert algorithm_environment.compute(program, datasets / "digits-train.libsvm", job.model) < 1e-5


def test_csv_weights_are_the_second_column(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    lines = (datasets / "diabetes-train.csv").read_text().splitlines()
    weighted = "\n".join(f"{line.split(',', 1)[0]},{1 + n % 4},{line.split(',', 1)[1]}" for n, line in enumerate(lines))
    job = Job(algorithm_environment, tmp_path, hyperparameters(num_round=5, csv_weights=1))
    job.add("train", "weighted.csv", weighted + "\n")
    assert job.run() == 0, job.output
    program = """
import sys, json, numpy as np, xgboost as xgb
table = np.loadtxt(sys.argv[1], delimiter=",", dtype=np.float32)
data = xgb.DMatrix(table[:, 1:], table[:, 0], weight=1 + np.arange(len(table)) % 4)
plain = xgb.DMatrix(table[:, 1:], table[:, 0])
job = xgb.Booster(model_file=sys.argv[2])
gap = lambda other: float(np.abs(job.predict(plain) - other.predict(plain)).max())
print(json.dumps([gap(xgb.train({}, data, 5)), gap(xgb.train({}, plain, 5))]))
"""
    weighted_gap, plain_gap = algorithm_environment.compute(program, datasets / "diabetes-train.csv", job.model)
    assert weighted_gap < 1e-3
    assert plain_gap > 1.0


def test_missing_cells_are_missing_values(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> None:
    rows = [f"{n % 2},{'' if n % 2 else n},{n % 7}" for n in range(200)]
    job = Job(algorithm_environment, tmp_path, hyperparameters(num_round=3, objective="binary:logistic", max_depth=2))
    job.add("train", "gaps.csv", "\n".join(rows))
    assert job.run() == 0, job.output
    program = """
import sys, json, numpy as np, xgboost as xgb
job = xgb.Booster(model_file=sys.argv[1])
print(json.dumps(job.predict(xgb.DMatrix(np.array([[np.nan, 3.0], [4.0, 3.0]], np.float32))).tolist()))
"""
    missing, present = algorithm_environment.compute(program, job.model)
    assert missing > 0.6
    assert present < 0.4
