"""Requests of type application/x-recordio-protobuf, good and bad; and rubbish of every other type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.replicas import Start, starting
from tests.algorithms.xgboost.records import FLOAT64, INT32, dense, field, framed, sparse, varint

_TYPE = "application/x-recordio-protobuf"
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
        (framed(b"\x0a" + b"\xff" * 40), b"record 1 ends too early"),
        (framed(field(1, field(1, b"values") + b"\x10\x01")), b"record 1 is not of the message aialgs.data.Record"),
        (sparse([1, 2], [0], 3), b"record 1 has 1 keys for 2 values"),
        (sparse([1], [2**63 - 1], 3), b"a feature number is beyond 2147483647"),
        (sparse([1], [2**64 - 1], 3), b"a feature number is beyond 2147483647"),
        (sparse([1], [0], 2**64 - 1), b"a feature number is beyond 2147483647"),
    ):
        status, answer = replica.ask(body, _TYPE)
        assert (status, answer[: len(told) + 54]) == (400, b"The body is not application/x-recordio-protobuf: " + told)


#: Rubbish that resembles what is read. Prints what was neither read nor refused, or took long.
_FUZZ = r"""
import json, random, resource, sys, time, warnings
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from sagebrush.algorithms.sklearn import serving as sklearn
from sagebrush.algorithms.xgboost import serving
from sagebrush.runtime.serving import codecs
chance = random.Random(11)
good = [bytes.fromhex(text) for text in sys.argv[1].split()]
def mutated():
    body = bytearray(chance.choice(good))
    for _ in range(chance.randrange(1, 4)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body[: chance.randrange(1, len(body) + 1)] if chance.random() < 0.3 else body)
def of(letters, most):
    return bytes(chance.choices(letters, k=chance.randrange(1, most)))
kinds = {
    codecs.RECORDIO: mutated,
    "text/libsvm": lambda: of(b"0123456789:. -#\n\te+infa", 40),
    "text/csv": lambda: of(b"0123456789,;. -\n\r\te+infa\"|\xff\0\x85", 60),
    "application/json": lambda: of(b"[[[]]],,0123456789.nul{}\"a:", 40),
    "application/x-npy": lambda: b"\x93NUMPY\1\0v\0" + of(b"{'descr':<f48,()fortran_ordeshapeFlTu 0123456789}", 120),
    "application/x-parquet": lambda: b"PAR1" + chance.randbytes(50) + b"PAR1",
}
wrong = []
for _ in range(4000):
    for kind, make in kinds.items():
        body, began = make(), time.process_time()
        try:
            (serving if kind not in ("application/json", "application/x-npy") else sklearn).input_fn(body, kind)
        except codecs.Refused as refused:
            told = str(refused)
            if "\n" in told or len(told) > 400:
                wrong.append([kind, repr(body), told])
        except BaseException as error:
            wrong.append([kind, repr(body), repr(error)])
        if time.process_time() - began > 5:
            wrong.append([kind, repr(body), "slow"])
print(json.dumps(wrong[:5]))
"""


def test_no_bytes_are_anything_but_read_or_refused(algorithm_environment: AlgorithmEnvironment) -> None:
    good = [dense([1, 2, 3]) * 3, dense([1, 2, 3], FLOAT64), dense([1, -5], INT32), sparse([1, 2], [0, 7], 9)]
    assert algorithm_environment.compute(_FUZZ, " ".join(body.hex() for body in good)) == []
