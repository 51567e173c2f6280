"""The default handlers of the PyTorch image: TorchScript without code, and scripts that define only some."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.algorithms import environment
from tests.algorithms.environment import AlgorithmEnvironment
from tests.algorithms.replicas import Start, starting, threads

# The first of them may have to wait until the environment is built.
pytestmark = pytest.mark.timeout(600)

_TRAIN = """
import sys, json, pathlib, numpy as np, torch
from torch import nn
target = pathlib.Path(sys.argv[1])
torch.manual_seed(7)
network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
torch.jit.script(network).save(target / "network.pt")
torch.save(network.state_dict(), target / "state.pth")

class Named(nn.Module):
    def forward(self, rows):
        return {"sum": rows.sum(dim=1), "half": (rows / 2).to(torch.bfloat16)}

torch.jit.trace(Named(), torch.zeros(1, 2), strict=False).save(target / "named.pt")
torch.jit.script(nn.Embedding(3, 2)).save(target / "embedding.pt")
rows = torch.randn(5, 4)
np.save(target / "rows.npy", rows.numpy())
np.save(target / "numbers.npy", np.array([2, 0]))
np.save(target / "words.npy", np.array(["a", "b"]))
network.eval()
json.dump({"rows": rows.tolist(), "answers": network(rows).tolist()}, open(target / "truth.json", "w"))
print(json.dumps("done"))
"""


@pytest.fixture(scope="module")
def pytorch() -> AlgorithmEnvironment:
    return environment.pytorch()


@pytest.fixture(scope="module")
def models(pytorch: AlgorithmEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models")
    assert pytorch.compute(_TRAIN, target) == "done"
    return target


@pytest.fixture(scope="module")
def truth(models: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((models / "truth.json").read_text())
    return made


@pytest.fixture
def start(pytorch: AlgorithmEnvironment, tmp_path: Path) -> Iterator[Start]:
    with starting(pytorch, tmp_path, "pytorch") as begin:
        yield begin


def test_torchscript_needs_no_code_and_answers_every_type_as_the_model_does(
    start: Start, models: Path, truth: dict[str, Any]
) -> None:
    """Dropout would show at once if it were not in evaluation mode."""
    replica = start({"model.pt": (models / "network.pt").read_bytes(), "other.pt": b"a second one is no matter"})
    csv = "\n".join(",".join(map(repr, row)) for row in truth["rows"])
    for body, content_type in (
        (json.dumps(truth["rows"]), "application/json"),
        (csv, "text/csv"),
        ((models / "rows.npy").read_bytes(), "application/x-npy"),
    ):
        status, answer = replica.ask(body, content_type)
        assert status == 200, answer
        assert [pytest.approx(row, abs=1e-6) for row in truth["answers"]] == json.loads(answer)
    lines = replica.ask(csv, "text/csv", "text/csv")[1].decode().splitlines()
    assert [[float(cell) for cell in line.split(",")] for line in lines] == [
        pytest.approx(row, abs=1e-6) for row in truth["answers"]
    ]
    assert replica.ask(csv, "text/csv", "application/x-npy")[1].startswith(b"\x93NUMPY")
    assert replica.ask(csv, "text/csv", "image/png")[0] == 406


def test_the_only_file_of_the_kind_is_the_model_and_its_answer_may_be_a_dictionary(start: Start, models: Path) -> None:
    replica = start({"best.pth": (models / "named.pt").read_bytes(), "._best.pth": b"a Mac's", "notes.txt": "x"})
    assert replica.ask("[[1, 2], [3, 5]]") == (200, b'{"sum": [3.0, 8.0], "half": [[0.5, 1.0], [1.5, 2.5]]}')


def test_arrays_keep_their_type_and_single_rows_their_shape(start: Start, models: Path) -> None:
    replica = start({"model.pt": (models / "embedding.pt").read_bytes()})
    status, answer = replica.ask((models / "numbers.npy").read_bytes(), "application/x-npy")
    assert (status, [len(row) for row in json.loads(answer)]) == (200, [2, 2])


def test_what_a_model_does_not_take_is_the_clients_fault_in_one_line(start: Start, models: Path) -> None:
    replica = start({"model.pt": (models / "network.pt").read_bytes()})
    for body, content_type, code, told in (
        ("[[1, 2]]", "application/json", 400, b"mat1 and mat2 shapes cannot be multiplied (1x2 and 4x8)"),
        ('[["a", "b"]]', "application/json", 400, b"no tensor"),
        ("[[1, 2], [3]]", "application/json", 400, b"inhomogeneous shape"),
        ("{", "application/json", 400, b"The body is not application/json"),
        ((models / "words.npy").read_bytes(), "application/x-npy", 400, b"no tensor"),
        (b"PK", "application/x-npz", 415, b"application/x-npz is not supported"),
        ("x", "image/png", 415, b"image/png is not supported"),
    ):
        status, answer = replica.ask(body, content_type)
        assert (status, told in answer, answer.count(b"\n")) == (code, True, 0), answer
    embedding = start({"model.pt": (models / "embedding.pt").read_bytes()})
    buffer = io.BytesIO((models / "numbers.npy").read_bytes().replace(b"\x02\0\0\0", b"\x09\0\0\0"))
    assert embedding.ask(buffer.getvalue(), "application/x-npy") == (
        400,
        b"Unable to evaluate payload provided: RuntimeError: index out of range in self",
    )


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"notes.txt": b"x"}, "it holds notes.txt"),
        ({"a.pt": b"x", "b.pth": b"y"}, "the only *.pt or *.pth of the archive is loaded; it holds a.pt, b.pth"),
        ({"model.pt": b"no model at all"}, "model.pt is not TorchScript"),
        ({"weights.pth": "state.pth"}, "state_dict for example, define model_fn(model_dir)"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_what_is_there_and_what_to_do(
    start: Start, models: Path, files: dict[str, Any], told: str
) -> None:
    replica = start({n: (models / of).read_bytes() if isinstance(of, str) else of for n, of in files.items()})
    assert replica.ended() == 1
    assert replica.failure.startswith("ClientError: ")
    assert told in replica.failure


def test_a_script_defines_what_differs_and_its_own_errors_are_shown_with_their_line(
    start: Start, models: Path, truth: dict[str, Any]
) -> None:
    code = """
