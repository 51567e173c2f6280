"""Selectable inference: ``SAGEMAKER_INFERENCE_OUTPUT`` names what is answered for each row instead of the prediction.

Names, and which of them an objective has, are those of aws/sagemaker-xgboost-container (``serve_utils.py``). Where an
objective lacks one, the answer has NaN for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sagebrush.runtime import recordio
from sagebrush.runtime.outcome import UserError
from sagebrush.runtime.serving import codecs

_REGRESSION = ("predicted_score",)
_CLASSES = ("predicted_label", "labels", "raw_score", "raw_scores")
_PROBABILITIES = (*_CLASSES, "probability", "probabilities")
_OBJECTIVES = {
    "reg:squarederror": _REGRESSION,
    "reg:logistic": _REGRESSION,
    "reg:gamma": _REGRESSION,
    "reg:absoluteerror": _REGRESSION,
    "reg:tweedie": _REGRESSION,
    "binary:logistic": _PROBABILITIES,
    "binary:logitraw": _CLASSES,
    "binary:hinge": _CLASSES,
    "multi:softmax": _CLASSES,
    "multi:softprob": _PROBABILITIES,
}
_THRESHOLDS = {"binary:logistic": 0.5, "binary:logitraw": 0.0}


@dataclass(frozen=True)
class SelectedOutput:
    """What is answered of a model with this objective."""

    names: tuple[str, ...]
    objective: str
    classes: int

    @classmethod
    def of(cls, text: str, objective: str, classes: int) -> SelectedOutput:
        """For the value of the variable. Raises UserError for an objective of which nothing can be selected."""
        names = tuple(text.replace(" ", "").lower().split(","))
        if objective not in _OBJECTIVES:
            raise UserError(
                f"SAGEMAKER_INFERENCE_OUTPUT selects from models with one of the objectives {', '.join(_OBJECTIVES)}; "
                f"this one has {objective}. Without the variable its predictions are answered as they are."
            )
        wrong = [name for name in names if name not in _OBJECTIVES[objective]]
        if wrong:
            print(
                f"SAGEMAKER_INFERENCE_OUTPUT: {', '.join(wrong)} will be NaN, since {objective} has only "
                f"{', '.join(_OBJECTIVES[objective])}.",
                flush=True,
            )
        return cls(names, objective, classes)

    def encode(self, predictions: Any, accept: str) -> tuple[bytes, str]:
        """The answer in the first type of ``accept`` that is known. Raises UnsupportedAccept."""
        rows = [{name: self._value(name, raw) for name in self.names} for raw in predictions]
        for kind in codecs.accepted(accept):
            if kind in _WRITERS:
                return _WRITERS[kind](rows), kind
        raise codecs.UnsupportedAccept(f"Accept {accept} is not supported; it may be {', '.join(_WRITERS)}.")

    def _value(self, name: str, raw: Any) -> Any:
        """``raw`` is the prediction of one row, a number or one for each class."""
        if name not in _OBJECTIVES[self.objective]:
            return math.nan
        if name == "labels":
            return [0, 1] if self.objective.startswith("binary:") else list(range(self.classes))
        if name == "predicted_label":
            return self._label(raw)
        each = raw.ndim > 0
        if name in ("probabilities", "raw_scores"):
            return raw.tolist() if each else [1.0 - raw.item(), raw.item()]
        return (raw.max() if each else raw).item()

    def _label(self, raw: Any) -> Any:
        if raw.ndim:
            return int(raw.argmax())
        threshold = _THRESHOLDS.get(self.objective)
        return raw.item() if threshold is None else int(raw > threshold)


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    lines = (",".join(f'"{v}"' if isinstance(v, list) else str(v) for v in row.values()) for row in rows)
    return "\n".join(lines).encode()


def _json(rows: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps({"predictions": rows}).encode()


def _json_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _records(rows: Sequence[dict[str, Any]]) -> bytes:
    return recordio.labels([{n: v if isinstance(v, list) else [v] for n, v in row.items()} for row in rows])


_WRITERS: dict[str, Callable[[Sequence[dict[str, Any]]], bytes]] = {
    codecs.JSON: _json,
    codecs.JSON_LINES: _json_lines,
    codecs.RECORDIO: _records,
    codecs.CSV: _csv,
}
