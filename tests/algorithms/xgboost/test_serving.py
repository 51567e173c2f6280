"""The default handlers of the XGBoost image predict what xgboost, called directly, predicts."""

from __future__ import annotations

import json
import math
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.replicas import Start, starting, threads
from tests.algorithms.xgboost.records import field, framed
from tests.runtime.serving.replica import Replica, answer_of, request_of

#: Trains models of every kind, and predicts with each of them for the same rows, called directly.
_TRAIN = """
import sys, json, pathlib, pickle, numpy as np, xgboost as xgb
target, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
truth = {}
def table(name, part="train"):
    return np.loadtxt(source / f"{name}-{part}.csv", delimiter=",", dtype=np.float32)
def keep(name, booster, rows, **how):
    booster.save_model(target / f"{name}.ubj")
    truth[name] = {"rows": rows.tolist(), "direct": booster.predict(xgb.DMatrix(rows), **how).tolist()}
cancer, digits, diabetes = table("breast_cancer"), table("digits"), table("diabetes")
dm = lambda t: xgb.DMatrix(t[:, 1:], t[:, 0])
binary = {"objective": "binary:logistic", "max_depth": 3, "seed": 3}
few = cancer[:7, 1:]
keep("binary", xgb.train(binary, dm(cancer), 12), few)
keep("binary2", xgb.train(binary | {"seed": 5, "subsample": 0.5}, dm(cancer), 5), few)
missing = few.copy(); missing[0, 0] = missing[3, 4] = np.nan
keep("missing", xgb.train(binary, dm(cancer), 12), missing)
keep("hinge", xgb.train(binary | {"objective": "binary:hinge"}, dm(cancer), 4), few)
multi = {"objective": "multi:softprob", "num_class": 10, "max_depth": 3}
keep("softprob", xgb.train(multi, dm(digits), 6), digits[:7, 1:])
keep("softmax", xgb.train(multi | {"objective": "multi:softmax"}, dm(digits), 6), digits[:7, 1:])
keep("regression", xgb.train({"max_depth": 4}, dm(diabetes), 9), diabetes[:7, 1:])
keep("linear", xgb.train({"booster": "gblinear"}, dm(diabetes), 9), diabetes[:7, 1:])
keep("dart", xgb.train({"booster": "dart", "rate_drop": 0.3, "seed": 1}, dm(diabetes), 9), diabetes[:7, 1:])
stopped = xgb.train({"max_depth": 8, "eta": 0.9}, dm(diabetes), 60, evals=[(dm(table("diabetes", "validation")), "v")],
                    early_stopping_rounds=5, verbose_eval=False)
assert stopped.best_iteration + 1 < stopped.num_boosted_rounds()
keep("stopped", stopped, diabetes[:7, 1:], iteration_range=(0, stopped.best_iteration + 1))
booster = xgb.train(binary, dm(cancer), 12)
(target / "pickled").write_bytes(pickle.dumps(booster))
(target / "pickled-long-ago").write_bytes(pickle.dumps(booster, protocol=0))
import joblib
joblib.dump(booster, target / "joblib")
joblib.dump(booster, target / "joblib-compressed", compress=3)
classifier = xgb.XGBClassifier(n_estimators=12, max_depth=3, seed=3).fit(cancer[:, 1:], cancer[:, 0])
(target / "classifier").write_bytes(pickle.dumps(classifier))
truth["classifier"] = {"rows": few.tolist(), "direct": classifier.predict_proba(few)[:, 1].tolist()}
(target / "truth.json").write_text(json.dumps(truth))
print(json.dumps("done"))
"""


