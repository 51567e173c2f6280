"""The platform's metric definitions and the algorithm's own list are the same metrics; neither may import the other."""

from __future__ import annotations

import json
from importlib.resources import files

from sagebrush.training.model.builtin import metric_definitions


def test_the_platform_looks_for_exactly_what_the_algorithm_logs() -> None:
    shipped = json.loads((files("sagebrush.algorithms.xgboost") / "metric_definitions.json").read_text())
    assert {d["Name"] for d in shipped} == {d["Name"] for d in metric_definitions("xgboost")}
    assert len(shipped) > 60
