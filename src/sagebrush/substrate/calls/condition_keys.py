"""Condition keys that a request itself answers: its tags, and SageMaker's own keys.

AWS: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html#amazonsagemaker-policy-keys
and, for the tags, reference_policies_condition-keys.html. A member that the request lacks makes no key, so conditions
follow the rules for missing keys. Computed only when a statement has conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagebrush.substrate.calls.request_members import Path, members
from sagebrush.substrate.identity.context import ContextValue

#: Where each of SageMaker's keys is found in a request. A path matches the end of a member's whole path; one that
#: begins with ``/`` matches a member of the request itself.
SAGEMAKER_KEYS: Mapping[str, tuple[str, ...]] = {
    "sagemaker:AcceleratorTypes": ("AcceleratorType", "AcceleratorTypes"),
    "sagemaker:AppNetworkAccessType": ("/AppNetworkAccessType",),
    "sagemaker:CustomerMetadataPropertiesToRemove": ("/CustomerMetadataPropertiesToRemove",),
    "sagemaker:DirectInternetAccess": ("/DirectInternetAccess",),
    "sagemaker:DomainSharingOutputKmsKey": ("SharingSettings.S3KmsKeyId",),
    "sagemaker:EnableRemoteDebug": ("RemoteDebugConfig.EnableRemoteDebug",),
    "sagemaker:FeatureGroupDisableGlueTableCreation": ("OfflineStoreConfig.DisableGlueTableCreation",),
    "sagemaker:FeatureGroupEnableOnlineStore": ("OnlineStoreConfig.EnableOnlineStore",),
    "sagemaker:FeatureGroupOfflineStoreKmsKey": ("OfflineStoreConfig.S3StorageConfig.KmsKeyId",),
    "sagemaker:FeatureGroupOfflineStoreS3Uri": ("OfflineStoreConfig.S3StorageConfig.S3Uri",),
    "sagemaker:FeatureGroupOnlineStoreKmsKey": ("OnlineStoreConfig.SecurityConfig.KmsKeyId",),
    "sagemaker:FileSystemAccessMode": ("FileSystemDataSource.FileSystemAccessMode",),
    "sagemaker:FileSystemDirectoryPath": ("FileSystemDataSource.DirectoryPath",),
    "sagemaker:FileSystemId": ("FileSystemDataSource.FileSystemId",),
    "sagemaker:FileSystemType": ("FileSystemDataSource.FileSystemType",),
    "sagemaker:HomeEfsFileSystemKmsKey": ("/HomeEfsFileSystemKmsKeyId",),
    "sagemaker:ImageArns": ("SageMakerImageArn",),
    "sagemaker:ImageVersionArns": ("SageMakerImageVersionArn",),
    "sagemaker:InstanceTypes": ("InstanceType", "InstanceTypes"),
    "sagemaker:InterContainerTrafficEncryption": ("EnableInterContainerTrafficEncryption",),
    "sagemaker:KeepAlivePeriod": ("ResourceConfig.KeepAlivePeriodInSeconds",),
    "sagemaker:MaxRuntimeInSeconds": ("StoppingCondition.MaxRuntimeInSeconds",),
    "sagemaker:MinimumInstanceMetadataServiceVersion": ("MinimumInstanceMetadataServiceVersion",),
    "sagemaker:ModelApprovalStatus": ("/ModelApprovalStatus",),
    "sagemaker:NetworkIsolation": ("EnableNetworkIsolation",),
    "sagemaker:OutputKmsKey": (
        "OutputDataConfig.KmsKeyId",
        "OutputConfig.KmsKeyId",
        "TransformOutput.KmsKeyId",
        "ProcessingOutputConfig.KmsKeyId",
        "MonitoringOutputConfig.KmsKeyId",
        "DataQualityJobOutputConfig.KmsKeyId",
        "ModelQualityJobOutputConfig.KmsKeyId",
        "ModelBiasJobOutputConfig.KmsKeyId",
        "ModelExplainabilityJobOutputConfig.KmsKeyId",
    ),
    "sagemaker:RootAccess": ("/RootAccess",),
    "sagemaker:ServerlessMaxConcurrency": ("ServerlessConfig.MaxConcurrency",),
    "sagemaker:ServerlessMemorySize": ("ServerlessConfig.MemorySizeInMB",),
    "sagemaker:VolumeKmsKey": ("VolumeKmsKeyId", "/KmsKeyId"),
    "sagemaker:VpcSecurityGroupIds": ("VpcConfig.SecurityGroupIds", "/SecurityGroupIds", "UserSettings.SecurityGroups"),
    "sagemaker:VpcSubnets": ("VpcConfig.Subnets", "/SubnetId", "/SubnetIds"),
    "sagemaker:WorkteamArn": ("WorkteamArn",),
}
#: A model named in a request stands for its ARN.
MODEL_ARN = "sagemaker:ModelArn"
_METADATA = "CustomerMetadataProperties"


def _by_last_name() -> dict[str, list[tuple[Path, bool, str]]]:
    found: dict[str, list[tuple[Path, bool, str]]] = {}
    for key, paths in SAGEMAKER_KEYS.items():
        for written in paths:
            path = tuple(written.removeprefix("/").split("."))
            found.setdefault(path[-1], []).append((path, written.startswith("/"), key))
    return found


_BY_LAST_NAME = _by_last_name()


def of_tags(request: Mapping[str, Any]) -> dict[str, ContextValue]:
    """``aws:RequestTag/<key>`` and ``aws:TagKeys``: the tags that the request sets, the keys that it names."""
    tags = _tags_in(request)
    keys = [*tags, *(request.get("TagKeys") or request.get("tagKeys") or ())]
    context: dict[str, ContextValue] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if keys:
        context["aws:TagKeys"] = keys
    return context


def of_sagemaker(request: Mapping[str, Any], *, account: str, region: str) -> dict[str, ContextValue]:
    """SageMaker's keys of a request."""
    gathered: dict[str, dict[str, None]] = {}
    for path, value in members(request):
        for key in _keys_of(path):
            gathered.setdefault(key, {})[_text(value)] = None
        if path[-1] == "ModelName":
            arn = f"arn:aws:sagemaker:{region}:{account}:model/{str(value).lower()}"
            gathered.setdefault(MODEL_ARN, {})[arn] = None
    context: dict[str, ContextValue] = {key: tuple(values) for key, values in gathered.items()}
    for name, value in (request.get(_METADATA) or {}).items():
        context[f"sagemaker:{_METADATA}/{name}"] = str(value)
    return context


def sets_tags(request: Mapping[str, Any]) -> bool:
    """Whether the request brings tags along."""
    return bool(_tags_in(request))


def _keys_of(path: Path) -> list[str]:
    return [
        key
        for suffix, whole, key in _BY_LAST_NAME.get(path[-1], ())
        if (path == suffix if whole else path[-len(suffix) :] == suffix)
    ]


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _tags_in(request: Mapping[str, Any]) -> dict[str, str]:
    given = request.get("Tags") or request.get("tags") or ()
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    return {tag["Key"]: tag.get("Value", "") for tag in given if isinstance(tag, Mapping) and "Key" in tag}
