"""What tells AWS's SDKs inside user code where the platform is and whom they act as.

Source: the container credential provider of boto3 and botocore.
"""

from __future__ import annotations

#: Read by ``runtime.script`` inside the job.
NETWORK_VARIABLE = "SAGEBRUSH_NETWORK"
CREDENTIALS_PATH = "/_sagebrush/credentials"


def place_variables(region: str, endpoint_url: str) -> dict[str, str]:
    """Region and URL; a user may override them."""
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "S3_ENDPOINT_URL": endpoint_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def isolated_variables(region: str) -> dict[str, str]:
    """For user code without a network: the region, and that no package index, nor anybody else, can be reached."""
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        NETWORK_VARIABLE: "isolated",
    }


def credential_variables(endpoint_url: str, token: str) -> dict[str, str]:
    """Where credentials are got with which token; a user who could override them would lose his identity."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint_url + CREDENTIALS_PATH,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }
