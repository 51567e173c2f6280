"""Native libraries that the SDK's ModelBuilder packs beside a model.

Its own ``inference.py`` copies them into ``/lib`` before it unpickles the model, which takes a container of one's own,
run as root. Here they are loaded instead, whichever needs which, and the folder is taken out of its way.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from sagebrush.runtime.outcome import UserError

_PICKLED = "code/serve.pkl"
_FOLDER = "shared_libs"
_LOADED = ".shared_libs"


def load(model: Path) -> None:
    """Load what ModelBuilder packed, for this process and those forked from it. Raises UserError in the linker's words.

    Does nothing for models that ModelBuilder has not pickled.
    """
    folder = model / _FOLDER
    if not folder.is_dir() or not (model / _PICKLED).is_file():
        return
    try:
        folder.rename(model / _LOADED)
    except OSError as error:
        raise UserError(f"{folder} cannot be taken out of inference.py's way: {error.strerror}.") from None
    left = sorted(path for path in (model / _LOADED).iterdir() if path.is_file())
    while left:
        failed = {path: problem for path in left if (problem := _problem_of(path))}
        if len(failed) == len(left):
            path, problem = next(iter(failed.items()))
            raise UserError(f"The library {_FOLDER}/{path.name} could not be loaded: {problem}")
        left = list(failed)


def _problem_of(library: Path) -> str:
    try:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return ""
