"""Deploying with the unmodified SDK (v2), as its own process under ``sagebrush exec``."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tests.journeys.running import RunningPlatform

pytestmark = pytest.mark.journey
PROGRAM = Path(__file__).with_name("programs") / "sdk_v2_endpoints.py"


def test_estimators_and_models_deploy_predict_update_and_delete(platform: RunningPlatform) -> None:
    prefix = f"v2-{uuid.uuid4().hex[:8]}"
    result = platform.run_client("python", str(PROGRAM), prefix, timeout=500)
    answers = json.loads(result.stdout.partition("RESULT ")[2].splitlines()[0])
    assert answers["sklearn_script"]["metrics"] == ["accuracy"]
    assert answers["sklearn_script"]["instances"] == 2
    for flow in ("sklearn_script", "sklearn_model", "xgboost_model", "plain_model"):
        assert answers[flow]["worst"] < 1e-6, flow