@pytest.fixture(scope="module")
def models(
    algorithm_environment: AlgorithmEnvironment, datasets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    target = tmp_path_factory.mktemp("models")
    assert algorithm_environment.compute(_TRAIN, target, datasets) == "done"
    return target


@pytest.fixture
def start(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> Iterator[Start]:
    with starting(algorithm_environment, tmp_path, "xgboost") as begin:
        yield begin


def truth(models: Path, name: str) -> tuple[list[list[float]], Any]:
    entry = json.loads((models / "truth.json").read_text())[name]
    return entry["rows"], entry["direct"]


def serving(start: Start, models: Path, name: str, **variables: str) -> Replica:
    return start({"xgboost-model": (models / f"{name}.ubj").read_bytes()}, **variables)


def as_csv(rows: list[list[float]], mark: str = ",") -> str:
    return "\n".join(mark.join("" if cell != cell else repr(cell) for cell in row) for row in rows)


def from_csv(body: bytes) -> Any:
    rows = [[float(cell) for cell in line.split(",")] for line in body.decode().splitlines()]
    return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else rows


def single(values: list[float]) -> list[float]:
    """As they are in 32 bits."""
    return array("f", values).tolist()


def label_record(**labels: list[float]) -> bytes:
    """A record that has these labels, in 32 bits."""
    tensors = {name: field(2, field(1, struct.pack(f"<{len(numbers)}f", *numbers))) for name, numbers in labels.items()}
    return framed(b"".join(field(2, field(1, name.encode()) + field(2, t)) for name, t in tensors.items()))


KINDS = ["binary", "missing", "hinge", "softprob", "softmax", "regression", "linear", "dart", "stopped"]


@pytest.mark.parametrize("name", KINDS)
def test_predictions_equal_those_of_xgboost(start: Start, models: Path, name: str) -> None:
    rows, direct = truth(models, name)
    replica = serving(start, models, name)
    status, body = replica.ask(as_csv(rows), "text/csv")
    assert (status, from_csv(body)) == (200, direct), body
    # Row by row, ended by a line feed or not.
    singly = [from_csv(replica.ask(as_csv([row]) + end, "text/csv")[1])[0] for row in rows for end in ("", "\n")]
    assert singly == [value for value in direct for _ in range(2)]


def test_answers_in_every_type(start: Start, models: Path) -> None:
    rows, direct = truth(models, "softprob")
    replica = serving(start, models, "softprob")
    body = as_csv(rows)
    expected = {"predictions": [{"score": scores} for scores in direct]}
    assert json.loads(replica.ask(body, "text/csv", "application/json")[1]) == expected
    lines = replica.ask(body, "text/csv", "application/jsonlines")[1].decode().splitlines()
    assert [json.loads(line) for line in lines] == expected["predictions"]
    assert from_csv(replica.ask(body, "text/csv; charset=utf-8", "text/csv")[1]) == direct
    assert from_csv(replica.ask(body, "text/csv", "image/png, text/csv;q=0.5")[1]) == direct
    status, told = replica.ask(body, "text/csv", "application/x-recordio-protobuf")
    assert (status, told[:50]) == (406, b"Accept application/x-recordio-protobuf is not supp")


def test_clients_that_name_no_type_get_csv(start: Start, models: Path) -> None:
    rows, direct = truth(models, "softprob")
    with serving(start, models, "softprob").connect() as connection:
        connection.sendall(request_of(as_csv(rows), "text/csv"))
        status, headers, body = answer_of(connection)
    assert (status, headers["content-type"]) == (200, "text/csv")
    assert body.decode() == "".join(",".join(map(str, scores)) + "\n" for scores in direct)


def test_the_type_of_answers_for_clients_that_name_none_can_be_set(start: Start, models: Path) -> None:
    rows, direct = truth(models, "regression")
    replica = serving(start, models, "regression", SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/json")
    assert json.loads(replica.ask(as_csv(rows), "text/csv")[1])["predictions"][0] == {"score": direct[0]}


def test_the_rows_of_csv_have_lines_since_one_version(start: Start, models: Path) -> None:
    rows, direct = truth(models, "binary")
    body = as_csv(rows)
    for version, end in (("1.7-1", "\n"), ("1.2-2", "\n"), ("3.0-5", "\n")):
        lines = "".join(f"{value}{end}" for value in direct)
        assert serving(start, models, "binary", SAGEBRUSH_FRAMEWORK_VERSION=version).ask(body, "text/csv") == (
            200,
            lines.encode(),
        )
    for version in ("1", "0.90-2-cpu-py3", "1.0-1", "1.2-1"):
        replica = serving(start, models, "binary", SAGEBRUSH_FRAMEWORK_VERSION=version)
        assert replica.ask(body, "text/csv") == (200, ",".join(map(str, direct)).encode())


def test_a_batch_transform_gets_classes_in_brackets(start: Start, models: Path) -> None:
    rows, direct = truth(models, "softprob")
    status, body = serving(start, models, "softprob", SAGEMAKER_BATCH="true").ask(as_csv(rows), "text/csv")
    assert (status, [json.loads(line) for line in body.decode().splitlines()]) == (200, direct)


def test_what_is_answered_can_be_selected(start: Start, models: Path) -> None:
    rows, direct = truth(models, "binary")
    names = "predicted_label,labels,probability,probabilities,raw_score,raw_scores,predicted_score"
    replica = serving(start, models, "binary", SAGEMAKER_INFERENCE_OUTPUT=names)
    body = as_csv(rows)
    answered = json.loads(replica.ask(body, "text/csv", "application/json")[1])["predictions"]
    assert math.isnan(answered[0].pop("predicted_score"))
    assert answered[0] == {
        "predicted_label": int(direct[0] > 0.5),
        "labels": [0, 1],
        "probability": direct[0],
        "probabilities": [1 - direct[0], direct[0]],
        "raw_score": direct[0],
        "raw_scores": [1 - direct[0], direct[0]],
    }
    assert "predicted_score will be NaN" in replica.log
    assert replica.ask(body, "text/csv", "image/png")[0] == 406

    rows, direct = truth(models, "softprob")
    replica = serving(start, models, "softprob", SAGEMAKER_INFERENCE_OUTPUT="predicted_label, probabilities")
    labels = [scores.index(max(scores)) for scores in direct]
    lines = replica.ask(as_csv(rows), "text/csv", "application/jsonlines")[1].splitlines()
    assert [json.loads(line) for line in lines] == [
        {"predicted_label": label, "probabilities": scores} for label, scores in zip(labels, direct, strict=True)
    ]
    first = replica.ask(as_csv(rows), "text/csv")[1].decode().splitlines()[0]
    assert first == f'{labels[0]},"{direct[0]}"'
    records = replica.ask(as_csv(rows), "text/csv", "application/x-recordio-protobuf")[1]
    expected = [label_record(predicted_label=[labels[i]], probabilities=direct[i]) for i in range(len(rows))]
    assert records == b"".join(expected)


def test_of_other_objectives_nothing_can_be_selected(
    start: Start, models: Path, algorithm_environment: AlgorithmEnvironment
) -> None:
    program = "import sys, xgboost as xgb, numpy as np\nd = xgb.DMatrix(np.eye(4), np.arange(4) + 1)\n"
    program += "xgb.train({'objective': 'count:poisson'}, d, 1).save_model(sys.argv[1])\nprint(1)"
    algorithm_environment.compute(program, models / "poisson.ubj")
    replica = serving(start, models, "poisson", SAGEMAKER_INFERENCE_OUTPUT="predicted_score")
    assert replica.ended() == 1
    assert "this one has count:poisson" in replica.failure


@pytest.mark.parametrize("mark", [";", "\t", "|", " "])
def test_csv_may_be_separated_otherwise(start: Start, models: Path, mark: str) -> None:
    rows, direct = truth(models, "binary")
    assert from_csv(serving(start, models, "binary").ask(as_csv(rows, mark), "text/csv")[1]) == direct


def test_csv_as_other_programs_write_it(start: Start, models: Path) -> None:
    rows, direct = truth(models, "missing")
    replica = serving(start, models, "missing")
    plain = as_csv(rows)
    quoted = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in plain.split("\n"))
    for body in (plain.replace(",", ", "), plain.replace("\n", "\r\n") + "\r\n", quoted):
        assert from_csv(replica.ask(body, "text/csv")[1]) == direct


def test_long_csv_is_the_same(start: Start, models: Path) -> None:
    rows, direct = truth(models, "missing")
    replica = serving(start, models, "missing")
    assert from_csv(replica.ask(as_csv(rows * 300), "text/csv")[1]) == direct * 300
    full, expected = truth(models, "binary")
    assert from_csv(replica.ask(as_csv(full * 300), "text/csv")[1]) == expected * 300


@pytest.mark.parametrize("content_type", ["text/libsvm", "text/x-libsvm", "libsvm", ""])
def test_libsvm_leaves_out_what_is_missing_and_may_bring_labels(
    start: Start, models: Path, content_type: str, algorithm_environment: AlgorithmEnvironment
) -> None:
    rows, direct = truth(models, "missing")
    replica = serving(start, models, "missing")
    lines = [" ".join(f"{i}:{v!r}" for i, v in enumerate(row) if v == v) for row in rows]
    assert from_csv(replica.ask("\n".join(lines), content_type)[1]) == direct
    labelled = "\n".join(f"1 {line} # comment" for line in lines) + "\n"
    assert from_csv(replica.ask(labelled, content_type)[1]) == direct
    # Few features: the others are missing. Whatever the rows beside it have.
    alone = from_csv(replica.ask("3:0.5 7:1", content_type)[1])
    assert from_csv(replica.ask("0:1\n3:0.5 7:1", content_type)[1])[1] == alone[0]
    assert len(from_csv(replica.ask("0:1\n\n2:1", content_type)[1])) == 3


def test_parquet(
    start: Start, models: Path, datasets: Path, tmp_path: Path, algorithm_environment: AlgorithmEnvironment
) -> None:
    _, direct = truth(models, "missing")
    program = """
import sys, json, pyarrow as pa, pyarrow.parquet as pq
rows = json.loads(open(sys.argv[1]).read())["missing"]["rows"]
columns = [[None if v != v else v for v in column] for column in zip(*rows)]
pq.write_table(pa.table({f"c{i}": c for i, c in enumerate(columns)}), sys.argv[2])
print(json.dumps("done"))
"""
    algorithm_environment.compute(program, models / "truth.json", tmp_path / "rows.parquet")
    replica = serving(start, models, "missing")
    body = (tmp_path / "rows.parquet").read_bytes()
    assert from_csv(replica.ask(body, "application/x-parquet")[1]) == direct
    status, told = replica.ask(body[:100], "application/x-parquet")
    assert (status, told[:25]) == (400, b"The body is not applicati")


def test_several_models_are_an_ensemble(start: Start, models: Path) -> None:
    rows, one = truth(models, "binary")
    _, two = truth(models, "binary2")
    files: dict[str, str | bytes] = {
        f"xgboost-model-{name}": (models / f"{name}.ubj").read_bytes() for name in ("binary", "binary2")
    }
    files[".hidden"] = b"x"
    mean = from_csv(start(files).ask(as_csv(rows), "text/csv")[1])
    assert mean == pytest.approx([(a + b) / 2 for a, b in zip(one, two, strict=True)], rel=1e-6)
    first = start(files, SAGEMAKER_INFERENCE_ENSEMBLE="false").ask(as_csv(rows), "text/csv")[1]
    assert from_csv(first) == one


def test_classes_of_an_ensemble_are_voted_on(start: Start, models: Path) -> None:
    rows, direct = truth(models, "softmax")
    body = (models / "softmax.ubj").read_bytes()
    assert from_csv(start({"a": body, "b": body, "c": body}).ask(as_csv(rows), "text/csv")[1]) == direct


def test_what_is_no_model_beside_the_model_is_left_out(start: Start, models: Path) -> None:
    rows, direct = truth(models, "binary")
    model = (models / "binary.ubj").read_bytes()
    replica = start({"xgboost-model": model, "._xgboost-model": b"\0\5\x16\7", ".DS_Store": b"x", "notes.txt": b"hi"})
    assert from_csv(replica.ask(as_csv(rows), "text/csv")[1]) == direct
    assert "Left out: notes.txt cannot be loaded" in replica.log
    assert "DS_Store" not in replica.log


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("pickled", "binary"),
        ("pickled-long-ago", "binary"),
        ("joblib", "binary"),
        ("joblib-compressed", "binary"),
        ("classifier", "classifier"),
    ],
)
def test_a_pickle_is_a_model_too(start: Start, models: Path, file: str, name: str) -> None:
    rows, direct = truth(models, name)
    replica = start({"xgboost-model": (models / file).read_bytes()})
    assert from_csv(replica.ask(as_csv(rows), "text/csv")[1]) == direct


