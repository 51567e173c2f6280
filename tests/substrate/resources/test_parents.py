"""Resources that belong to another: the same name may stand once in each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.resources import Resource, Row, fetch, find, insert
from tests.substrate.declared import ACCOUNT, MODEL, REGION, call_on

PROFILE = replace(MODEL, kind="user-profile")
EXECUTION = replace(MODEL, kind="pipeline", arn_path=lambda name, parent: f"pipeline/{parent}/execution/{name}")


def make(platform: Platform, noun: Resource, name: str, parent: str) -> Row:
    call = call_on(platform)
    return platform.store.write(lambda tx: insert(tx, noun, call=call, name=name, body={}, parent=parent))


def test_a_name_stands_once_in_each_parent(platform: Platform) -> None:
    first, second = make(platform, PROFILE, "ann", "d-1"), make(platform, PROFILE, "ann", "d-2")
    assert (first.arn, second.arn) == (
        f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-1/ann",
        f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-2/ann",
    )
    with pytest.raises(CallerError, match="d-2/ann"):
        make(platform, PROFILE, "ann", "d-2")
    found = platform.store.read(lambda conn: fetch(conn, PROFILE, ACCOUNT, REGION, "ann", "d-2"))
    assert (found.id, found.parent) == (second.id, "d-2")
    assert platform.store.read(lambda conn: find(conn, PROFILE, ACCOUNT, REGION, "ann")) is None


def test_a_declaration_may_shape_its_arn(platform: Platform) -> None:
    assert make(platform, EXECUTION, "x1", "train").arn.endswith(":pipeline/train/execution/x1")
