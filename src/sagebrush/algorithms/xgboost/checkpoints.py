"""Checkpoints: ``xgboost-checkpoint.<round>`` in the checkpoint directory, the newest five.

``<round>`` counts from 0, so training goes on with the round after it. A file is complete once it has its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xgboost as xgb

NAME = "xgboost-checkpoint"
KEEP = 5
#: A file that is being written ends so, and the uploader leaves it alone.
UNFINISHED = ".sagemaker-ignore"
#: While the uploader holds a file these stand beside it: it is not deleted between the first and the second.
_UPLOADING, _UPLOADED = ".sagemaker-uploading", ".sagemaker-uploaded"


@dataclass(frozen=True)
class Resumed:
    """The model to go on from, and how many rounds it has behind it."""

    model: xgb.Booster
    rounds: int
    path: Path


def latest(directory: Path) -> Resumed | None:
    """The highest checkpoint that can be read; one that cannot is reported and passed over."""
    for number in sorted(_numbers(directory), reverse=True):
        path = directory / f"{NAME}.{number}"
        try:
            model = xgb.Booster()
            model.load_model(bytearray(path.read_bytes()))
        except xgb.core.XGBoostError as error:
            first_line = (str(error).splitlines() or [""])[0]
            print(f"Checkpoint {path} is not valid and is passed over: {first_line}", flush=True)
            continue
        return Resumed(model, number + 1, path)
    return None


def save(model: xgb.Booster, directory: Path, number: int) -> None:
    """Save the model after round ``number`` and delete what is older than the newest five."""
    path = directory / f"{NAME}.{number}"
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.write_bytes(model.save_raw("ubj"))
    unfinished.replace(path)
    for old in _numbers(directory):
        if old <= number - KEEP:
            _delete(directory / f"{NAME}.{old}")


def _delete(path: Path) -> None:
    uploading = path.with_name(path.name + _UPLOADING).exists()
    if uploading and not path.with_name(path.name + _UPLOADED).exists():
        return
    path.unlink(missing_ok=True)


def _numbers(directory: Path) -> list[int]:
    suffixes = (path.name.removeprefix(f"{NAME}.") for path in directory.glob(f"{NAME}.*"))
    return [int(suffix) for suffix in suffixes if suffix.isdigit()]
