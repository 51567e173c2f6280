"""CreateModel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sagebrush.inference.model import containers, wording
from sagebrush.inference.model.containers import Container, ModelData
from sagebrush.inference.model.requests import model_problems
from sagebrush.inference.resources import MODEL
from sagebrush.substrate.calls import Call
from sagebrush.substrate.compute.environments.images import ENVIRONMENT_NAMES
from sagebrush.substrate.errors import CallerError, validation
from sagebrush.substrate.identity.job_credentials import SECONDS, SESSION_NAME
from sagebrush.substrate.objects.locations import S3Location
from sagebrush.substrate.resources import answered
from sagebrush.substrate.resources.plain import create

_S3_ERRORS = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


def create_model(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Check role, image and that the role can read the model's data; record the model.

    Raises ValidationException in SageMaker's wording.
    """
    if first := call.platform.store.read(lambda conn: answered(conn, MODEL, call)):
        return {"ModelArn": first.arn}
    if found := model_problems(request):
        raise validation(" ".join(found))
    role_arn = request["ExecutionRoleArn"]
    container = containers.container_of(request)
    _check_role(call, role_arn)
    _check_image(call, container["Image"])
    _check_model_data(call, container, role_arn)
    return create(call, MODEL, request)


def _check_role(call: Call, role_arn: str) -> None:
    if not call.platform.identity.role_trusts(role_arn):
        raise validation(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def _check_image(call: Call, image: str) -> None:
    if call.platform.compute.environments.resolve(image) is None:
        raise validation(
            f"Cannot find the image {image}: Sagebrush has no environment for it. It has environments for the images "
            f"of: {', '.join(ENVIRONMENT_NAMES)} (from any account and region)."
        )


def _check_model_data(call: Call, container: Container, role_arn: str) -> None:
    data = containers.model_data(container)
    if data is None:
        return
    uri = containers.model_data_uri(container) or ""
    identity = call.platform.identity
    principal = identity.role_session(role_arn, SESSION_NAME, SECONDS).principal
    try:
        etag = _look(call, data, lambda action, location: identity.authorize(principal, action, location.arn))
    except CallerError as error:
        if error.code in _S3_ERRORS:
            raise wording.no_model_data(uri) from None
        if error.code == "AccessDenied":
            raise wording.model_data_denied(uri, role_arn, call.region) from None
        raise
    wanted = container.get("ModelDataSource", {}).get("S3DataSource", {}).get("ETag", "").strip('"')
    if wanted and wanted != etag:
        raise validation(f"The ETag of the model data at {uri} is {etag}, not {wanted}.")


def _look(call: Call, data: ModelData, allowed: Callable[[str, S3Location], None]) -> str:
    """The ETag of the data, empty for a prefix. Raises CallerError as S3 does."""
    objects, (bucket, key) = call.platform.objects, data.location
    if data.kind == "prefix":
        allowed("s3:ListBucket", S3Location(bucket, ""))
        first = next((info for info in objects.iterate(bucket, key) if not info.key.endswith("/")), None)
        if first is None:
            raise CallerError("NoSuchKey", "There is no object under this prefix.", status=404)
        allowed("s3:GetObject", S3Location(bucket, first.key))
        return ""
    allowed("s3:GetObject", data.location)
    return objects.head(bucket, key).etag
