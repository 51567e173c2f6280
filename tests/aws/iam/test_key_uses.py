"""When a key was last used: seen at once in one process, written once a minute at most, in the right order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from sagebrush.substrate.identity.key_uses import EVERY_S, KeyUses
from tests.aws.iam.serving import Caller, Served


@pytest.fixture
def key(admin: Caller) -> str:
    admin.iam("CreateUser", UserName="alice")
    return str(admin.iam("CreateAccessKey", UserName="alice")["AccessKey"]["AccessKeyId"])


def last_used(admin: Caller, key: str) -> dict[str, Any]:
    answer = admin.iam("GetAccessKeyLastUsed", AccessKeyId=key)
    assert answer["UserName"] == "alice"
    used: dict[str, Any] = answer["AccessKeyLastUsed"]
    return used


@pytest.fixture
def writes(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each write of the store."""
    seen: list[str] = []
    write = served.store.write

    def counted(change: Callable[..., Any]) -> Any:
        seen.append("write")
        return write(change)

    monkeypatch.setattr(served.store, "write", counted)
    return seen


def test_a_key_that_nobody_used(admin: Caller, key: str) -> None:
    assert last_used(admin, key) == {"ServiceName": "N/A", "Region": "N/A"}
    error = admin.refused("iam", "GetAccessKeyLastUsed", AccessKeyId="AKIAIOSFODNN7EXAMPLE")
    assert error.code == "NoSuchEntity"


def test_the_last_use_and_its_service(admin: Caller, served: Served, key: str) -> None:
    served.identity.key_uses.note(key, "sagemaker")
    first = last_used(admin, key)
    assert (first["ServiceName"], first["Region"]) == ("sagemaker", "us-east-1")
    served.clock.advance(5)
    served.identity.key_uses.note(key, "iam")
    second = last_used(admin, key)
    assert second["ServiceName"] == "iam"
    assert (second["LastUsedDate"] - first["LastUsedDate"]).total_seconds() == 5


def test_many_uses_are_one_write(served: Served, key: str, writes: list[str]) -> None:
    uses = served.identity.key_uses
    for _ in range(1000):
        uses.note(key, "s3")
    assert len(writes) == 1
    served.clock.advance(EVERY_S)
    uses.note(key, "s3")
    assert len(writes) == 2


def test_a_session_is_not_written(served: Served, writes: list[str]) -> None:
    served.identity.key_uses.note("ASIAIOSFODNN7EXAMPLE", "s3")
    assert writes == []


def test_an_older_use_of_another_process_does_not_win(admin: Caller, served: Served, key: str) -> None:
    other = KeyUses(served.store, served.clock)
    other.note(key, "first")  # written at once: the next one waits
    served.clock.advance(1)
    other.note(key, "older")
    served.clock.advance(1)
    served.identity.key_uses.note(key, "newer")
    other.write()
    assert last_used(admin, key)["ServiceName"] == "newer"


def test_a_store_that_cannot_be_written_costs_no_request_and_no_use(
    admin: Caller, served: Served, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(change: Any) -> Any:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "write", busy)
        served.identity.key_uses.note(key, "s3")
    assert last_used(admin, key)["ServiceName"] == "s3"
