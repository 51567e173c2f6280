"""What ``sagebrush env`` sets and unsets, as a table over what the user's shell holds."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sagebrush.cli.ca_bundle import bundle_for
from sagebrush.cli.environment import Target, applied, as_exports, compose
from sagebrush.planes.front.chaining import chain_credentials
from sagebrush.server.data_directory import DataDirectory
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.principal import Principal, TemporaryCredentials

ENDPOINT = "http://127.0.0.1:4711"
TARGET = Target(
    endpoint_url=ENDPOINT,
    region="eu-west-1",
    credentials=TemporaryCredentials(
        "ASIAEXAMPLE", "it's $ecret", "token==", datetime(2026, 11, 22, tzinfo=UTC), Principal("arn", "1", "id")
    ),
    ca_bundle=Path("/data/keys/ca-bundle.pem"),
    sdk_config=Path("/data/sagemaker-config.yaml"),
)


def test_clients_find_endpoint_region_credentials_and_trust() -> None:
    variables = compose(TARGET, {})
    assert variables["AWS_ENDPOINT_URL"] == ENDPOINT
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert variables["AWS_ACCESS_KEY_ID"] == "ASIAEXAMPLE"
    assert variables["AWS_SESSION_TOKEN"] == "token=="
    assert variables["AWS_CA_BUNDLE"] == "/data/keys/ca-bundle.pem"
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == ENDPOINT
    assert variables["NO_PROXY"] == variables["no_proxy"] == "127.0.0.1,localhost"
    assert "HTTP_PROXY" not in variables
    assert "AWS_CONFIG_FILE" not in variables


def test_what_would_lead_past_the_platform_is_unset() -> None:
    user = {
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere",
        "AWS_SECURITY_TOKEN": "old",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "PATH": "/bin",
    }
    result = applied(compose(TARGET, user), user)
    assert set(user) & set(result) == {"PATH"}


def test_the_users_proxy_is_chained() -> None:
    theirs = "http://user:pw@proxy.example:3128"
    proxy = compose(TARGET, {"https_proxy": theirs, "HTTPS_PROXY": "http://upper.example"})["HTTPS_PROXY"]
    assert proxy == f"http://{chain_credentials(theirs)}@127.0.0.1:4711"
    assert urlsplit(proxy).port == 4711
    assert compose(TARGET, {"HTTPS_PROXY": "proxy.example:3128"})["HTTPS_PROXY"] == (
        f"http://{chain_credentials('http://proxy.example:3128')}@127.0.0.1:4711"
    )
    assert compose(TARGET, {"ALL_PROXY": "socks5://proxy.example"})["HTTPS_PROXY"] == ENDPOINT


def test_an_environment_inside_an_environment_is_the_same() -> None:
    user = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "intranet.example"}
    once = applied(compose(TARGET, user), user)
    assert applied(compose(TARGET, once), once) == once


@pytest.mark.parametrize(
    "entry", ["*", "amazonaws.com", ".amazonaws.com", "*.amazonaws.com", "sts.us-east-1.amazonaws.com"]
)
def test_no_proxy_entries_that_would_hide_sts_are_left_out(entry: str) -> None:
    bypass = compose(TARGET, {"NO_PROXY": f"intranet.example, {entry},10.0.0.0/8"})["NO_PROXY"]
    assert bypass == "127.0.0.1,localhost,intranet.example,10.0.0.0/8"


def test_exports_survive_a_shell_whatever_they_hold() -> None:
    script = (
        as_exports(compose(TARGET, {"AWS_PROFILE": "work"}))
        + 'printf "%s|%s" "$AWS_SECRET_ACCESS_KEY" "${AWS_PROFILE-unset}"'
    )
    shell = subprocess.run(
        ["bash", "-c", script], env={"AWS_PROFILE": "work"}, capture_output=True, text=True, check=True
    )
    assert shell.stdout == "it's $ecret|unset"


def test_the_users_own_authorities_stay_trusted(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.keys.mkdir()
    with pytest.raises(CallerError, match="restart Sagebrush"):
        bundle_for(directory, {})
    directory.ca_bundle.write_text("OURS\n")
    corporate = tmp_path / "corporate.pem"
    corporate.write_text("THEIRS\n")
    assert bundle_for(directory, {}) == directory.ca_bundle
    merged = bundle_for(directory, {"AWS_CA_BUNDLE": str(corporate)})
    assert merged.read_text() == "OURS\nTHEIRS\n"
    assert bundle_for(directory, {"REQUESTS_CA_BUNDLE": str(corporate)}) == merged
    assert bundle_for(directory, {"AWS_CA_BUNDLE": str(merged)}) == directory.ca_bundle
    assert bundle_for(directory, {"AWS_CA_BUNDLE": "/no/such/file"}) == directory.ca_bundle
