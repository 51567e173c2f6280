"""UpdateCodeRepository."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from sagebrush.studio.resources import CODE_REPOSITORY
from sagebrush.substrate.calls import Call
from sagebrush.substrate.resources import fetch, update_body


def update_code_repository(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Exchange the secret of the Git configuration; URL and branch stay, as GitConfigForUpdate has only the secret."""

    def change(tx: Connection) -> str:
        row = fetch(tx, CODE_REPOSITORY, call.account, call.region, request["CodeRepositoryName"])
        git = dict(row.body["GitConfig"]) | request.get("GitConfig", {})
        return update_body(tx, row, {"GitConfig": git}, now_us=call.platform.clock.now_us()).arn

    return {"CodeRepositoryArn": call.platform.store.write(change)}
