"""Start the platform: in the foreground until Ctrl-C, or with --detach in the background, returning once ready."""

from __future__ import annotations

import argparse
import ipaddress
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sagebrush.cli.finding import load_settings
from sagebrush.cli.spelling import command
from sagebrush.server import tls
from sagebrush.server.data_directory import DataDirectory
from sagebrush.server.flags import add_settings, given
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser, only=("host", "port", "tls", "tls_hosts", "insecure_listen"))
    add_settings(parser, only=("auth", "region", "isolation", "log_level"))
    parser.add_argument("--detach", "-d", action="store_true", help="go to the background when ready")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = load_settings(arguments, environ).settings
    # The working directory of the platform is its data directory: what was relative here must stay where it is.
    flags = given(arguments)
    place = f" --data-dir {shlex.quote(str(settings.data_dir))}" if "data_dir" in flags else ""
    flags["data_dir"] = settings.data_dir
    _check_exposure(settings)
    tls.check(settings)
    DataDirectory(settings.data_dir).prepare()
    begin = _detached if arguments.detach else _foreground
    return begin(settings, flags, environ, place)


def _check_exposure(settings: Settings) -> None:
    if _is_loopback(settings.host):
        return
    if settings.auth == "open":
        raise CallerError(
            "InvalidSetting",
            f"auth = open takes any credentials as the administrator's: for loopback only, not for {settings.host}.",
        )
    if settings.tls == "off" and not settings.insecure_listen:
        raise CallerError(
            "InvalidSetting",
            f"host = {settings.host} would send data, logs and session tokens over the network in the clear. Say "
            "--tls own (or files), or, in a network that you trust, --insecure-listen true.",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _foreground(settings: Settings, flags: dict[str, Any], environ: Mapping[str, str], place: str) -> int:
    from sagebrush.server.supervisor import StartFailed, serve

    try:
        stop = "Stop it with Ctrl-C; running jobs go on."
        serve(settings, flags, environ, lambda url: _announce(url, settings, place, stop))
    except StartFailed as failure:
        print(f"sagebrush: {failure}", file=sys.stderr)
        return 1
    from sagebrush.cli import replicas

    replicas.end_all(settings)
    return 0


def _detached(settings: Settings, flags: dict[str, Any], environ: Mapping[str, str], place: str) -> int:
    from sagebrush.server.supervisor import flag_arguments

    reading, writing = os.pipe()
    log = DataDirectory(settings.data_dir).logs / "supervisor.log"
    with log.open("ab") as output:
        subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "sagebrush.server.supervisor",
                "--report-fd",
                str(writing),
                *flag_arguments(flags),
            ],
            cwd=settings.data_dir,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(writing,),
            start_new_session=True,
        )
    os.close(writing)
    with os.fdopen(reading) as report:
        word, _, text = report.readline().strip().partition(" ")
    if word == "ready":
        _announce(text, settings, place, f"Stop it with: {command()} down{place}")
        return 0
    print(f"sagebrush: {text or f'The supervisor ended without a word. Its log: {log}'}", file=sys.stderr)
    return 1


def _announce(url: str, settings: Settings, place: str, how_to_stop: str) -> None:
    """``place``: the option without which other commands would look elsewhere."""
    print(f"Sagebrush is ready at {url}")
    print(f"  data       {settings.data_dir}")
    print(f"  use it     {command()} exec{place} -- python your_script.py")
    print(f'  or         eval "$({command()} env{place})"')
    if settings.tls != "off":
        authority = DataDirectory(settings.data_dir).keys / "server-ca.pem"
        trust = f", which trust {authority}" if settings.tls == "own" else ""
        print(f"  elsewhere  {tls.address_of(settings, urlsplit(url).port or 443)} for other machines{trust}")
    if settings.auth == "open":
        print("  auth       open: any credentials are taken as the administrator's")
    print(f"  {how_to_stop}", flush=True)
