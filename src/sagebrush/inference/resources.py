"""The nouns of this capability: model, endpoint configuration, endpoint."""

from __future__ import annotations

from sagebrush.inference.model import description, wording
from sagebrush.inference.model.states import TRANSITIONS, Status
from sagebrush.substrate.resources import ListSpec, Resource, StateMachine

_NAME_AND_TIME = {"Name": "name", "CreationTime": "created_us"}

MODEL = Resource(
    service="sagemaker",
    noun="Model",
    kind="model",
    name_member="ModelName",
    arn_member="ModelArn",
    describe=description.describe_model,
    listing=ListSpec(
        operation="ListModels",
        member="Models",
        summary=description.summarize_model,
        equals={},
        sort=_NAME_AND_TIME,
    ),
    not_found=wording.model_not_found,
    already_exists=wording.model_exists,
)

ENDPOINT_CONFIG = Resource(
    service="sagemaker",
    noun="EndpointConfig",
    kind="endpoint-config",
    name_member="EndpointConfigName",
    arn_member="EndpointConfigArn",
    describe=description.describe_config,
    listing=ListSpec(
        operation="ListEndpointConfigs",
        member="EndpointConfigs",
        summary=description.summarize_config,
        equals={},
        sort=_NAME_AND_TIME,
    ),
    not_found=wording.config_not_found,
    already_exists=wording.config_exists,
    event_detail_type="SageMaker Endpoint Config State Change",
)

ENDPOINT = Resource(
    service="sagemaker",
    noun="Endpoint",
    kind="endpoint",
    name_member="EndpointName",
    arn_member="EndpointArn",
    status_member="EndpointStatus",
    # No state is terminal: a failed endpoint still has to be tidied up, and can be deleted.
    machine=StateMachine(initial=Status.CREATING.value, transitions=TRANSITIONS, terminal=frozenset()),
    describe=description.describe_endpoint,
    listing=ListSpec(operation="ListEndpoints", member="Endpoints", summary=description.summarize_endpoint),
    not_found=wording.endpoint_not_found,
    already_exists=wording.endpoint_exists,
    meter=description.metered,
)
