"""Point this user's AWS files at the platform, for good: sagebrush configure [--profile NAME] [--undo] [--dry-run]

For notebooks and IDEs that are not started by `sagebrush exec`. It writes a profile (address, region, and a command
that gives credentials: no secret lies in a file), STS's address for both SDKs, which hard-code AWS's, and switches the
SDKs' telemetry off. What you have is never overwritten, and --undo takes everything back, also when no platform runs.
"""

from __future__ import annotations

import argparse
import configparser
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sagebrush.cli import own_files
from sagebrush.cli.finding import find_running, load_settings
from sagebrush.cli.own_files import Change
from sagebrush.cli.session import SDK_CONFIG, target
from sagebrush.substrate.errors import CallerError

if TYPE_CHECKING:
    from sagebrush.cli.environment import Target

_STS: Final = "sts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="default", help="the AWS profile to write (default: default)")
    parser.add_argument("--undo", action="store_true", help="take back what an earlier configure has done")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load_settings(arguments, environ).settings
    record = record_of(environ)
    if arguments.undo:
        told = own_files.take_back(record)
        print("\n".join(told) if told else "There is nothing to undo: no platform has configured files of yours.")
        return 0
    platform = find_running(settings)
    there = target(settings, platform, environ, seconds=3600)
    changes = _changes(there, arguments.profile, settings.data_dir, environ)
    for change in changes:
        print(f"{change.path}: {change.what}")
    if not arguments.dry_run:
        # A second time, or another platform, replaces the first: the record is to tell what the files were without us.
        if own_files.take_back(record):
            changes = _changes(there, arguments.profile, settings.data_dir, environ)
        own_files.make(changes, record, str(settings.data_dir.absolute()))
        print(_told(arguments.profile))
        if bundle := environ.get("AWS_CA_BUNDLE"):
            print(
                f"AWS_CA_BUNDLE={bundle} is set here and goes before the profile's ca_bundle: while it is, clients do "
                "not trust the platform's STS. Unset it for them."
            )
    return 0


def _changes(there: Target, profile: str, data_dir: Path, environ: Mapping[str, str]) -> list[Change]:
    # By the interpreter that this package is installed for, however the command itself was started.
    program = [sys.executable, "-I", "-c", "import sagebrush.cli; raise SystemExit(sagebrush.cli.main())"]
    command = shlex.join([*program, "credentials", "--data-dir", str(data_dir.absolute())])
    return [_profile(there, profile, command, environ), _sts(there, environ), *_telemetry(environ)]


def _told(profile: str) -> str:
    use = "" if profile == "default" else f"Use it with AWS_PROFILE={profile}. "
    return (
        f"{use}Whatever profile is used, both SageMaker SDKs now find STS here and not at AWS; everything else "
        "follows the profile. `sagebrush configure --undo` takes it back."
    )


def record_of(environ: Mapping[str, str]) -> Path:
    """Where it is written down what this user's files were before."""
    base = Path(environ.get("XDG_STATE_HOME") or _home(environ) / ".local" / "state")
    return base / "sagebrush" / "configured.json"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def _profile(there: Target, name: str, command: str, environ: Mapping[str, str]) -> Change:
    """Address, region, trust and credentials. Raises CallerError where the user has such a profile already."""
    config = Path(environ.get("AWS_CONFIG_FILE") or _home(environ) / ".aws" / "config").expanduser()
    secrets = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or _home(environ) / ".aws" / "credentials").expanduser()
    section = name if name == "default" else f"profile {name}"
    for file, taken in ((config, section), (secrets, name)):
        if taken in _sections(file):
            raise CallerError(
                "ProfileExists",
                f"{file} has a profile {name} of yours, which stays as it is. "
                "Choose another name: sagebrush configure --profile sagebrush",
            )
    if not name.strip() or any(sign in name for sign in "[]\n\r"):
        raise CallerError("BadProfile", f"{name!r} cannot be the name of a profile.")
    lines = [
        f"[{section}]",
        f"region = {there.region}",
        f"endpoint_url = {there.endpoint_url}",
        f"ca_bundle = {there.ca_bundle}",
        f"credential_process = {command}",
    ]
    return Change(config, own_files.appended(config, lines), f"the profile {name}, for {there.endpoint_url}")


def _sections(file: Path) -> list[str]:
    """The profiles in a file of AWS's. Raises CallerError when it cannot be read as one."""
    parser = configparser.RawConfigParser(default_section="", strict=False, allow_no_value=True)
    try:
        parser.read_string(own_files.without_marked(file.read_bytes()).decode())
    except FileNotFoundError:
        return []
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise CallerError("BadFile", f"{file} cannot be read: {error}") from None
    return parser.sections()


def _sts(there: Target, environ: Mapping[str, str]) -> Change:
    """botocore's endpoint data, with another address for STS: where both SDKs look it up. Raises CallerError."""
    file = _home(environ) / ".aws" / "models" / "endpoints.json"
    try:
        data: dict[str, Any] = json.loads(file.read_bytes())
        partition = next(each for each in data["partitions"] if each["partition"] == "aws")
        regions = partition["regions"]
    except FileNotFoundError:
        import botocore

        data = json.loads((Path(botocore.__file__).parent / "data" / "endpoints.json").read_bytes())
        partition = next(each for each in data["partitions"] if each["partition"] == "aws")
        regions = partition["regions"]
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise CallerError("BadFile", f"{file} is not botocore's endpoint data: {error}") from None
    host = f"localhost:{urlsplit(there.endpoint_url).port}"
    partition["services"][_STS] = {
        "defaults": {"hostname": host},
        "endpoints": {region: {"hostname": host} for region in [*regions, there.region]},
    }
    return Change(file, json.dumps(data).encode(), f"STS of both SageMaker SDKs at https://{host}")


def _telemetry(environ: Mapping[str, str]) -> list[Change]:
    """The SDKs' own configuration file, where there is none; one of the user's own says what the user wants."""
    base = Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")
    file = base / "sagemaker" / "config.yaml"
    if file.exists():
        return []
    return [Change(file, SDK_CONFIG.encode(), "telemetry of the SageMaker SDKs off")]
