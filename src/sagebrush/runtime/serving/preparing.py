"""What happens before a model is loaded: archives unpacked, requirements installed, the program found."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sagebrush.runtime import script, unpacking
from sagebrush.runtime.directories import Directories
from sagebrush.runtime.outcome import UserError

_UNLIMITED = 1 << 62
_HANDLERS = "inference.py"
_SERVER = "serve"
#: SageMaker's model server has 600 s for its start; here the platform has a limit of its own, which is the one told.
_START_SECONDS = 3600.0


@dataclass(frozen=True)
class Prepared:
    """``program``: the module with the handlers, or a server of the model's own (``is_server``); None without code."""

    model: str
    code: str
    program: str | None
    is_server: bool = False


def prepare(directories: Directories, environ: Mapping[str, str], tell: Callable[[str], None]) -> Prepared:
    """Unpack and install what was given; ``tell`` hears what is being done. Raises UserError."""
    most = _whole(environ, "SAGEBRUSH_MODEL_MAX_BYTES", _UNLIMITED)
    if archive := environ.get("SAGEBRUSH_MODEL_ARCHIVE"):
        tell(f"unpacking {Path(archive).name}")
        unpacking.unpack(archive, directories.model, most)
    tell("unpacking its code")
    code = _code_directory(directories, environ, most)
    program, is_server = _program(code, environ.get("SAGEMAKER_PROGRAM", ""))
    if Path(code).is_dir():
        tell("installing requirements.txt")
        script.install_requirements(code, reachable=not environ.get("SAGEBRUSH_RELAY"))
        os.chdir(code)
    return Prepared(directories.model, code, program, is_server)


def _code_directory(directories: Directories, environ: Mapping[str, str], most: int) -> str:
    if archive := environ.get("SAGEBRUSH_CODE_ARCHIVE"):
        unpacking.unpack(archive, directories.code, most)
        return directories.code
    within = f"{directories.model}/code"
    given = environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "").removeprefix("file://")
    if Path(within).is_dir() or not given:
        return within
    if Path(given).is_file():
        unpacking.unpack(given, directories.code, most)
        return directories.code
    return given if Path(given).is_dir() else within


def _program(code: str, named: str) -> tuple[str | None, bool]:
    """What is to be run, and whether it is a server. Raises UserError when what was named is missing."""
    if not named:
        module = Path(code, _HANDLERS)
        if not module.is_file() and os.access(Path(code, _SERVER), os.X_OK):
            # Unnamed, the platform has made room for handlers: a server needs a port that no other replica has.
            raise UserError(f"{code} holds a server of its own. Set SAGEMAKER_PROGRAM={_SERVER} for it to be run.")
        return (str(module) if module.is_file() else None), False
    path = Path(code, named)
    if not path.is_file() and Path(code, f"{named}.py").is_file():
        path = Path(code, f"{named}.py")  # SAGEMAKER_PROGRAM may name a module, too.
    if not path.is_file():
        raise UserError(f"No file {named} was found in the code directory {code}, which holds {_listing(code)}.")
    return str(path), path.suffix != ".py"


def _listing(directory: str) -> str:
    try:
        names = sorted(entry.name for entry in Path(directory).iterdir())
    except OSError:
        return "nothing, as it is not there"
    return ", ".join(names[:10]) + (" and more" if len(names) > 10 else "") if names else "nothing"


def _whole(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        raise UserError(f"{name} is {text!r}, which is not a whole number.")
    return int(text)


def seconds(environ: Mapping[str, str], names: tuple[str, ...], default: float) -> float:
    """The first of these variables that is set, in seconds. Raises UserError for what is none."""
    for name in names:
        if text := environ.get(name, ""):
            try:
                value = float(text)
            except ValueError:
                value = 0.0
            if not value > 0:
                raise UserError(f"{name} is {text!r}, which is not a number of seconds.")
            return value
    return default


def start_seconds(environ: Mapping[str, str]) -> float:
    """How long a model may take to load, and a server of the model's own to answer its first ping."""
    return seconds(environ, ("SAGEMAKER_STARTUP_TIMEOUT",), _START_SECONDS)
