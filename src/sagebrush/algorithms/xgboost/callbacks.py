"""What happens after every round: the metric line, the checkpoint, and stopping when asked to."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from xgboost import collective

from sagebrush.algorithms.xgboost import checkpoints


class MetricLines(xgb.callback.TrainingCallback):  # type: ignore[misc]
    """Print ``[<round>]<TAB>train-<metric>:<value><TAB>validation-<metric>:<value>``; the log shows TAB as ``#011``."""

    def __init__(self, first_round: int):
        super().__init__()
        self._first = first_round

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if collective.get_rank() == 0:
            values = [
                f"\t{data}-{metric}:{history[-1]:.5f}"
                for data, metrics in evals_log.items()
                for metric, history in metrics.items()
            ]
            print(f"[{epoch + self._first}]{''.join(values)}", flush=True)
        return False


class SaveCheckpoints(xgb.callback.TrainingCallback):  # type: ignore[misc]
    """Leave a checkpoint after every round."""

    def __init__(self, directory: Path, first_round: int):
        super().__init__()
        self._directory = directory
        self._first = first_round

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if collective.get_rank() == 0:
            checkpoints.save(model, self._directory, epoch + self._first)
        return False


class StopWhenAsked(xgb.callback.TrainingCallback):  # type: ignore[misc]
    """End training after the round in which SIGTERM came.

    Several hosts must leave together, or those who stay wait for ever: each round they agree whether any was asked.
    """

    def __init__(self, asked: threading.Event):
        super().__init__()
        self._asked = asked

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if not collective.is_distributed():
            return self._asked.is_set()
        mine = np.array([self._asked.is_set()], dtype=np.int32)
        return bool(collective.allreduce(mine, collective.Op.MAX)[0])
