"""What the platform's processes have in common: flags, log, lifeline, limits, the memory they settle at."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from sagebrush.server import lifeline
from sagebrush.server.flags import add_settings, given
from sagebrush.substrate import faultpoints
from sagebrush.substrate import settings as settings_module
from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Start:
    """What a process of the platform was started with. ``listen_fd`` is the front door's listening socket."""

    settings: Settings
    listen_fd: int | None


def begin(words: Sequence[str] | None = None) -> Start:
    """Read the flags, start the log and watch the supervisor."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--lifeline-fd", type=int)
    parser.add_argument("--listen-fd", type=int)
    add_settings(parser)
    arguments = parser.parse_args(words)
    settings = settings_module.load(given(arguments), os.environ).settings
    faultpoints.arm(os.environ)
    _start_log(settings.log_level)
    _raise_descriptor_limit()
    if arguments.lifeline_fd is not None:
        lifeline.watch(arguments.lifeline_fd, SystemClock())
    return Start(settings, arguments.listen_fd)


def run(main: Callable[[], None]) -> NoReturn:
    """A process's life: what ends it early is logged, and said in one last line for whoever started it."""
    try:
        main()
    except CallerError as error:
        log.error("%s", error.message)
        sys.exit(1)
    except Exception as error:
        log.exception("could not go on")
        # The supervisor shows a log's last line: the error itself, not the end of a traceback.
        log.error("%s: %s", type(error).__name__, str(error).partition("\n")[0])
        sys.exit(1)
    sys.exit(0)


def settle() -> None:
    """After start: what lives now lives on, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _start_log(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])


def _raise_descriptor_limit() -> None:
    """Each connection takes two descriptors; the usual soft limit of 1024 is for another kind of program."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