def test_requests_that_cannot_be_answered_are_told(start: Start, models: Path) -> None:
    rows, _ = truth(models, "binary")
    replica = serving(start, models, "binary")
    width = len(rows[0])
    for body, content_type, expected in (
        ("", "text/csv", (204, "")),
        ("\n \n", "text/csv", (400, "The body is empty: at least one row is needed.")),
        ("1,2\n3,abc", "text/csv", (400, "Line 2, column 2 of the CSV is 'abc', not a number. CSV has no header.")),
        ("1,2\n3", "text/csv", (400, "Line 2 of the CSV has 1 columns, the first has 2.")),
        ("1,2", "text/csv", (400, "Unable to evaluate payload provided: Feature size of the inference data 2 is not ")),
        (f"{width}:1", "text/libsvm", (400, "Unable to evaluate payload provided: Feature size of the inference data")),
        ("0:x", "text/libsvm", (400, "Line 1 of the LibSVM data: could not convert string to float: 'x'")),
        ("-1:2", "text/libsvm", (400, "Line 1 of the LibSVM data: -1 is not a feature number")),
        (b"\xff\xfe", "text/csv", (400, "The body is not text/csv: 'utf-8' codec can't decode byte 0xff")),
        ("PAR1", "application/x-parquet", (400, "The body is not application/x-parquet: ")),
        ("1", "image/png", (415, "Content type image/png is not supported; it may be text/csv, text/libsvm, app")),
        (
            "1",
            "application/x-recordio-protobuf",
            (400, "The body is not application/x-recordio-protobuf: record 1 ends"),
        ),
        ("0:1\n9999999999:1", "text/libsvm", (400, "Line 2 of the LibSVM data: 9999999999 is not a feature number")),
        ("[1]", "application/json", (415, "Content type application/json is not supported")),
    ):
        status, told = replica.ask(body, content_type)
        assert (status, told.decode()[: len(expected[1])]) == expected
        assert b"\n" not in told
    assert replica.ask(as_csv(rows), "text/csv")[0] == 200


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"code/readme.txt": "x"}, "the archive has no file xgboost-model, nor any other"),
        ({"xgboost-model": b"{}"}, "xgboost-model cannot be loaded as a model by XGBoost 3"),
        ({"xgboost-model": b"rubbish"}, "xgboost-model cannot be loaded as a model by XGBoost 3"),
        ({"xgboost-model": b"\x80\x04N."}, "xgboost-model is a pickled NoneType, not a Booster"),
        ({"xgboost-model": b"\x80rubbish"}, "xgboost-model cannot be loaded as a model by XGBoost 3"),
    ],
)
def test_what_is_no_model_is_told(start: Start, files: dict[str, str | bytes], told: str) -> None:
    replica = start(files)
    assert replica.ended() == 1
    assert told in replica.failure


