"""Whatever a user gets wrong is told in the failure file: what, the value, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.jobs import Job, hyperparameters

CSV = "1,2,3\n0,1,2\n1,3,3\n0,0,1\n"


def failed(environment: AlgorithmEnvironment, base: Path, **changes: Any) -> str:
    values = changes.pop("hyperparameters", hyperparameters(num_round=2))
    content = changes.pop("content", CSV)
    job = Job(environment, base, values, **changes)
    if content is not None:
        for channel in job.content_types:
            job.add(channel, "data.txt", content)
    assert job.run() == 1
    assert not job.model.exists()
    assert job.failure.startswith("ClientError: ")
    assert job.failure in job.output
    return job.failure


def test_every_wrong_hyperparameter_is_named_with_value_and_legal_values(
    algorithm_environment: AlgorithmEnvironment, tmp_path: Path
) -> None:
    reason = failed(algorithm_environment, tmp_path, hyperparameters={"eta": "7", "max_depth": "deep"})
    assert "Hyperparameter eta: 7 is not in [0, 1]" in reason
    assert "Hyperparameter max_depth: could not parse value 'deep'; it must be an integer in [0, +∞)" in reason
    assert "Missing required hyperparameter: num_round" in reason


def test_csv_without_content_type_is_recognised(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> None:
    reason = failed(algorithm_environment, tmp_path, content_types={"train": None})
    assert "First line '1,2,3...' of file 'data.txt' is not 'LIBSVM' format" in reason
    assert "set ContentType text/csv" in reason


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("text/csv", "target,age\n1,2\n", "'target' is not a number: CSV for XGBoost has no header"),
        ("text/csv", "1 0:3 4:5\n", "It looks like LIBSVM"),
        ("text/csv", "1,2,3\n0,1\n", "Expected 3 columns, got 2"),
        ("text/csv", "1,2\n0,spam\n", "spam"),
        ("text/csv", "1\n0\n", "it needs a label and features"),
        ("text/csv", ",2\n1,3\n", "The label in row 1"),
        ("text/libsvm", "1 0:3\n0 2:x\n", "data.txt, line 2"),
        ("application/x-parquet", CSV, "is not 'PARQUET' format"),
        ("application/json", CSV, "application/json is not an accepted ContentType"),
        ("text/csv;label_size=0", CSV, "label_size must be equal to 1"),
        ("text/csv", None, "No data in training channel path"),
    ],
)
def test_data_that_cannot_be_read_is_told_with_its_file(
    algorithm_environment: AlgorithmEnvironment, tmp_path: Path, kind: str, content: str | None, told: str
) -> None:
    assert told in failed(algorithm_environment, tmp_path, content_types={"train": kind}, content=content)


def test_missing_and_unknown_channels_are_named(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> None:
    kinds = {"validation": "text/csv"}
    assert "Missing required channel: train" in failed(algorithm_environment, tmp_path / "a", content_types=kinds)
    kinds = {"train": "text/csv", "test": "text/csv"}
    assert "Extraneous channel found: test" in failed(algorithm_environment, tmp_path / "b", content_types=kinds)


def test_pipe_mode_is_refused(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> None:
    reason = failed(algorithm_environment, tmp_path, channel_config={"TrainingInputMode": "Pipe"})
    assert "Pipe mode is no longer supported" in reason


def test_labels_that_do_not_fit_the_objective_are_the_callers_fault(
    algorithm_environment: AlgorithmEnvironment, tmp_path: Path
) -> None:
    values = hyperparameters(num_round=2, objective="binary:logistic")
    reason = failed(algorithm_environment, tmp_path, hyperparameters=values, content="7,1\n3,2\n")
    assert "label must be in [0,1] for logistic regression" in reason
    assert "Stack trace" not in reason
