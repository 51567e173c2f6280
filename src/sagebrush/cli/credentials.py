"""Print the operator's credentials as JSON, for ``credential_process`` of an AWS profile (``sagebrush configure``).

They last an hour; clients ask again by themselves before they end, so no secret lies in the profile.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import UTC

from sagebrush.cli.finding import load_settings

_SECONDS = 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing beyond --data-dir."""


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from sagebrush.server.operator import operator_credentials

    credentials = operator_credentials(load_settings(arguments, environ).settings, seconds=_SECONDS)
    # Source: "Sourcing credentials with an external process", AWS SDKs and Tools Reference Guide.
    answer = {
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": credentials.expiration.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    print(json.dumps(answer))
    return 0
