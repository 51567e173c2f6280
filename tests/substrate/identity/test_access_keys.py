"""Users' long-lived access keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sagebrush.substrate.errors import CallerError, Fault
from sagebrush.substrate.identity import Identity, access_keys, entities
from sagebrush.substrate.identity.access_key_ids import account_of
from sagebrush.substrate.identity.entities import Entity
from tests import databases
from tests.substrate.identity.making import NOW_US, make_user


def create(identity: Identity, user: Entity) -> tuple[str, str]:
    key, secret = identity.change(lambda tx: access_keys.create(tx, identity.keys, user, NOW_US))
    return key.access_key_id, secret


def refused(identity: Identity, access_key_id: str, token: str | None = None) -> str:
    with pytest.raises(CallerError) as caught:
        identity.lookup(access_key_id, token)
    return caught.value.code


def test_a_users_key_is_found_with_its_secret(identity: Identity) -> None:
    user = make_user(identity, path="/team/")
    access_key_id, secret = create(identity, user)
    found = identity.lookup(access_key_id, None)
    assert found.secret_access_key == secret
    assert len(secret) == 40
    assert (found.principal.arn, found.principal.user_id) == (user.arn, user.unique_id)
    assert found.principal.role_arn is None
    assert not found.principal.operator


def test_unknown_keys_are_refused(identity: Identity) -> None:
    for unknown in ("AKIAIOSFODNN7EXAMPLE", "", "x"):
        assert refused(identity, unknown) == "InvalidClientTokenId"


def test_a_long_lived_key_has_no_token(identity: Identity) -> None:
    access_key_id, _ = create(identity, make_user(identity))
    token = identity.operator_session().session_token
    assert refused(identity, access_key_id, token) == "InvalidClientTokenId"


def test_a_key_that_is_switched_off_or_deleted_is_refused_at_once(identity: Identity) -> None:
    user = make_user(identity)
    access_key_id, _ = create(identity, user)
    identity.lookup(access_key_id, None)
    identity.change(lambda tx: access_keys.set_active(tx, user, access_key_id, False))
    assert refused(identity, access_key_id) == "InvalidClientTokenId"
    identity.change(lambda tx: access_keys.set_active(tx, user, access_key_id, True))
    identity.lookup(access_key_id, None)
    identity.change(lambda tx: access_keys.remove(tx, user, access_key_id))
    assert refused(identity, access_key_id) == "InvalidClientTokenId"


def test_a_key_made_by_another_process_is_known_at_once(open_identity: Callable[[], Identity]) -> None:
    control, objects = open_identity(), open_identity()
    assert refused(objects, "AKIAIOSFODNN7EXAMPLE") == "InvalidClientTokenId"
    access_key_id, secret = create(control, make_user(control))
    assert objects.lookup(access_key_id, None).secret_access_key == secret


def test_the_database_alone_gives_no_secret_away(identity: Identity, tmp_path: Path) -> None:
    _, secret = create(identity, make_user(identity))
    if url := databases.url_of(tmp_path / "state.db"):
        kept = [databases.everything_in(url).encode()]
    else:
        kept = [path.read_bytes() for path in tmp_path.glob("state.db*")]
    assert any(b"user/alice" in content for content in kept), "what was kept was not looked at"
    assert not any(secret.encode() in content for content in kept)


def test_a_sealed_secret_belongs_to_its_access_key(identity: Identity) -> None:
    """Nobody with write access to the database can put one key's secret under another's id."""
    user = make_user(identity)
    made, _ = identity.change(lambda tx: access_keys.create(tx, identity.keys, user, NOW_US))
    moved = access_keys.AccessKey("AKIAOTHER", user.arn, True, NOW_US, made.key_id, made.sealed)
    with pytest.raises(Fault, match="sealed with another platform key"):
        access_keys.secret_of(identity.keys, moved)


def test_secrets_survive_a_rotation_of_the_platform_key_and_the_end_of_the_former(identity: Identity) -> None:
    access_key_id, secret = create(identity, make_user(identity))
    former = identity.keys.current
    identity.rotate_key()
    identity.keys.retire(former)
    assert identity.lookup(access_key_id, None).secret_access_key == secret


def test_a_user_has_two_keys_at_most(identity: Identity) -> None:
    user = make_user(identity)
    create(identity, user)
    create(identity, user)
    with pytest.raises(CallerError) as caught:
        create(identity, user)
    assert (caught.value.code, caught.value.status) == ("LimitExceeded", 409)
    assert caught.value.message == "Cannot exceed quota for AccessKeysPerUser: 2"


def test_a_user_with_keys_cannot_be_deleted(identity: Identity) -> None:
    user = make_user(identity)
    create(identity, user)
    with pytest.raises(CallerError, match="DeleteConflict"):
        identity.change(lambda tx: entities.remove(tx, user))


def test_an_access_key_id_names_its_account(identity: Identity) -> None:
    access_key_id, _ = create(identity, make_user(identity))
    assert access_key_id.startswith("AKIA")
    assert account_of(access_key_id) == "123456789012"
    assert account_of(identity.operator_session().access_key_id) == "123456789012"
    assert account_of("AKIA") is None
    assert account_of("AKIA0000000000000000") is None
