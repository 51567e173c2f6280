"""What a job does on its way: metric lines, early stopping, checkpoints, stopping, several hosts."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.jobs import Job, hyperparameters


def breast_cancer(environment: AlgorithmEnvironment, datasets: Path, base: Path, **values: Any) -> Job:
    kinds = {"train": "text/csv;label_size=1", "validation": "text/csv"}
    job = Job(environment, base, hyperparameters(objective="binary:logistic", **values), kinds)
    for channel in kinds:
        job.add(channel, "data.csv", datasets / f"breast_cancer-{channel}.csv")
    return job


def wait_for_round(process: subprocess.Popen[str], number: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"[{number}]"):
            return
    raise AssertionError("the job ended before that round")


def test_metric_lines_are_found_by_the_documented_expressions(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    job = breast_cancer(algorithm_environment, datasets, tmp_path, num_round=6, eval_metric="auc,error,f1,mse")
    assert job.run() == 0, job.output
    for name in ("train-auc", "validation-auc", "validation-error", "validation-f1", "validation-mse"):
        assert len(job.metric(name)) == 6, name
    assert job.metric("validation-auc")[-1] > 0.97
    assert job.metric("train-mse")[-1] < job.metric("train-mse")[0]
    first = next(line for line in job.output.splitlines() if line.startswith("[0]"))
    assert first.startswith("[0]\ttrain-auc:")


def test_a_job_starts_without_importing_scikit_learn_though_it_is_there(
    algorithm_environment: AlgorithmEnvironment,
) -> None:
    program = """
import sys, json
from sagebrush.algorithms.xgboost.lean_imports import lean_imports
with lean_imports():
    import xgboost
    try:
        import sklearn
        inside = True
    except ImportError:
        inside = False
import sklearn
print(json.dumps([inside, xgboost.compat.SKLEARN_INSTALLED, sklearn.__version__]))
"""
    assert algorithm_environment.compute(program) == [False, False, "1.9.1"]


def test_every_custom_metric_has_the_value_of_scikit_learn(algorithm_environment: AlgorithmEnvironment) -> None:
    program = """
import json, numpy as np, xgboost as xgb
from sklearn import metrics as sk
from sagebrush.algorithms.xgboost import metric_names, metrics
random = np.random.default_rng(5)
truth, chance = random.integers(0, 2, 300), random.random(300).astype(np.float32)
many, scores = random.integers(0, 5, 300), random.random((300, 5)).astype(np.float32)
values = (truth + random.normal(size=300)).astype(np.float32)
def ours(names, objective, predictions, labels):
    data = xgb.DMatrix(np.zeros((len(labels), 1)), label=labels)
    return dict(metrics.custom_metric(sorted(names), objective)(predictions, data))