import os, torch
from torch import nn

class Checked(nn.Sequential):
    def forward(self, rows):
        if (rows > 100).any():
            raise RuntimeError("a row is too big")
        return super().forward(rows)

def model_fn(model_dir):
    network = Checked(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
    network.load_state_dict(torch.load(os.path.join(model_dir, "state.pth"), weights_only=True))
    return network
"""
    replica = start({"state.pth": (models / "state.pth").read_bytes(), "code/inference.py": code})
    status, answer = replica.ask(json.dumps(truth["rows"]))
    assert (status, json.loads(answer)) == (200, [pytest.approx(row, abs=1e-6) for row in truth["answers"]])
    status, answer = replica.ask("[[1000, 1, 1, 1]]")
    assert status == 500
    assert b"RuntimeError: a row is too big" in answer
    assert b"inference.py:8 in forward" in answer


def test_the_parent_has_imported_torch_with_one_thread_and_workers_have_theirs(start: Start) -> None:
    code = """
import sys
there = "torch" in sys.modules
import torch
def model_fn(model_dir): return None
def predict_fn(data, model):
    assert (torch.ones(600, 600) @ torch.ones(600, 600))[0, 0] == 600
    return [there, torch.get_num_threads()]
"""
    replica = start({"code/inference.py": code}, SM_NUM_CPUS="2", workers=2)
    for worker in range(2):
        assert replica.ask("[1]", worker=worker) == (200, b"[true, 1]")
    assert threads(replica.process.pid) == 1
