"""Session tokens: whoever has the key file can verify them, nobody else can make them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagebrush.substrate.clock import ManualClock, to_datetime
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Identity
from sagebrush.substrate.identity.keys import PlatformKeys
from sagebrush.substrate.identity.principal import Principal
from sagebrush.substrate.identity.sessions import credentials
from sagebrush.substrate.identity.tokens import Session, open_token, seal
from tests.substrate.identity.making import SAGEMAKER_ROLE, make_role


def refused(identity: Identity, access_key_id: str, token: str | None) -> str:
    with pytest.raises(CallerError) as caught:
        identity.lookup(access_key_id, token)
    assert caught.value.status == 403
    return caught.value.code


def test_the_operator_is_an_assumed_role_and_the_administrator(identity: Identity, clock: ManualClock) -> None:
    given = identity.operator_session("alice", seconds=60)
    found = identity.lookup(given.access_key_id, given.session_token)
    assert found.secret_access_key == given.secret_access_key
    assert found.principal == given.principal
    assert found.principal.operator
    assert found.principal.arn == "arn:aws:sts::123456789012:assumed-role/SageMakerRole/alice"
    assert given.expiration == to_datetime(clock.now_us()) + timedelta(seconds=60)
    assert given.access_key_id.startswith("ASIA")
    assert len(given.access_key_id) == 20
    assert len(given.secret_access_key) == 40


def test_a_session_of_the_same_role_is_not_the_administrator(identity: Identity) -> None:
    given = identity.role_session(SAGEMAKER_ROLE, "operator", 900)
    found = identity.lookup(given.access_key_id, given.session_token).principal
    assert not found.operator
    assert found.arn == identity.operator_session().principal.arn


def test_another_process_with_the_key_file_accepts_the_session(open_identity: Callable[[], Identity]) -> None:
    given = open_identity().operator_session()
    found = open_identity().lookup(given.access_key_id, given.session_token)
    assert found.secret_access_key == given.secret_access_key


def test_another_platform_refuses_it(identity: Identity, tmp_path: Path) -> None:
    given = identity.operator_session()
    assert open_token(PlatformKeys(tmp_path / "other" / "platform.key"), given.session_token) is None


def test_a_session_ends_when_it_says(identity: Identity, clock: ManualClock) -> None:
    given = identity.operator_session(seconds=900)
    clock.advance(899)
    identity.lookup(given.access_key_id, given.session_token)
    clock.advance(1)
    assert refused(identity, given.access_key_id, given.session_token) == "ExpiredTokenException"


def test_every_part_of_a_token_is_authenticated(identity: Identity) -> None:
    given = identity.role_session(SAGEMAKER_ROLE, "job-1", 900)
    blob = base64.urlsafe_b64decode(given.session_token + "==")
    assert len(blob) > 100
    for index in range(len(blob)):
        forged = bytearray(blob)
        forged[index] ^= 1
        token = base64.urlsafe_b64encode(bytes(forged)).rstrip(b"=").decode()
        assert refused(identity, given.access_key_id, token) == "InvalidClientTokenId"


def test_claims_cannot_be_exchanged(identity: Identity) -> None:
    """The attack that matters: a job makes itself the operator."""
    given = identity.role_session(SAGEMAKER_ROLE, "job-1", 900)
    blob = base64.urlsafe_b64decode(given.session_token + "==")
    head, claims = blob[:37], json.loads(zlib.decompress(blob[37:]))
    assert "operator" not in claims
    forged = head + zlib.compress(json.dumps(claims | {"operator": True}).encode(), 9)
    token = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
    assert refused(identity, given.access_key_id, token) == "InvalidClientTokenId"


def test_a_token_belongs_to_its_access_key(identity: Identity) -> None:
    one, two = identity.operator_session(), identity.operator_session()
    assert one.access_key_id != two.access_key_id
    assert one.secret_access_key != two.secret_access_key
    assert refused(identity, one.access_key_id, two.session_token) == "InvalidClientTokenId"


@pytest.mark.parametrize("token", [None, "", "x", "a" * 50_000, "AQ", "é", "IQoJb3JpZ2luX2VjE"])
def test_a_temporary_key_needs_its_token(identity: Identity, token: str | None) -> None:
    given = identity.operator_session()
    assert refused(identity, given.access_key_id, token) == "InvalidClientTokenId"


def test_sessions_survive_a_rotation_and_end_with_their_key(open_identity: Callable[[], Identity]) -> None:
    identity, object_plane = open_identity(), open_identity()
    given = identity.operator_session()
    former = identity.keys.current
    object_plane.lookup(given.access_key_id, given.session_token)
    identity.rotate_key()
    assert object_plane.lookup(given.access_key_id, given.session_token).principal.operator
    after = identity.operator_session()
    identity.keys.retire(former)
    assert refused(object_plane, given.access_key_id, given.session_token) == "InvalidClientTokenId"
    assert object_plane.lookup(after.access_key_id, after.session_token).principal.operator


def test_a_session_of_a_role_that_does_not_exist_cannot_be_made(identity: Identity) -> None:
    with pytest.raises(CallerError) as caught:
        identity.role_session(SAGEMAKER_ROLE + "X", "job", 900)
    assert (caught.value.code, caught.value.status) == ("NoSuchEntity", 404)
    assert caught.value.message == "The role with name SageMakerRoleX cannot be found."


def test_the_path_of_a_role_is_not_in_the_sessions_arn(identity: Identity) -> None:
    role = make_role(identity, "Deep", path="/team/ml/")
    principal = identity.role_session(role.arn, "job", 900).principal
    assert principal.arn == "arn:aws:sts::123456789012:assumed-role/Deep/job"
    assert principal.role_arn == "arn:aws:iam::123456789012:role/team/ml/Deep"


TEXT = st.text(max_size=30)
PRINCIPALS = st.builds(
    Principal,
    arn=TEXT,
    account=st.just("123456789012"),
    user_id=TEXT,
    role_arn=st.none() | TEXT,
    operator=st.booleans(),
    session_policies=st.lists(TEXT, max_size=3).map(tuple),
    session_context=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> PlatformKeys:
    return PlatformKeys(tmp_path_factory.mktemp("keys") / "platform.key")


@settings(deadline=None)  # the machine may be busy
@given(principal=PRINCIPALS, expires_us=st.integers(0, 2**62))
def test_a_token_says_exactly_what_was_sealed(keys: PlatformKeys, principal: Principal, expires_us: int) -> None:
    sealed = seal(keys, Session("ASIAEXAMPLE", principal, expires_us))
    assert open_token(keys, sealed.token) == sealed


@settings(deadline=None)  # the machine may be busy
@given(noise=st.text("abcABC019-_=", max_size=200))
def test_noise_is_no_token(keys: PlatformKeys, noise: str) -> None:
    assert open_token(keys, noise) is None


def test_no_secret_is_shown_where_objects_are_printed(identity: Identity, clock: ManualClock) -> None:
    given = credentials(identity.keys, clock, identity.open_principal(), 60)
    secret = identity.lookup(given.access_key_id, given.session_token)
    assert given.secret_access_key not in repr(secret) + repr(given)
    assert given.session_token not in repr(given)