of_two = {"accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "precision", "recall"}
of_many = {"accuracy", "balanced_accuracy", "f1_macro"}
of_many |= {f"{score}_{average}" for score in ("precision", "recall") for average in ("macro", "micro")}
two, five = (chance > 0.5).astype(int), scores.argmax(1)
pairs = [
    (ours(of_two, "binary:logistic", chance, truth), {
        "accuracy": sk.accuracy_score(truth, two), "balanced_accuracy": sk.balanced_accuracy_score(truth, two),
        "f1": sk.f1_score(truth, two, average="macro"), "f1_binary": sk.f1_score(truth, two),
        "f1_macro": sk.f1_score(truth, two, average="macro"), "precision": sk.precision_score(truth, two),
        "recall": sk.recall_score(truth, two)}),
    (ours(of_many, "multi:softprob", scores, many), {
        "accuracy": sk.accuracy_score(many, five), "balanced_accuracy": sk.balanced_accuracy_score(many, five),
        "f1_macro": sk.f1_score(many, five, average="macro"),
        "precision_macro": sk.precision_score(many, five, average="macro"),
        "precision_micro": sk.precision_score(many, five, average="micro"),
        "recall_macro": sk.recall_score(many, five, average="macro"),
        "recall_micro": sk.recall_score(many, five, average="micro")}),
    (ours({"mse", "r2"}, "reg:squarederror", values, truth), {
        "mse": sk.mean_squared_error(truth, values), "r2": sk.r2_score(truth, values)}),
    (ours({"accuracy"}, "multi:softmax", five.astype(np.float32), many), {"accuracy": sk.accuracy_score(many, five)}),
    (ours({"accuracy"}, "binary:logitraw", chance - 0.5, truth), {"accuracy": sk.accuracy_score(truth, two)}),
]
covered = set().union(*(mine for mine, _ in pairs))
print(json.dumps([sorted(set(metric_names.CUSTOM) - covered), [[mine, theirs] for mine, theirs in pairs]]))
"""
    uncovered, pairs = algorithm_environment.compute(program)
    assert uncovered == []
    for mine, theirs in pairs:
        assert mine == pytest.approx(theirs, rel=1e-6)


def test_early_stopping_keeps_the_best_rounds(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    values = {"num_round": 200, "eval_metric": "error,logloss", "early_stopping_rounds": 3, "eta": 1.0}
    job = breast_cancer(algorithm_environment, datasets, tmp_path, **values)
    assert job.run() == 0, job.output
    losses = job.metric("validation-logloss")
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 3
    program = "import sys, xgboost as xgb; print(xgb.Booster(model_file=sys.argv[1]).num_boosted_rounds())"
    assert algorithm_environment.compute(program, job.model) == best + 1


def test_checkpoints_are_kept_and_resumed_from_the_highest_valid_one(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    whole = breast_cancer(algorithm_environment, datasets, tmp_path / "whole", num_round=10)
    assert whole.run() == 0, whole.output

    first = breast_cancer(algorithm_environment, datasets, tmp_path / "first", num_round=8)
    checkpoints = tmp_path / "first/checkpoints"
    checkpoints.mkdir()
    assert first.run() == 0, first.output
    assert sorted(p.name for p in checkpoints.iterdir()) == [f"xgboost-checkpoint.{n}" for n in range(3, 8)]

    second = breast_cancer(algorithm_environment, datasets, tmp_path / "second", num_round=10)
    shutil.copytree(checkpoints, tmp_path / "second/checkpoints")
    (tmp_path / "second/checkpoints/xgboost-checkpoint.7").write_bytes(b"torn")
    assert second.run() == 0, second.output
    assert second.rounds() == [7, 8, 9]
    assert "xgboost-checkpoint.7 is not valid" in second.output
    program = """
import sys, json, numpy as np, xgboost as xgb
data = xgb.DMatrix(np.loadtxt(sys.argv[3], delimiter=",", dtype=np.float32)[:, 1:])
one, two = (xgb.Booster(model_file=path).predict(data) for path in sys.argv[1:3])
print(json.dumps(float(np.abs(one - two).max())))
"""
    file = datasets / "breast_cancer-validation.csv"
    assert algorithm_environment.compute(program, whole.model, second.model, file) < 1e-6


def test_a_checkpoint_that_is_being_uploaded_is_not_deleted(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    job = breast_cancer(algorithm_environment, datasets, tmp_path, num_round=7)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/xgboost-checkpoint.0.sagemaker-uploading").touch()
    assert job.run() == 0, job.output
    names = {p.name for p in (tmp_path / "checkpoints").iterdir()}
    assert "xgboost-checkpoint.0" in names
    assert "xgboost-checkpoint.1" not in names


def test_sigterm_saves_the_model_of_the_rounds_that_are_done(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    job = breast_cancer(algorithm_environment, datasets, tmp_path, num_round=100_000)
    process = job.start()
    wait_for_round(process, 3)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    program = "import sys, xgboost as xgb; print(xgb.Booster(model_file=sys.argv[1]).num_boosted_rounds())"
    assert 4 <= algorithm_environment.compute(program, job.model) < 100_000
    assert not (tmp_path / "output/failure").exists()


def test_two_hosts_train_one_model_and_only_the_first_saves_it(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    hosts = ("127.0.71.1", "127.0.71.2", "127.0.71.3")
    rows = (datasets / "diabetes-train.csv").read_text().splitlines(keepends=True)
    parts: tuple[list[str], ...] = (rows[:150], [], rows[150:])
    jobs = []
    for host, part in zip(hosts, parts, strict=True):
        job = Job(
            algorithm_environment,
            tmp_path / host,
            hyperparameters(num_round=10, tree_method="hist", max_depth=3, eval_metric="rmse,mse"),
            host=host,
            hosts=hosts,
        )
        if part:
            job.add("train", "part.csv", "".join(part))
        jobs.append(job)
    processes = [job.start() for job in jobs]
    for job, process in zip(jobs, processes, strict=True):
        job.output = process.communicate(timeout=120)[0]
        assert process.returncode == 0, job.output
    assert [job.model.exists() for job in jobs] == [True, False, False]
    assert [len(job.rounds()) for job in jobs] == [10, 0, 0]
    assert "will not take part" in jobs[1].output
    program = """
import sys, json, numpy as np, xgboost as xgb
table = np.loadtxt(sys.argv[1], delimiter=",", dtype=np.float32)
data = xgb.DMatrix(table[:, 1:], table[:, 0])
error = lambda booster: float(np.sqrt(np.mean((booster.predict(data) - table[:, 0]) ** 2)))
alone = xgb.train({"tree_method": "hist", "max_depth": 3}, data, 10)
half = xgb.train({"tree_method": "hist", "max_depth": 3}, data.slice(range(150)), 10)
print(json.dumps([error(xgb.Booster(model_file=sys.argv[2])), error(alone), error(half)]))
"""
    together, alone, half = algorithm_environment.compute(program, datasets / "diabetes-train.csv", jobs[0].model)
    assert together == pytest.approx(alone, rel=0.05)
    assert together < half * 0.95


def test_sigterm_to_all_hosts_ends_them_together(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    hosts = ("127.0.72.1", "127.0.72.2")
    jobs = [
        breast_cancer(algorithm_environment, datasets, tmp_path / host, num_round=100_000, nthread=1) for host in hosts
    ]
    for job, host in zip(jobs, hosts, strict=True):
        job.host, job.hosts = host, hosts
    processes = [job.start() for job in jobs]
    wait_for_round(processes[0], 3)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
    assert [job.model.exists() for job in jobs] == [True, False]


def test_tuning_objective_is_logged_and_decides_early_stopping(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path: Path
) -> None:
    values = {"num_round": 100, "eval_metric": "logloss", "early_stopping_rounds": 2, "eta": 1.0}
    job = breast_cancer(
        algorithm_environment, datasets, tmp_path, **values, _tuning_objective_metric="validation:accuracy"
    )
    assert job.run() == 0, job.output
    accuracies = job.metric("validation-accuracy")
    assert len(accuracies) == accuracies.index(max(accuracies)) + 1 + 2
    assert len(json.dumps(job.metric("validation-logloss"))) > 2
