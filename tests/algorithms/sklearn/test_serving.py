"""The default handlers of the scikit-learn image: estimators without code, and scripts that define only some."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.replicas import Start, starting, threads

_TRAIN = """
import sys, json, pathlib, pickle, joblib, io, numpy as np, scipy.sparse
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, OneHotEncoder
target = pathlib.Path(sys.argv[1])
x, y = load_diabetes(return_X_y=True)
linear = LinearRegression().fit(x, y)
joblib.dump(linear, target / "linear.joblib", compress=3)
(target / "linear.pkl").write_bytes(pickle.dumps(linear))
ix, iy = load_iris(return_X_y=True)
names = load_iris().target_names[iy]
classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(ix, names)
joblib.dump(classifier, target / "classifier.joblib")
towns = make_pipeline(OneHotEncoder(), LinearRegression()).fit([["Rome"], ["Oslo"], ["Rome"]], [1.0, 2.0, 1.0])
joblib.dump(towns, target / "towns.joblib")
one = LinearRegression().fit(x[:, :1], y)
joblib.dump(one, target / "one.joblib")
joblib.dump({"weights": 1}, target / "dictionary.joblib")
np.save(target / "rows.npy", x[:5])
scipy.sparse.save_npz(target / "rows.npz", scipy.sparse.csr_matrix(x[:5]))
np.save(target / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
json.dump({"rows": x[:5].tolist(), "linear": linear.predict(x[:5]).tolist(),
           "float32": linear.predict(x[:5].astype("float32")).tolist(),
           "iris": ix[::40].tolist(), "names": classifier.predict(ix[::40]).tolist(),
           "one": one.predict(x[:5, :1]).tolist()}, open(target / "truth.json", "w"))
print(json.dumps("done"))
"""


@pytest.fixture(scope="module")
def models(algorithm_environment: AlgorithmEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models")
    assert algorithm_environment.compute(_TRAIN, target) == "done"
    return target


@pytest.fixture
def truth(models: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((models / "truth.json").read_text())
    return made


@pytest.fixture
def start(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> Iterator[Start]:
    with starting(algorithm_environment, tmp_path, "sklearn") as begin:
        yield begin


def as_csv(rows: list[list[float]]) -> str:
    return "\n".join(",".join(map(repr, row)) for row in rows)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("model.joblib", "linear.joblib"),
        ("model.pkl", "linear.pkl"),
        ("anything.pkl", "linear.pkl"),
        ("my-estimator.joblib", "linear.joblib"),
    ],
)
def test_an_estimator_needs_no_code_and_predicts_as_it_does_directly(
    start: Start, models: Path, truth: dict[str, Any], name: str, file: str
) -> None:
    replica = start({name: (models / file).read_bytes(), "notes.txt": "x"})
    assert json.loads(replica.ask(json.dumps(truth["rows"]))[1]) == truth["linear"]


def test_every_content_type(start: Start, models: Path, truth: dict[str, Any]) -> None:
    replica = start({"model.joblib": (models / "linear.joblib").read_bytes()})
    for body, content_type in (
        (json.dumps(truth["rows"]), "application/json; charset=utf-8"),
        (as_csv(truth["rows"]), "text/csv"),
        (as_csv(truth["rows"]) + "\r\n", "text/csv; header=absent"),
        ((models / "rows.npy").read_bytes(), "application/x-npy"),
        ((models / "rows.npz").read_bytes(), "application/x-npz"),
    ):
        status, answer = replica.ask(body, content_type, "application/json")
        assert (status, json.loads(answer)) == (200, pytest.approx(truth["linear"], rel=1e-12)), content_type
    body = json.dumps(truth["rows"])
    lines = replica.ask(body, accept="text/csv")[1].decode().splitlines()
    assert [float(line) for line in lines] == truth["linear"]
    npy = replica.ask(body, accept="application/x-npy")[1]
    assert npy.startswith(b"\x93NUMPY")
    assert replica.ask(body, accept="image/png")[0] == 406


def test_one_row_may_stand_alone(start: Start, models: Path, truth: dict[str, Any]) -> None:
    replica = start({"model.joblib": (models / "linear.joblib").read_bytes()})
    row = truth["rows"][0]
    for body, content_type in ((json.dumps(row), "application/json"), (as_csv([row]), "text/csv")):
        assert json.loads(replica.ask(body, content_type)[1]) == pytest.approx(truth["linear"][:1])


def test_null_is_a_missing_number_and_a_request_without_a_type_is_json(
    start: Start, models: Path, truth: dict[str, Any]
) -> None:
    code = "import math\ndef predict_fn(data, model): return [[math.isnan(cell) for cell in row] for row in data]\n"
    replica = start({"model.joblib": (models / "linear.joblib").read_bytes(), "code/inference.py": code})
    assert replica.ask("[[1, null], [2.5, 3]]", "") == (200, b"[[false, true], [false, false]]")


def test_what_a_mac_puts_into_archives_is_no_model(start: Start, models: Path, truth: dict[str, Any]) -> None:
    model = (models / "linear.joblib").read_bytes()
    replica = start({"iris.joblib": model, "._iris.joblib": b"\0\5\x16\7", ".DS_Store": b"x"})
    assert json.loads(replica.ask(json.dumps(truth["rows"]))[1]) == pytest.approx(truth["linear"])


def test_one_column_is_not_taken_for_one_row(start: Start, models: Path, truth: dict[str, Any]) -> None:
    replica = start({"model.joblib": (models / "one.joblib").read_bytes()})
    column = "\n".join(repr(row[0]) for row in truth["rows"])
    assert json.loads(replica.ask(column, "text/csv")[1]) == pytest.approx(truth["one"])


def test_classes_and_words_pass_both_ways(start: Start, models: Path, truth: dict[str, Any]) -> None:
    replica = start({"model.joblib": (models / "classifier.joblib").read_bytes()})
    assert json.loads(replica.ask(json.dumps(truth["iris"]))[1]) == truth["names"]
    assert replica.ask(json.dumps(truth["iris"]), accept="text/csv")[1].decode().split() == truth["names"]
    towns = start({"model.joblib": (models / "towns.joblib").read_bytes()})
    assert json.loads(towns.ask('[["Oslo"], ["Rome"]]')[1]) == pytest.approx([2.0, 1.0])


def test_requests_that_cannot_be_answered_are_told(start: Start, models: Path) -> None:
    replica = start({"model.joblib": (models / "linear.joblib").read_bytes()})
    for body, content_type, expected in (
        ("", "application/json", (400, "The body is not application/json: Expecting value")),
        ("[[1, 2], [3]]", "application/json", (400, "The body is not application/json: ")),
        ('{"rows": 1}', "application/json", (400, "The body is a JSON object where a list of rows is wanted.")),
        ("7", "application/json", (400, "The body is a single value where rows are wanted.")),
        ("[[1, 2]]", "application/json", (400, "Unable to evaluate payload provided: X has 2 features, but")),
        ('[["a"]]', "application/json", (400, "Unable to evaluate payload provided: ")),
        (f"[[{'null,' * 9}1]]", "application/json", (400, "Unable to evaluate payload provided: Input X contains NaN")),
        (f'[["{"x" * 9000}"]]', "application/json", (400, "Unable to evaluate payload provided: ")),
        ("", "text/csv", (400, "The body is empty")),
        (
            "age,weight\n1,2",
            "text/csv",
            (400, "Line 1, column 1 of the CSV is 'age', not a number. CSV"),
        ),
        ("rubbish", "application/x-npy", (400, "The body is not application/x-npy: ")),
        (
            (models / "objects.npy").read_bytes(),
            "application/x-npy",
            (400, "The body is not application/x-npy: Obj"),
        ),
        ("rubbish", "application/x-npz", (400, "The body is not application/x-npz: ")),
        ("x", "image/png", (415, "Content type image/png is not supported; it may be application/json, text/csv, ")),
        ("x", "", (400, "The body is not application/json: Expecting value")),
    ):
        status, told = replica.ask(body, content_type)
        assert (status, told.decode()[: len(expected[1])]) == expected
        assert b"\n" not in told
        assert len(told) < 400


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "it holds notes.txt."),
        (["a.joblib", "b.joblib"], "it holds a.joblib, b.joblib, notes.txt."),
    ],
)
def test_a_model_that_cannot_be_found_is_told(start: Start, models: Path, files: list[str], told: str) -> None:
    replica = start({"notes.txt": "x"} | {name: (models / "linear.joblib").read_bytes() for name in files})
    assert replica.ended() == 1
    assert "model_fn is missing: define model_fn(model_dir)" in replica.failure
    assert told in replica.failure


def test_what_is_no_estimator_is_told(start: Start, models: Path) -> None:
    replica = start({"model.joblib": (models / "dictionary.joblib").read_bytes()})
    status, told = replica.ask("[[1]]")
    assert (status, told[:60]) == (500, b"TypeError: The model is a dict, which has no predict(): defi")
    replica = start({"model.joblib": b"rubbish"})
    assert replica.ended() == 1
    assert "numpy_pickle" in replica.failure


SCRIPT = """
import joblib, os
def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "linear.joblib"))
"""


def test_a_script_that_gives_only_model_fn_gets_32_bits_as_in_sagemakers_image(
    start: Start, models: Path, truth: dict[str, Any]
) -> None:
    replica = start({"linear.joblib": (models / "linear.joblib").read_bytes(), "code/inference.py": SCRIPT})
    assert json.loads(replica.ask(json.dumps(truth["rows"]))[1]) == truth["float32"]
    assert json.loads(replica.ask(as_csv(truth["rows"]), "text/csv")[1]) == truth["float32"]
    npy = replica.ask((models / "rows.npy").read_bytes(), "application/x-npy")[1]
    assert json.loads(npy) == truth["linear"]
    status, told = replica.ask('[["a"]]')
    assert (status, told[:40]) == (400, b"The body holds other than numbers: could")


def test_a_script_may_define_any_of_the_functions(start: Start, models: Path, truth: dict[str, Any]) -> None:
    files = {"linear.joblib": (models / "linear.joblib").read_bytes()}
    code = SCRIPT + "def predict_fn(data, model): return model.predict(data) * 2\n"
    doubled = json.loads(start(files | {"code/inference.py": code}).ask(json.dumps(truth["rows"]))[1])
    assert doubled == pytest.approx([2 * value for value in truth["linear"]], rel=1e-5)
    code = "def output_fn(prediction, accept): return f'{len(prediction)} {accept}', 'text/plain'\n"
    assert start(files | {"code/inference.py": code}).ask(json.dumps(truth["rows"])) == (200, b"5 application/json")
    code = "import numpy as np\ndef input_fn(body, content_type): return np.array(eval(body))\n"
    answer = start(files | {"code/inference.py": code}).ask(repr(truth["rows"]), "text/x-python")[1]
    assert json.loads(answer) == truth["linear"]


def test_workers_draw_different_random_numbers(start: Start) -> None:
    code = """
import numpy, random
def model_fn(model_dir): return None
def predict_fn(data, model): return [numpy.random.random(), random.random()]
"""
    replica = start({"code/inference.py": code}, workers=2)
    one, other = (json.loads(replica.ask("[1]", worker=worker)[1]) for worker in (0, 1))
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_the_parent_has_one_thread_and_workers_have_theirs(start: Start, models: Path) -> None:
    code = """
import numpy, threadpoolctl
def model_fn(model_dir): return None
def predict_fn(data, model):
    assert (numpy.ones((300, 300)) @ numpy.ones((300, 300)))[0, 0] == 300
    return sorted({pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
"""
    replica = start({"code/inference.py": code}, SM_NUM_CPUS="3")
    assert replica.ask("[1]") == (200, b"[3]")
    assert threads(replica.process.pid) == 1
