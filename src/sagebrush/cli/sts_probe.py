"""Asking STS who we are exactly as the SDKs do: under its hard-coded name, through HTTPS_PROXY, with AWS_CA_BUNDLE."""

from __future__ import annotations

from sagebrush.server.data_directory import DataDirectory
from sagebrush.server.platform_file import PlatformFile
from sagebrush.substrate.settings import Settings


def identity_through_proxy(settings: Settings, platform: PlatformFile) -> str:
    """The ARN of GetCallerIdentity. Raises whatever botocore raises."""
    import botocore.config
    import botocore.session

    from sagebrush.server.operator import operator_credentials

    credentials = operator_credentials(settings, seconds=900)
    sts = botocore.session.Session().create_client(
        "sts",
        region_name=settings.region,
        endpoint_url=f"https://sts.{settings.region}.amazonaws.com",
        verify=str(DataDirectory(settings.data_dir).ca_bundle),
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=botocore.config.Config(
            proxies={"https": platform.endpoint_url}, retries={"max_attempts": 1}, connect_timeout=3, read_timeout=10
        ),
    )
    return str(sts.get_caller_identity()["Arn"])
