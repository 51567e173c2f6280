"""From a configuration's name to what it means now: the copy that an endpoint keeps."""

from __future__ import annotations

from sqlalchemy import Connection

from sagebrush.inference.model import revisions
from sagebrush.inference.model.revisions import Revision
from sagebrush.inference.resources import ENDPOINT_CONFIG, MODEL
from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import fetch


def resolved(conn: Connection, call: Call, config_name: str, number: int) -> Revision:
    """The revision. Raises ValidationException for a configuration or model that is not there."""
    config = fetch(conn, ENDPOINT_CONFIG, call.account, call.region, config_name)
    models = {
        name: fetch(conn, MODEL, call.account, call.region, name) for name in set(revisions.models_of(config.body))
    }
    return revisions.resolve(number, config, models, call.platform.clock.now_us())
