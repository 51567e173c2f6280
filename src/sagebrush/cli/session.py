"""What the command does as the operator: credentials minted from the data directory's key, and clients with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sagebrush.cli.ca_bundle import bundle_for
from sagebrush.cli.environment import Target
from sagebrush.server.data_directory import DataDirectory
from sagebrush.server.platform_file import PlatformFile
from sagebrush.substrate.settings import Settings

#: Telemetry of the SDKs goes to AWS and prints pages of errors where there is no internet.
SDK_CONFIG: Final = """\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


def target(settings: Settings, platform: PlatformFile, environ: Mapping[str, str], *, seconds: int | None) -> Target:
    """Where clients are to go: the running platform, with operator credentials for ``seconds`` (None: the longest)."""
    from sagebrush.server.operator import LONGEST_SECONDS, operator_credentials

    directory = DataDirectory(settings.data_dir)
    return Target(
        endpoint_url=platform.endpoint_url,
        region=settings.region,
        credentials=operator_credentials(settings, seconds=seconds or LONGEST_SECONDS),
        ca_bundle=bundle_for(directory, environ),
        sdk_config=_sdk_config(directory),
    )


def _sdk_config(directory: DataDirectory) -> Path:
    """The SDK's administrator configuration file in the data directory, written when missing or different."""
    file = directory.root / "sagemaker-config.yaml"
    try:
        if file.read_text() == SDK_CONFIG:
            return file
    except FileNotFoundError:
        pass
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    beside.write_text(SDK_CONFIG)
    beside.replace(file)
    return file


def client(settings: Settings, platform: PlatformFile, service: str) -> Any:
    """A botocore client of the running platform for the command's own questions; one try, short patience."""
    import botocore.config
    import botocore.session

    from sagebrush.server.operator import operator_credentials

    credentials = operator_credentials(settings, seconds=900)
    return botocore.session.Session().create_client(
        service,
        region_name=settings.region,
        endpoint_url=platform.endpoint_url,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=botocore.config.Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=20, proxies={}),
    )
