"""Starting model servers, and handlers that do what the request says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.serving.replica import Replica, archive_of

UNRULY = """
import json, os, signal, sys, time
ballast = []
def model_fn(model_dir):
    return {"loaded by": os.getpid()}
def input_fn(body, content_type):
    return json.loads(body)
def predict_fn(data, model):
    if data == "raise":
        raise KeyError("no such feature")
    if data == "exit":
        sys.exit("enough")
    if data == "hang":
        time.sleep(3600)
    if data == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if data == "leak":
        while True:
            ballast.append(bytearray(16 << 20))
    if data == "set":
        return {1, 2}
    if data == "none":
        return None
    if data == "teapot":
        error = Exception("short and stout"); error.status_code = 418
        raise error
    if data == "slow":
        print("slow begins")
        time.sleep(1)
    if data == "blow up":
        return "x" * 20_000_000
    return {"pid": os.getpid(), "data": data}
def output_fn(prediction, accept):
    return prediction if isinstance(prediction, set | None | str) else (json.dumps(prediction), "application/json")
"""

Start = Callable[..., Replica]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts replicas and ends them. An artefact is given by its files, as bytes, or None."""
    running: list[Replica] = []

    def begin(files: dict[str, str | bytes] | bytes | None, **more: Any) -> Replica:
        artefact = archive_of(files) if isinstance(files, dict) else files
        running.append(Replica(tmp_path / f"r{len(running)}", artefact, **more))
        return running[-1]

    yield begin
    for replica in running:
        replica.close()


@pytest.fixture
def unruly(start: Start) -> Replica:
    return start({"code/inference.py": UNRULY}, workers=2, SAGEMAKER_MODEL_SERVER_TIMEOUT="2")
