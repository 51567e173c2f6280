"""The environment that points AWS clients at the platform; pure, so that it can be read and tested as a table."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit, urlunsplit

from sagebrush.planes.front.chaining import chain_credentials

if TYPE_CHECKING:
    from sagebrush.substrate.identity.principal import TemporaryCredentials

#: Would lead a client past the platform, or to other credentials.
_UNSET: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)
_SERVICE_ENDPOINT: Final = "AWS_ENDPOINT_URL_"
#: What @remote runs in where no image is named; without it, the SDKs have one for Python 3.8 and 3.10 only.
_DEFAULT_IMAGE: Final = "SAGEMAKER_INTERNAL_IMAGE_URI"
_PLAIN_PYTHON: Final = "081325390199.dkr.ecr.{region}.amazonaws.com/sagemaker-base-python-3{minor}:1.0"
_STS_NAME: Final = "sts.us-east-1.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Target:
    """What the environment points to."""

    endpoint_url: str
    region: str
    credentials: TemporaryCredentials
    ca_bundle: Path
    sdk_config: Path


def compose(target: Target, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Variables to set, and (None) to unset, on top of the user's ``environ``.

    AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE stay as they are: what is set here comes before them.
    """
    proxy = _proxy_url(target.endpoint_url, environ)
    bypass = _bypass(target.endpoint_url, environ)
    variables: dict[str, str | None] = dict.fromkeys(_UNSET)
    variables |= {name: None for name in environ if name.startswith(_SERVICE_ENDPOINT)}
    variables |= {
        "AWS_ENDPOINT_URL": target.endpoint_url,
        "AWS_REGION": target.region,
        "AWS_DEFAULT_REGION": target.region,
        "AWS_ACCESS_KEY_ID": target.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": target.credentials.secret_access_key,
        "AWS_SESSION_TOKEN": target.credentials.session_token,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CA_BUNDLE": str(target.ca_bundle),
        # Both spellings: libraries differ in which one they prefer. HTTP_PROXY stays as it is: the plain-http
        # endpoint must not meet a proxy.
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": bypass,
        "no_proxy": bypass,
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(target.sdk_config),
        "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
    }
    if not environ.get(_DEFAULT_IMAGE):
        variables[_DEFAULT_IMAGE] = _PLAIN_PYTHON.format(region=target.region, minor=sys.version_info.minor)
    return variables


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _proxy_url(endpoint_url: str, environ: Mapping[str, str]) -> str:
    """The front door as HTTPS proxy, chained to the one the user has."""
    ours = urlsplit(endpoint_url)
    theirs = _first(environ, "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    if not theirs:
        return endpoint_url
    if "://" not in theirs:
        theirs = f"http://{theirs}"
    parts = urlsplit(theirs)
    if (parts.hostname, parts.port) == (ours.hostname, ours.port):
        return theirs  # This shell already has our environment, chain and all.
    if parts.scheme not in ("http", "https"):
        return endpoint_url  # SOCKS: the front door speaks only CONNECT; it will try directly.
    return urlunsplit((ours.scheme, f"{chain_credentials(theirs)}@{ours.netloc}", "", "", ""))


def _bypass(endpoint_url: str, environ: Mapping[str, str]) -> str:
    """NO_PROXY: the user's own, without entries that would lead STS past the front door, and this machine."""
    theirs = [entry.strip() for entry in _first(environ, "no_proxy", "NO_PROXY").split(",")]
    kept = [entry for entry in theirs if entry and not _covers_sts(entry)]
    ours = ["127.0.0.1", "localhost", urlsplit(endpoint_url).hostname or ""]
    return ",".join(dict.fromkeys([*ours, *kept]))


def _covers_sts(entry: str) -> bool:
    suffix = entry.lstrip("*").lstrip(".").lower()
    return entry == "*" or suffix == _STS_NAME or _STS_NAME.endswith(f".{suffix}")


def as_exports(variables: Mapping[str, str | None]) -> str:
    """Lines for ``eval`` in a POSIX shell."""
    import shlex

    lines = [
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}" for name, value in variables.items()
    ]
    return "\n".join(lines) + "\n"


def applied(variables: Mapping[str, str | None], environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` with the variables applied."""
    result = {name: value for name, value in environ.items() if name not in variables}
    return result | {name: value for name, value in variables.items() if value is not None}
