"""Records of Studio, through boto3."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.journeys.running import RunningPlatform

pytestmark = pytest.mark.journey
SCRIPT = base64.b64encode(b"#!/bin/bash\necho started").decode()


@pytest.fixture
def name() -> str:
    return f"studio-{uuid.uuid4().hex[:8]}"


def refused(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_code_repository_is_kept_updated_listed_tagged_and_deleted(sagemaker: Any, name: str) -> None:
    git = {"RepositoryUrl": "https://git.example.com/team/project.git", "Branch": "main"}
    tags = [{"Key": "team", "Value": "vision"}]
    arn = sagemaker.create_code_repository(CodeRepositoryName=name, GitConfig=git, Tags=tags)["CodeRepositoryArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:code-repository/{name}"
    code, message = refused(sagemaker.create_code_repository, CodeRepositoryName=name, GitConfig=git)
    assert (code, message) == ("ValidationException", f"Cannot create already existing CodeRepository {arn}")
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:git-AbCdEf"
    sagemaker.update_code_repository(CodeRepositoryName=name, GitConfig={"SecretArn": secret})
    shown = sagemaker.describe_code_repository(CodeRepositoryName=name)
    assert shown["GitConfig"] == git | {"SecretArn": secret}
    assert shown["LastModifiedTime"] > shown["CreationTime"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    (listed,) = sagemaker.list_code_repositories(NameContains=name)["CodeRepositorySummaryList"]
    assert listed == {member: shown[member] for member in listed}
    sagemaker.delete_code_repository(CodeRepositoryName=name)
    for verb in (sagemaker.describe_code_repository, sagemaker.delete_code_repository):
        assert refused(verb, CodeRepositoryName=name) == ("ValidationException", f"Cannot find CodeRepository {arn}")


def test_code_repositories_are_listed_by_name_page_by_page(sagemaker: Any, name: str) -> None:
    git = {"RepositoryUrl": "https://git.example.com/team/project.git"}
    names = [f"{name}-{letter}" for letter in "cab"]
    for one in names:
        sagemaker.create_code_repository(CodeRepositoryName=one, GitConfig=git)
    pages = sagemaker.get_paginator("list_code_repositories").paginate(
        NameContains=name, PaginationConfig={"PageSize": 2}
    )
    listed = [[found["CodeRepositoryName"] for found in page["CodeRepositorySummaryList"]] for page in pages]
    assert listed == [sorted(names)[:2], sorted(names)[2:]]


def test_an_app_image_config_replaces_what_an_update_gives(sagemaker: Any, name: str) -> None:
    kernels = {"KernelSpecs": [{"Name": "python3", "DisplayName": "Python 3"}]}
    arn = sagemaker.create_app_image_config(AppImageConfigName=name, KernelGatewayImageConfig=kernels)[
        "AppImageConfigArn"
    ]
    assert refused(sagemaker.create_app_image_config, AppImageConfigName=name)[0] == "ResourceInUse"
    lab = {"ContainerConfig": {"ContainerArguments": ["--debug"]}}
    changed = sagemaker.update_app_image_config(AppImageConfigName=name, JupyterLabAppImageConfig=lab)
    assert changed["AppImageConfigArn"] == arn
    shown = sagemaker.describe_app_image_config(AppImageConfigName=name)
    assert (shown["KernelGatewayImageConfig"], shown["JupyterLabAppImageConfig"]) == (kernels, lab)
    before = sagemaker.list_app_image_configs(NameContains=name, ModifiedTimeBefore=shown["CreationTime"])
    assert before["AppImageConfigs"] == []
    sagemaker.delete_app_image_config(AppImageConfigName=name)
    code, message = refused(sagemaker.describe_app_image_config, AppImageConfigName=name)
    assert code == "ResourceNotFound"
    assert message.endswith("does not exist.")


def test_lifecycle_configs_keep_scripts_and_refuse_what_is_no_base64(sagemaker: Any, name: str) -> None:
    studio = {"StudioLifecycleConfigName": name, "StudioLifecycleConfigAppType": "JupyterLab"}
    sagemaker.create_studio_lifecycle_config(**studio, StudioLifecycleConfigContent=SCRIPT)
    shown = sagemaker.describe_studio_lifecycle_config(StudioLifecycleConfigName=name)
    assert shown["StudioLifecycleConfigContent"] == SCRIPT
    of_type = sagemaker.list_studio_lifecycle_configs(NameContains=name, AppTypeEquals="JupyterLab")
    (listed,) = of_type["StudioLifecycleConfigs"]
    assert "StudioLifecycleConfigContent" not in listed
    other = sagemaker.list_studio_lifecycle_configs(NameContains=name, AppTypeEquals="CodeEditor")
    assert other["StudioLifecycleConfigs"] == []
    code, message = refused(
        sagemaker.create_studio_lifecycle_config,
        StudioLifecycleConfigName=f"{name}-2",
        StudioLifecycleConfigAppType="JupyterLab",
        StudioLifecycleConfigContent="#!/bin/bash",
    )
    assert code == "ValidationException"
    assert "base64" in message

    sagemaker.create_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=name, OnCreate=[{"Content": SCRIPT}]
    )
    sagemaker.update_notebook_instance_lifecycle_config(
        NotebookInstanceLifecycleConfigName=name, OnStart=[{"Content": SCRIPT}]
    )
    notebook = sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    assert notebook["OnCreate"] == notebook["OnStart"] == [{"Content": SCRIPT}]
    code, _ = refused(
        sagemaker.update_notebook_instance_lifecycle_config,
        NotebookInstanceLifecycleConfigName=name,
        OnStart=[{"Content": "not base64!"}],
    )
    assert code == "ValidationException"


def test_who_may_not_is_told_about_this_very_record(platform: RunningPlatform, sagemaker: Any, name: str) -> None:
    iam = platform.client("iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    stranger = boto3.client(
        "sagemaker",
        endpoint_url=platform.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    code, message = refused(stranger.describe_app_image_config, AppImageConfigName=name)
    assert code == "AccessDeniedException"
    assert f"on resource: arn:aws:sagemaker:us-east-1:123456789012:app-image-config/{name}" in message
