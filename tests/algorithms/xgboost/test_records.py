"""Requests of type application/x-recordio-protobuf, good and bad; and rubbish of every other type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.algorithms.environment import ROOT, AlgorithmEnvironment
from tests.algorithms.replicas import Start, starting
from tests.algorithms.xgboost.records import FLOAT64, INT32, dense, features, field, framed, sparse, varint

_TYPE = "application/x-recordio-protobuf"
_REFUSED = b"The body is not application/x-recordio-protobuf: "
#: A model of three features: which of them are given shows in the prediction.
_TRAIN = """
import sys, itertools, numpy as np, xgboost as xgb
rows = np.array(list(itertools.product([0, 1], repeat=3)), np.float32)
booster = xgb.train({"eta": 1, "lambda": 0, "base_score": 0}, xgb.DMatrix(rows, rows @ [1, 2, 4]), 1)
booster.save_model(sys.argv[1])
print(1)
"""


@pytest.fixture
def start(algorithm_environment: AlgorithmEnvironment, tmp_path: Path) -> Iterator[Start]:
    with starting(algorithm_environment, tmp_path, "xgboost") as begin:
        yield begin


def test_records_of_every_kind_are_rows(
    start: Start, algorithm_environment: AlgorithmEnvironment, tmp_path: Path
) -> None:
    algorithm_environment.compute(_TRAIN, tmp_path / "model.ubj")
    replica = start({"xgboost-model": (tmp_path / "model.ubj").read_bytes()})
    for body, expected in (
        (dense([1, 0, 1]), [5]),
        (dense([1, 0, 1]) + dense([0, 1, 1]), [5, 6]),
        (dense([1, 0, 1], FLOAT64), [5]),
        (dense([1, 1, 0], INT32), [3]),
        (dense([-1, 1, 1], INT32), [6]),
        (sparse([0, 0, 1], [0, 1, 2], 3) + dense([1, 1, 1]), [4, 7]),
    ):
        status, answer = replica.ask(body, _TYPE)
        assert (status, [round(float(line)) for line in answer.split()]) == (200, expected)
    # What a sparse record leaves out is missing, as in LibSVM.
    assert replica.ask(sparse([1], [0], 3), _TYPE) == replica.ask("0:1", "text/libsvm")
    for body, told in (
        (dense([1, 0, 1]) + dense([1]), b"records have different numbers of features (1, 3)"),
        (dense([1, 0, 1])[:-2], b"record 1 ends too early"),
        (b"1234" + dense([1]), b"byte 0 does not begin a record"),
        (framed(b""), b"record 1 has no tensor of features named 'values'"),
        (framed(b"\x0b"), b"a record is not of protobuf (wire type 3)"),
        (framed(b"\x0a" + varint(2**60)), b"record 1 ends too early"),
        (framed(b"\x0a" + b"\xff" * 5_000_000), b"a record is not of protobuf (a number of more than ten bytes"),
        (framed(field(1, field(1, b"values") + b"\x10\x01")), b"record 1 is not of the message aialgs.data.Record"),
        (framed(field(1, b"\x08" + varint(2**62))), b"record 1 has no tensor of features named 'values'"),
        (features(INT32, b"\x0d1234"), b"record 1 is not of the message aialgs.data.Record"),
        (features(INT32, b"\x08" + b"\xff" * 9 + b"\x7f") * 2 + dense([]), b"records have different numbers of fea"),
        (sparse([1, 2], [0], 3), b"record 1 has 1 keys for 2 values"),
        (sparse([1], [2**63 - 1], 3), b"a feature number is beyond 2147483647"),
        (sparse([1], [2**64 - 1], 3), b"a feature number is beyond 2147483647"),
        (sparse([1], [0], 2**64 - 1), b"a feature number is beyond 2147483647"),
    ):
        status, answer = replica.ask(body, _TYPE)
        assert (status, answer[: len(_REFUSED + told)]) == (400, _REFUSED + told)


def test_no_bytes_are_anything_but_read_or_refused(algorithm_environment: AlgorithmEnvironment) -> None:
    program = f"import json, sys; sys.path.insert(0, {str(ROOT)!r})\n"
    program += "from tests.algorithms.xgboost import rubbish; print(json.dumps(rubbish.wrong(11, 4000)))"
    assert algorithm_environment.compute(program) == []


def test_long_and_short_csv_are_read_alike(algorithm_environment: AlgorithmEnvironment) -> None:
    """Whichever of the two readers takes a table, the one for long tables or the other."""
    program = """
import json, random, numpy as np
from sagebrush.runtime.serving import codecs
chance, differing = random.Random(7), []
def read(text, long):
    codecs._LONG_CSV = 0 if long else 1 << 30
    try:
        return codecs.csv_table(text, chosen)
    except codecs.Unreadable as error:
        return str(error)
for _ in range(4000):
    chosen = chance.choice(",; ")
    text = "".join(chance.choices("0123456789,,;;\\n\\n. -e\\r\\tnaif\\"#_", k=chance.randrange(1, 60)))
    one, other = read(text, True), read(text, False)
    if type(one) is not type(other) or not (one == other if isinstance(one, str) else np.array_equal(one, other, True)):
        differing.append([text, repr(one), repr(other)])
print(json.dumps(differing[:5]))
"""
    assert algorithm_environment.compute(program) == []
