"""What the front door is told about a key: the refusal in the policies' words, the resource's tags looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagebrush.server.grants import grant
from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.identity import Identity, access_keys, ensure_seed
from sagebrush.substrate.identity.key_uses import last_use
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import insert
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import STATE, open_store
from tests.substrate.declared import JOB, call_on, platform_on
from tests.substrate.identity.making import allow, make_user

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/x"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    clock = ManualClock()
    store = open_store(STATE, path=tmp_path / "state.db", clock=clock)
    ensure_seed(store, Settings(), clock)
    identity = Identity(store=store, clock=clock, settings=Settings(), key_file=tmp_path / "platform.key")
    yield dataclasses.replace(platform_on(store), identity=identity)
    store.close()


def ask(platform: Platform, key: str, resource: str = ARN) -> dict[str, Any]:
    return grant(platform, {"access_key_id": key, "action": "sagemaker:InvokeEndpoint", "resource": resource})


def test_a_tag_of_the_resource_decides_and_the_use_of_the_key_is_noted(platform: Platform) -> None:
    mine = allow("sagemaker:InvokeEndpoint", Condition={"StringEquals": {"aws:ResourceTag/Team": "red"}})
    user = make_user(platform.identity, "alice", mine)
    made, secret = platform.identity.change(lambda tx: access_keys.create(tx, platform.identity.keys, user, 1))
    tags = [{"Key": "Team", "Value": "red"}]
    platform.store.write(lambda tx: insert(tx, JOB, call=call_on(platform), name="x", body={}, tags=tags))
    answer = ask(platform, made.access_key_id)
    assert (answer["secret"], answer["denied"]) == (secret, None)
    refused = ask(platform, made.access_key_id, f"{ARN}y")["denied"]
    assert (refused["code"], refused["status"]) == ("AccessDeniedException", 403)
    assert f"{ARN}y because no identity-based policy allows" in refused["message"]
    used = platform.store.read(lambda connection: last_use(connection, made.access_key_id))
    assert used is not None
    assert used.service == "sagemaker"
