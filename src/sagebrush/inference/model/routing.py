"""What the front door is told of an endpoint (the routing snapshot's entry; the front door's side reads the same)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagebrush.inference.model import containers
from sagebrush.inference.model.revisions import Revision, Variant

#: Requests at once on one socket: a worker of ours answers one, an own server what it can.
_OUR_LANES, _OWN_LANES = 1, 64
_MODES = {"Input": ("Input",), "Output": ("Output",), "InputAndOutput": ("Input", "Output")}


@dataclass(frozen=True, slots=True)
class Serving:
    """A replica that serves: its variant, its id and its sockets, relative to the data directory."""

    variant: str
    id: str
    sockets: tuple[str, ...]


def spool(endpoint_id: str) -> str:
    """Where the front door leaves an endpoint's counts and captured data, relative to the data directory."""
    return f"endpoints/{endpoint_id}/spool"


def entry(
    *,
    endpoint_id: str,
    arn: str,
    status: str,
    revision: Revision | None,
    serving: Sequence[Serving],
    timeout_seconds: float,
) -> dict[str, Any]:
    """The entry of one endpoint; without a revision it only says how the endpoint stands."""
    return {
        "id": endpoint_id,
        "arn": arn,
        "status": status,
        "spool": spool(endpoint_id),
        "capture": _capture(revision.capture) if revision is not None and revision.captures else None,
        "variants": [
            _variant(variant, serving, timeout_seconds) for variant in (revision.variants if revision else ())
        ],
    }


def _variant(variant: Variant, serving: Sequence[Serving], timeout_seconds: float) -> dict[str, Any]:
    lanes = _OWN_LANES if containers.has_own_server(variant.container) else _OUR_LANES
    return {
        "name": variant.name,
        "weight": variant.weight,
        "timeout_seconds": timeout_seconds,
        "replicas": [
            {"id": replica.id, "sockets": list(replica.sockets), "lanes": lanes}
            for replica in serving
            if replica.variant == variant.name
        ],
    }


def _capture(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if config is None:
        return None
    kinds = config.get("CaptureContentTypeHeader", {})
    modes = {mode for option in config["CaptureOptions"] for mode in _MODES[option["CaptureMode"]]}
    return {
        "percentage": config["InitialSamplingPercentage"],
        "modes": sorted(modes),
        "csv_content_types": list(kinds.get("CsvContentTypes", ())),
        "json_content_types": list(kinds.get("JsonContentTypes", ())),
    }
