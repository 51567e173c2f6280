"""An artifact is its source: the same URI and ids give the same ARN."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def artifact_id(source: Mapping[str, Any]) -> str:
    """The last part of an artifact's ARN, 32 hexadecimal digits: made from URI and source ids, in whatever order."""
    ids = sorted((kind["SourceIdType"], kind["Value"]) for kind in source.get("SourceTypes", ()))
    return hashlib.sha256(json.dumps([source["SourceUri"], ids]).encode()).hexdigest()[:32]
