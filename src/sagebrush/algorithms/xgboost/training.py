"""A training job of the built-in XGBoost, from its hyperparameters and channels to ``xgboost-model``."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sagebrush.algorithms.xgboost import booster_parameters, content, hyperparameters
from sagebrush.algorithms.xgboost.booster_parameters import Plan
from sagebrush.algorithms.xgboost.lean_imports import lean_imports
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.training_environment import TrainingEnvironment

MODEL = "xgboost-model"
_CHANNELS = ("train", "validation")

#: What xgboost says when the data, not the platform, is at fault (aws/sagemaker-xgboost-container, ``xgb_constants``).
_CALLERS_FAULT = (
    "label must be in [0,1] for logistic regression",
    "label must be in [0, num_class)",
    "label must be nonnegative",
    "base_score must be in (0,1)",
    "the dataset only contains pos or neg samples",
    "preds.size() == info.labels_.size()",
    "feature_names mismatch",
)


def train(environment: TrainingEnvironment) -> None:
    """Run the job. Raises UserError for what the user can correct; then nothing is saved."""
    plan = booster_parameters.plan(hyperparameters.validate(environment.raw_hyperparameters))
    begin = _watch_for_sigterm()
    kinds = _check_channels(environment)
    for notice in plan.notices:
        _say(notice)
    files = {name: content.data_files(Path(environment.directories.channel(name))) for name in kinds}
    for name, found in files.items():
        content.check_looks(*kinds[name], found)
        if not found and len(environment.hosts) == 1:
            channel = "training" if name == "train" else name
            raise UserError(f"No data in {channel} channel path {environment.directories.channel(name)}")
    with lean_imports():
        _train_on_hosts(environment, plan, {name: kind for name, (kind, _) in kinds.items()}, files, begin)


def _check_channels(environment: TrainingEnvironment) -> dict[str, tuple[str, bool]]:
    """The content type of each channel, and whether it was stated."""
    if "train" not in environment.channels:
        raise UserError("Missing required channel: train")
    for name in environment.channels:
        if name not in _CHANNELS:
            raise UserError(f"Extraneous channel found: {name}; XGBoost takes the channels train and validation.")
    for name, config in environment.channels.items():
        content.check_input_mode(name, config)
    return {n: content.content_type(n, environment.channels[n]) for n in _CHANNELS if n in environment.channels}


def _watch_for_sigterm() -> Callable[[], threading.Event]:
    """Until training has begun SIGTERM ends the job at once; the answer switches to stopping after a round."""
    event = threading.Event()

    def leave(number: int, frame: object) -> None:
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)

    def begin() -> threading.Event:
        signal.signal(signal.SIGTERM, lambda number, frame: event.set())
        return event

    return begin


def _train_on_hosts(
    environment: TrainingEnvironment,
    plan: Plan,
    kinds: dict[str, str],
    files: dict[str, list[Path]],
    begin: Callable[[], threading.Event],
) -> None:
    hosts, current = environment.hosts, environment.current_host
    if len(hosts) == 1:
        _train_here(environment, plan, _matrices(plan, kinds, files), begin)
        return
    from sagebrush.algorithms.xgboost import cluster

    has_data = all(files.values())
    if not has_data:
        empty = ", ".join(name for name, found in files.items() if not found)
        _say(f"Host {current} has no data in channel {empty} and will not take part in the training.")
    _say(f"Distributed node training with {len(hosts)} hosts: {', '.join(hosts)}")
    data = _matrices(plan, kinds, files) if has_data else {}
    with cluster.joined(hosts, current, has_data=has_data) as membership:
        if membership.takes_part:
            _train_here(environment, plan, data, begin)


def _matrices(plan: Plan, kinds: dict[str, str], files: dict[str, list[Path]]) -> dict[str, Any]:
    from sagebrush.algorithms.xgboost import reading

    nthread = plan.parameters.get("nthread")
    return {
        name: reading.matrix(kinds[name], found, csv_weights=plan.csv_weights, nthread=nthread)
        for name, found in files.items()
    }


def _train_here(
    environment: TrainingEnvironment, plan: Plan, data: dict[str, Any], begin: Callable[[], threading.Event]
) -> None:
    import xgboost as xgb
    from xgboost import collective

    from sagebrush.algorithms.xgboost import checkpoints, labels, metrics

    objective = plan.parameters.get("objective", "reg:squarederror")
    for name, part in data.items():
        labels.check(part.get_label(), objective, plan.parameters.get("num_class"), name)
        label = "Train" if name == "train" else "Validation"
        _say(f"{label} matrix has {part.num_row()} rows and {part.num_col()} columns")
    if plan.parameters.get("device") == "cuda" and not xgb.build_info().get("USE_CUDA"):
        _say("This environment's xgboost has no GPU support: training goes on the CPU instead.")
    directory = _checkpoint_directory(environment)
    resumed = checkpoints.latest(directory) if directory else None
    done = resumed.rounds if resumed else 0
    if resumed:
        _say(f"Checkpoint loaded from {resumed.path}; resuming from iteration {done}")
    asked_to_stop = begin()
    try:
        booster = xgb.train(
            plan.parameters,
            data["train"],
            num_boost_round=max(0, plan.rounds - done),
            evals=[(part, name) for name, part in data.items()],
            custom_metric=metrics.custom_metric(plan.custom_metrics, objective),
            callbacks=_callbacks(plan, directory, done, "validation" in data, asked_to_stop),
            xgb_model=resumed.model if resumed else None,
            verbose_eval=False,
        )
    except xgb.core.XGBoostError as error:
        if any(text in str(error) for text in _CALLERS_FAULT):
            raise UserError(_message_alone(str(error))) from None
        raise
    if asked_to_stop.is_set():
        _say("Asked to stop: training ends after this round.")
        if not plan.save_on_termination:
            return
    if collective.get_rank() == 0:
        _save(booster, environment)


def _callbacks(
    plan: Plan, directory: Path | None, done: int, validated: bool, asked_to_stop: threading.Event
) -> list[Any]:
    import xgboost as xgb

    from sagebrush.algorithms.xgboost import callbacks
    from sagebrush.algorithms.xgboost.metric_names import is_maximized

    chosen: list[Any] = [callbacks.MetricLines(done)]
    if directory:
        chosen.append(callbacks.SaveCheckpoints(directory, done))
    if plan.early_stopping_rounds and not validated:
        _say("early_stopping_rounds has no effect without a validation channel.")
    elif plan.early_stopping_rounds:
        metric = plan.stopping_metric
        chosen.append(
            xgb.callback.EarlyStopping(
                rounds=plan.early_stopping_rounds,
                data_name="validation",
                metric_name=metric,
                maximize=is_maximized(metric) if metric else None,
                # Linear boosters have no rounds that could be cut off.
                save_best=plan.parameters.get("booster") != "gblinear",
            )
        )
    chosen.append(callbacks.StopWhenAsked(asked_to_stop))
    return chosen


def _checkpoint_directory(environment: TrainingEnvironment) -> Path | None:
    """Where checkpoints go; None when the job was not given a place for them."""
    path = Path(environment.checkpoint_config.get("LocalPath", environment.directories.checkpoints))
    return path if path.is_dir() else None


def _save(booster: Any, environment: TrainingEnvironment) -> None:
    """Save as UBJSON, xgboost's own format of today, in one move: whoever looks sees a whole model or none."""
    directory = Path(environment.directories.model)
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f".{MODEL}"
    unfinished.write_bytes(booster.save_raw("ubj"))
    unfinished.replace(directory / MODEL)
    _say(f"Stored trained model at {directory / MODEL}")


def _message_alone(text: str) -> str:
    """xgboost's message without the time and C++ source line before it and the stack trace behind it."""
    return re.sub(r"^\[[\d:]+\] \S+: ", "", text.split("Stack trace")[0].strip())


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
