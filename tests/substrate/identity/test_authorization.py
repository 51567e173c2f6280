"""Who may do what, and how soon a change counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sagebrush.substrate.clock import ManualClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import Identity, Principal, entities, entity_policies
from sagebrush.substrate.identity.aws_managed import aws_managed_policies
from sagebrush.substrate.identity.policy import Kind, parse_document
from tests.substrate.identity.making import (
    ACCOUNT,
    OBJECT,
    SAGEMAKER_ROLE,
    allow,
    make_policy,
    make_role,
    make_user,
    policy,
    put,
    trusting,
    user_principal,
)

EXPLICIT = f"arn:aws:iam::{ACCOUNT}:role/Explicit"


def may(identity: Identity, principal: Principal, action: str, resource: str = OBJECT, **more: Any) -> bool:
    try:
        identity.authorize(principal, action, resource, **more)
    except CallerError:
        return False
    return True


def refusal(identity: Identity, principal: Principal, action: str, resource: str) -> CallerError:
    with pytest.raises(CallerError) as caught:
        identity.authorize(principal, action, resource)
    return caught.value


def session_of(identity: Identity, role_arn: str, **more: Any) -> Principal:
    return identity.role_session(role_arn, "job-1", 900, **more).principal


def test_the_operator_may_do_everything_even_without_its_role(identity: Identity) -> None:
    operator = identity.operator_session().principal
    role = identity.role(SAGEMAKER_ROLE)
    for arn in identity._store.read(lambda connection: entity_policies.attached(connection, role)):
        identity.change(lambda tx, arn=arn: entity_policies.detach(tx, role, arn))
    identity.change(lambda tx: entities.remove(tx, role))
    assert may(identity, operator, "iam:DeleteUser", "*")
    assert may(identity, identity.open_principal(), "iam:DeleteUser", "*")
    assert may(identity, identity.service_principal("sagemaker.amazonaws.com"), "s3:GetObject")


def test_a_job_has_its_roles_rights_and_never_the_administrators(identity: Identity) -> None:
    job = session_of(identity, SAGEMAKER_ROLE)
    assert may(identity, job, "s3:PutObject")
    assert may(identity, job, "sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/x")
    assert may(identity, job, "logs:PutLogEvents", "*")
    assert not may(identity, job, "iam:CreateUser", "*")
    assert not may(identity, job, "iam:AttachRolePolicy", SAGEMAKER_ROLE)
    assert not may(identity, job, "sts:AssumeRole", SAGEMAKER_ROLE)


def test_a_job_may_pass_its_role_to_sagemaker_only(identity: Identity) -> None:
    job = session_of(identity, SAGEMAKER_ROLE)
    to_sagemaker = {"iam:PassedToService": "sagemaker.amazonaws.com"}
    assert may(identity, job, "iam:PassRole", SAGEMAKER_ROLE, context=to_sagemaker)
    assert not may(identity, job, "iam:PassRole", SAGEMAKER_ROLE, context={"iam:PassedToService": "ec2.amazonaws.com"})
    assert not may(identity, job, "iam:PassRole", SAGEMAKER_ROLE)


def test_the_refusal_names_who_what_and_which(identity: Identity) -> None:
    job = session_of(identity, make_role(identity).arn)
    error = refusal(identity, job, "sagemaker:CreateTrainingJob", "*")
    assert (error.code, error.status) == ("AccessDeniedException", 400)
    assert error.message == (
        "User: arn:aws:sts::123456789012:assumed-role/Worker/job-1 is not authorized to perform: "
        "sagemaker:CreateTrainingJob on resource: * because no identity-based policy allows the "
        "sagemaker:CreateTrainingJob action"
    )


@pytest.mark.parametrize(
    ("action", "code", "status"),
    [
        ("s3:GetObject", "AccessDenied", 403),
        ("iam:GetRole", "AccessDenied", 403),
        ("sts:AssumeRole", "AccessDenied", 403),
        ("logs:PutLogEvents", "AccessDeniedException", 400),
        ("iam:PassRole", "AccessDeniedException", 400),
    ],
)
def test_the_code_is_that_of_the_service(identity: Identity, action: str, code: str, status: int) -> None:
    error = refusal(identity, session_of(identity, make_role(identity).arn), action, "*")
    assert (error.code, error.status) == (code, status)


def test_the_refusal_says_which_kind_of_policy_denied(identity: Identity) -> None:
    boundary = make_policy(identity, "Boundary", allow("sqs:*"))
    denial = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    explicit = session_of(identity, make_role(identity, "Explicit", allow("*"), denial).arn)
    bounded = session_of(identity, make_role(identity, "Bounded", allow("*"), boundary_arn=boundary).arn)
    narrowed = session_of(identity, make_role(identity, "Plain", allow("*")).arn, policies=[policy(allow("sqs:*"))])
    reasons = [
        refusal(identity, principal, "s3:GetObject", OBJECT).message.partition(f"{OBJECT} ")[2]
        for principal in (explicit, bounded, narrowed)
    ]
    assert reasons == [
        f"with an explicit deny in an identity-based policy: inline policy inline of {EXPLICIT}, statement number 2",
        "because no permissions boundary allows the s3:GetObject action",
        "because no session policy allows the s3:GetObject action",
    ]


def test_an_explicit_deny_is_named_by_its_policys_arn_and_its_statement(identity: Identity) -> None:
    guard = {"Sid": "NoDeletes", "Effect": "Deny", "Action": "s3:Delete*", "Resource": "*"}
    attached = make_policy(identity, "Guard", allow("s3:*"), guard)
    role = make_role(identity, "Guarded", allow("*"))
    identity.change(lambda tx: entity_policies.attach(tx, role, attached))
    bounded = session_of(identity, make_role(identity, "Bounded", allow("*"), boundary_arn=attached).arn)
    passed = session_of(identity, make_role(identity, "Plain", allow("*")).arn, policies=[attached])
    reasons = [
        refusal(identity, principal, "s3:DeleteObject", OBJECT).message.partition(f"{OBJECT} ")[2]
        for principal in (session_of(identity, role.arn), bounded, passed)
    ]
    assert reasons == [
        f"with an explicit deny in an identity-based policy: {attached}, statement NoDeletes",
        f"with an explicit deny in a permissions boundary: {attached}, statement NoDeletes",
        f"with an explicit deny in a session policy: {attached}, statement NoDeletes",
    ]


@pytest.mark.parametrize("action", ["s3:GetObject", "iam:PassRole"])
def test_the_log_holds_the_smallest_policy_that_would_allow_it(
    identity: Identity, caplog: pytest.LogCaptureFixture, action: str
) -> None:
    worker = make_role(identity)
    context = {"iam:PassedToService": "sagemaker.amazonaws.com"} if action == "iam:PassRole" else {}
    with caplog.at_level("INFO", "sagebrush.denials"):
        assert not may(identity, session_of(identity, worker.arn), action, OBJECT, context=context, request_id="r-1")
    (line,) = caplog.messages
    assert line.startswith("r-1 denied: User: ")
    smallest = json.loads(line[line.index("{") :])
    put(identity, worker, *smallest["Statement"])
    assert may(identity, session_of(identity, worker.arn), action, OBJECT, context=context)
    assert not may(identity, session_of(identity, worker.arn), action, f"{OBJECT}.other", context=context)
    if action == "iam:PassRole":
        elsewhere = {"iam:PassedToService": "ec2.amazonaws.com"}
        assert not may(identity, session_of(identity, worker.arn), action, OBJECT, context=elsewhere)


def test_the_log_says_where_the_policy_has_to_go(identity: Identity, caplog: pytest.LogCaptureFixture) -> None:
    boundary = make_policy(identity, "Boundary", allow("sqs:*"))
    bounded = session_of(identity, make_role(identity, "Bounded", allow("*"), boundary_arn=boundary).arn)
    denied = session_of(
        identity, make_role(identity, "Explicit", {"Effect": "Deny", "Action": "*", "Resource": "*"}).arn
    )
    with caplog.at_level("INFO", "sagebrush.denials"):
        assert not may(identity, bounded, "s3:GetObject")
        assert not may(identity, denied, "s3:GetObject")
    within, none = caplog.messages
    assert "within the permissions boundary of arn:aws:iam::123456789012:role/Bounded: {" in within
    assert none.endswith("No further policy can allow it: the denying statement has to go, or to leave this out.")


def test_session_policies_may_be_documents_and_managed_policies(identity: Identity) -> None:
    role = make_role(identity, "Wide", allow("*"))
    reading = make_policy(identity, "Reading", allow("s3:Get*"))
    session = session_of(identity, role.arn, policies=[policy(allow("sqs:*")), reading])
    assert may(identity, session, "s3:GetObject")
    assert may(identity, session, "sqs:SendMessage", "*")
    assert not may(identity, session, "s3:PutObject")


def test_a_role_that_was_deleted_and_made_again_is_another(identity: Identity) -> None:
    role = make_role(identity, "Worker")
    old = session_of(identity, role.arn)
    identity.change(lambda tx: entities.remove(tx, role))
    assert not may(identity, old, "s3:GetObject")
    make_role(identity, "Worker", allow("*"))
    assert not may(identity, old, "s3:GetObject")
    assert may(identity, session_of(identity, role.arn), "s3:GetObject")


def test_a_change_counts_at_once_in_the_process_that_made_it(identity: Identity) -> None:
    role = make_role(identity, "Worker", allow("s3:GetObject"))
    job = session_of(identity, role.arn)
    assert may(identity, job, "s3:GetObject")
    put(identity, role, allow("s3:PutObject"))
    assert not may(identity, job, "s3:GetObject")
    assert may(identity, job, "s3:PutObject")


def test_what_another_process_grants_is_never_refused(open_identity: Callable[[], Identity]) -> None:
    control, objects = open_identity(), open_identity()
    role = make_role(control, "Worker", allow("sqs:*"))
    job = session_of(control, role.arn)
    assert not may(objects, job, "s3:GetObject")
    put(control, role, allow("s3:*"))
    assert may(objects, job, "s3:GetObject")


def test_what_another_process_takes_away_ends_within_a_second(
    open_identity: Callable[[], Identity], clock: ManualClock
) -> None:
    control, objects = open_identity(), open_identity()
    role = make_role(control, "Worker", allow("s3:*"))
    job = session_of(control, role.arn)
    assert may(objects, job, "s3:GetObject")
    put(control, role, allow("sqs:*"))
    clock.advance(1.0)
    assert not may(objects, job, "s3:GetObject")


def test_cached_decisions_do_not_ask_the_store(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    job = session_of(identity, make_role(identity, "Worker", allow("s3:*")).arn)
    assert may(identity, job, "s3:GetObject")
    monkeypatch.setattr(identity._store, "read", lambda fn: pytest.fail("asked the store"))
    assert all(may(identity, job, "s3:GetObject", f"arn:aws:s3:::data/{number}") for number in range(10))


def test_a_rolled_back_change_changes_nothing(identity: Identity) -> None:
    role = make_role(identity, "Worker", allow("s3:*"))
    job = session_of(identity, role.arn)

    def failing(tx: Any) -> None:
        entity_policies.delete_inline(tx, role, "inline")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        identity.change(failing)
    assert may(identity, job, "s3:GetObject")


def test_users_have_their_own_policies_and_name(identity: Identity) -> None:
    home = allow("s3:*", "arn:aws:s3:::home/${aws:username}/*")
    alice, bob = make_user(identity, "alice", home), make_user(identity, "bob")
    assert may(identity, user_principal(alice), "s3:GetObject", "arn:aws:s3:::home/alice/x")
    assert not may(identity, user_principal(alice), "s3:GetObject", "arn:aws:s3:::home/bob/x")
    assert not may(identity, user_principal(bob), "s3:GetObject", "arn:aws:s3:::home/bob/x")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "192.168.0.0/16"}}, False),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/team": "ml"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/project": "p1"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/project": "p2"}}, False),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/Worker"}}, True),
        ({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, True),
        ({"StringLike": {"aws:userid": "AROA*:job-1"}}, True),
        ({"Null": {"aws:username": "true"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2024-01-01T00:00:00Z"}}, True),
        ({"DateGreaterThan": {"aws:TokenIssueTime": "2024-01-01T00:00:00Z"}}, False),
        ({"StringEquals": {"s3:prefix": "a/"}}, True),
        ({"Null": {"aws:SecureTransport": "true"}}, True),
    ],
)
def test_conditions_see_the_request(identity: Identity, condition: dict[str, Any], expected: bool) -> None:
    role = make_role(identity, "Worker", allow("*", Condition=condition), tags={"team": "ml", "project": "p0"})
    job = session_of(identity, role.arn, session_context=[("aws:PrincipalTag/Project", "p1")])
    context = {"s3:prefix": "a/"}
    assert may(identity, job, "s3:ListBucket", "*", source_ip="10.1.2.3", context=context) is expected


def test_the_seeded_role_trusts_sagemaker_and_nobody_else(identity: Identity) -> None:
    assert identity.role_trusts(SAGEMAKER_ROLE)
    assert not identity.role_trusts(SAGEMAKER_ROLE, "ec2.amazonaws.com")
    assert not identity.role_trusts(SAGEMAKER_ROLE + "X")


def test_a_new_trust_of_another_process_is_seen_at_once(open_identity: Callable[[], Identity]) -> None:
    control, other = open_identity(), open_identity()
    role = make_role(control, "Worker", trust_policy=trusting({"Service": "ec2.amazonaws.com"}))
    assert not other.role_trusts(role.arn)
    trust = trusting({"Service": ["ec2.amazonaws.com", "sagemaker.amazonaws.com"]})
    control.change(lambda tx: entities.change(tx, role, trust_policy=trust))
    assert other.role_trusts(role.arn)


def test_a_deleted_seed_stays_deleted(open_identity: Callable[[], Identity]) -> None:
    identity = open_identity()
    role = identity.role(SAGEMAKER_ROLE)
    for arn in identity._store.read(lambda connection: entity_policies.attached(connection, role)):
        identity.change(lambda tx, arn=arn: entity_policies.detach(tx, role, arn))
    identity.change(lambda tx: entities.remove(tx, role))
    assert not open_identity().role_trusts(SAGEMAKER_ROLE)


def test_every_shipped_policy_is_a_valid_document() -> None:
    shipped = aws_managed_policies()
    of_sagemaker = ("ClusterInstanceRolePolicy", "FeatureStoreAccess", "FullAccess", "GroundTruthExecution")
    of_sagemaker += ("ModelRegistryFullAccess", "PipelinesIntegrations", "ReadOnly")
    assert {
        "AdministratorAccess",
        "AmazonS3FullAccess",
        "CloudWatchLogsFullAccess",
        *(f"AmazonSageMaker{name}" for name in of_sagemaker),
    } <= {found.name for found in shipped.values()}
    for arn, found in shipped.items():
        assert arn == f"arn:aws:iam::aws:policy/{found.name}"
        assert parse_document(found.document, Kind.IDENTITY).statements


def test_page_tokens_and_job_tokens_are_signed_per_purpose(identity: Identity) -> None:
    mac = identity.sign("list", b"position")
    assert identity.verify_mac("list", b"position", mac)
    assert not identity.verify_mac("job", b"position", mac)
    assert not identity.verify_mac("list", b"positioN", mac)