SCRIPT = """
import os, xgboost
def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model"))
    return booster
"""


@pytest.mark.parametrize("code", [SCRIPT, "import xgboost\nassert xgboost.DMatrix\n"])
def test_a_script_gets_a_matrix_of_xgboosts_and_answers_plainly(start: Start, models: Path, code: str) -> None:
    rows, direct = truth(models, "softprob")
    files = {"xgboost-model": (models / "softprob.ubj").read_bytes()}
    replica = start(files | {"code/inference.py": code})
    assert json.loads(replica.ask(as_csv(rows), "text/csv")[1]) == direct
    # With as few digits as tell numbers of 32 bits apart.
    answered = from_csv(replica.ask(as_csv(rows), "text/csv", "text/csv")[1])
    assert [single(row) for row in answered] == direct
    assert answered != direct
    own = code + "def predict_fn(data, model): return type(data).__name__\n"
    assert start(files | {"code/inference.py": own}).ask(as_csv(rows), "text/csv") == (200, b'"DMatrix"')


def test_the_parent_has_one_thread_and_workers_share_what_it_imported(start: Start, models: Path) -> None:
    rows, direct = truth(models, "binary")
    for files in ({}, {"code/inference.py": SCRIPT}):
        replica = start(
            {"xgboost-model": (models / "binary.ubj").read_bytes(), **files}, SM_NUM_CPUS="4", PYTHONVERBOSE="1"
        )
        assert replica.ask(as_csv(rows), "text/csv", "text/csv")[0] == 200
        assert threads(replica.process.pid) == 1
        assert replica.log.count("import 'xgboost.core'") == 1
        assert (direct, replica.process.poll()) == (direct, None)


def test_the_built_in_handlers_leave_out_what_they_do_not_need(start: Start, models: Path) -> None:
    replica = serving(start, models, "binary", PYTHONVERBOSE="1")
    assert replica.ask("", path="/ping")[0] == 200
    assert "import 'sklearn'" not in replica.log
    assert "import 'pyarrow'" not in replica.log
