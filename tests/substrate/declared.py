"""A noun with states and one without, and a platform small enough for the tests of the rooms around resources."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sagebrush.substrate.calls import Call, OwnerToken
from sagebrush.substrate.clock import Clock, SystemClock, to_datetime
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.principal import Principal
from sagebrush.substrate.platform import Platform
from sagebrush.substrate.reconcile import Wakeups
from sagebrush.substrate.resources import ListSpec, Resource, Row, StateMachine
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import Store

ACCOUNT, REGION = "123456789012", "us-east-1"


def describe(row: Row, history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "TrainingJobName": row.name,
        "TrainingJobArn": row.arn,
        "TrainingJobStatus": row.status,
        "CreationTime": to_datetime(row.created_us),
        "SecondaryStatusTransitions": [
            {"Status": entry["secondary"], "StatusMessage": entry["message"]} for entry in history
        ],
        **row.body,
    }


def summarize(row: Row) -> dict[str, Any]:
    return {"TrainingJobName": row.name, "TrainingJobArn": row.arn, "TrainingJobStatus": row.status}


def metered(row: Row) -> dict[str, Any] | None:
    """Only what runs is metered."""
    return {"InstanceCount": row.body.get("Count", 1)} if row.status == "InProgress" else None


JOB = Resource(
    service="sagemaker",
    noun="TrainingJob",
    kind="training-job",
    name_member="TrainingJobName",
    arn_member="TrainingJobArn",
    status_member="TrainingJobStatus",
    machine=StateMachine(
        initial="InProgress",
        transitions={
            ("InProgress", "progress"): "InProgress",
            ("InProgress", "stop"): "Stopping",
            ("InProgress", "complete"): "Completed",
            ("Stopping", "stopped"): "Stopped",
        },
        terminal=frozenset({"Completed", "Failed", "Stopped"}),
    ),
    describe=describe,
    listing=ListSpec(
        operation="ListTrainingJobs",
        member="TrainingJobSummaries",
        summary=summarize,
        default_order="Ascending",
        equals={"StatusEquals": "status", "TrainingPlanArnEquals": "body.Plan"},
    ),
    already_exists=lambda name, arn: CallerError("ResourceInUse", f"{name} already exists"),
    event_detail_type="SageMaker Training Job State Change",
    meter=metered,
)

MODEL = Resource(
    service="sagemaker",
    noun="Model",
    kind="model",
    name_member="ModelName",
    arn_member="ModelArn",
    describe=lambda row, _: {"ModelName": row.name, "ModelArn": row.arn, **row.body},
    listing=ListSpec(
        operation="ListModels",
        member="Models",
        summary=lambda row: {"ModelName": row.name, "ModelArn": row.arn, "CreationTime": to_datetime(row.created_us)},
        equals={},
        sort={"Name": "name", "CreationTime": "created_us"},
    ),
)


class Signer:
    """The part of Identity that page tokens need."""

    def sign(self, purpose: str, payload: bytes) -> bytes:
        return hmac.digest(b"a test's key", purpose.encode() + b"\0" + payload, hashlib.sha256)


def platform_on(store: Store, clock: Clock | None = None) -> Platform:
    """A platform of which only these parts exist."""
    absent = cast(Any, None)
    return Platform(
        settings=Settings(),
        clock=clock or SystemClock(),
        store=store,
        objects=absent,
        identity=cast(Any, Signer()),
        telemetry=absent,
        compute=absent,
        calls=absent,
        wakeups=Wakeups(),
    )


def call_on(
    platform: Platform,
    operation: str = "CreateTrainingJob",
    *,
    owner: OwnerToken | None = None,
    account: str = ACCOUNT,
    request_id: str = "11111111-2222-3333-4444-555555555555",
) -> Call:
    """A call by an ordinary role session."""
    principal = Principal(f"arn:aws:sts::{account}:assumed-role/SageMakerRole/test", account, "AROATEST:test")
    return Call(platform, "sagemaker", operation, principal, account, REGION, request_id, owner=owner)
