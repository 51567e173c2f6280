"""The nouns of this capability, each a record. The words of their errors are those that clients look for."""

from __future__ import annotations

from collections.abc import Callable

from sagebrush.substrate.errors import CallerError, validation
from sagebrush.substrate.resources import ListSpec, Resource, described, echo

_SORT = {"Name": "name", "CreationTime": "created_us", "LastModifiedTime": "modified_us"}


def _in_use(name: str, arn: str) -> CallerError:
    return CallerError("ResourceInUse", f"Resource {arn} already exists.")


def _missing(noun: str) -> Callable[[str, str], CallerError]:
    return lambda name, arn: CallerError("ResourceNotFound", f"{noun} [{arn}] does not exist.")


CODE_REPOSITORY = Resource(
    service="sagemaker",
    noun="CodeRepository",
    kind="code-repository",
    name_member="CodeRepositoryName",
    arn_member="CodeRepositoryArn",
    describe=described("CodeRepositoryName", "CodeRepositoryArn"),
    listing=ListSpec(
        operation="ListCodeRepositories",
        member="CodeRepositorySummaryList",
        summary=echo("CodeRepositoryName", "CodeRepositoryArn"),
        equals={},
        sort=_SORT,
        default_sort="name",
        default_order="Ascending",
    ),
    not_found=lambda name, arn: validation(f"Cannot find CodeRepository {arn}"),
    already_exists=lambda name, arn: validation(f"Cannot create already existing CodeRepository {arn}"),
    update="UpdateCodeRepository",
    emits=False,
)

APP_IMAGE_CONFIG = Resource(
    service="sagemaker",
    noun="AppImageConfig",
    kind="app-image-config",
    name_member="AppImageConfigName",
    arn_member="AppImageConfigArn",
    describe=described("AppImageConfigName", "AppImageConfigArn"),
    listing=ListSpec(
        operation="ListAppImageConfigs",
        member="AppImageConfigs",
        summary=echo("AppImageConfigName", "AppImageConfigArn"),
        equals={},
        sort=_SORT,
    ),
    not_found=_missing("AppImageConfig"),
    already_exists=_in_use,
    update="UpdateAppImageConfig",
    emits=False,
)

STUDIO_LIFECYCLE_CONFIG = Resource(
    service="sagemaker",
    noun="StudioLifecycleConfig",
    kind="studio-lifecycle-config",
    name_member="StudioLifecycleConfigName",
    arn_member="StudioLifecycleConfigArn",
    describe=described("StudioLifecycleConfigName", "StudioLifecycleConfigArn"),
    listing=ListSpec(
        operation="ListStudioLifecycleConfigs",
        member="StudioLifecycleConfigs",
        summary=echo(
            "StudioLifecycleConfigName", "StudioLifecycleConfigArn", without=("StudioLifecycleConfigContent",)
        ),
        equals={"AppTypeEquals": "body.StudioLifecycleConfigAppType"},
        sort=_SORT,
    ),
    not_found=_missing("StudioLifecycleConfig"),
    already_exists=_in_use,
    emits=False,
)

NOTEBOOK_LIFECYCLE_CONFIG = Resource(
    service="sagemaker",
    noun="NotebookInstanceLifecycleConfig",
    kind="notebook-instance-lifecycle-config",
    name_member="NotebookInstanceLifecycleConfigName",
    arn_member="NotebookInstanceLifecycleConfigArn",
    describe=described("NotebookInstanceLifecycleConfigName", "NotebookInstanceLifecycleConfigArn"),
    listing=ListSpec(
        operation="ListNotebookInstanceLifecycleConfigs",
        member="NotebookInstanceLifecycleConfigs",
        summary=echo(
            "NotebookInstanceLifecycleConfigName",
            "NotebookInstanceLifecycleConfigArn",
            without=("OnCreate", "OnStart"),
        ),
        equals={},
        sort=_SORT,
    ),
    not_found=lambda name, arn: validation(f"Unable to find Notebook Instance Lifecycle Config {arn}"),
    already_exists=lambda name, arn: validation(f"Notebook Instance Lifecycle Config {arn} already exists"),
    update="UpdateNotebookInstanceLifecycleConfig",
    emits=False,
)

NOUNS = (CODE_REPOSITORY, APP_IMAGE_CONFIG, STUDIO_LIFECYCLE_CONFIG, NOTEBOOK_LIFECYCLE_CONFIG)
