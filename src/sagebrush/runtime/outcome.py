"""How a job tells how it ended: ``/opt/ml/output/failure`` (its beginning becomes FailureReason) or ``success``."""

# pathlib would cost several milliseconds before the first line of user code.
# ruff: noqa: PTH100, PTH103, PTH110, PTH118, PTH120, PTH123, PTH202

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import traceback

#: What FailureReason can show: the best lines come first, within this many characters.
SHOWN = 1000
#: A message longer than this leaves no room for the place.
_HEADLINE = 600
_OWN_FRAMES = (os.path.dirname(os.path.abspath(__file__)), "<frozen runpy>", "<frozen importlib")


class UserError(Exception):
    """Input or configuration that the user can correct; SageMaker reports it as ``ClientError``."""


def describe(error: BaseException) -> str:
    """The text for the failure file: what, where, and the last lines of the traceback that are the user's."""
    if isinstance(error, UserError):
        return f"ClientError: {error}"
    import traceback

    headline = "".join(traceback.format_exception_only(error)).strip()[:_HEADLINE]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OWN_FRAMES)]
    if not frames:
        return headline
    last = frames[-1]
    first = f"{headline}\n  at {last.filename}:{last.lineno} in {last.name}"
    lines = "".join(traceback.format_list(frames)).rstrip().splitlines()
    while len(lines) > 2 and len(first) + sum(map(len, lines)) + len(lines) > SHOWN:
        del lines[0]
    return "\n".join([first, "Traceback (most recent call last):", *lines])


def last_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The last line of the user's own that the exception went through; else the last that is not this package's."""
    import traceback

    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OWN_FRAMES)]
    library = os.path.dirname(os.__file__)
    own = [f for f in frames if not f.filename.startswith((library, "<")) and "site-packages" not in f.filename]
    found = own or frames
    return found[-1] if found else None


def print_traceback(error: BaseException) -> None:
    """Write the traceback to the log as Python itself would, without the frames of this package."""
    import sys
    import traceback

    shown = traceback.TracebackException.from_exception(error)
    kept = [frame for frame in shown.stack if not frame.filename.startswith(_OWN_FRAMES)]
    shown.stack = traceback.StackSummary.from_list(kept)
    sys.stderr.write("".join(shown.format()))
    sys.stderr.flush()


def exit_code_of(error: BaseException) -> int:
    """The error's errno where it has a usable one, else 1 (as SageMaker's training toolkit does)."""
    number = getattr(error, "errno", None)
    return number if isinstance(number, int) and 0 < number < 256 else 1


def write_failure(output_directory: str, text: str) -> None:
    """Leave the reason of failure, unless the user's code has left one already."""
    path = os.path.join(output_directory, "failure")
    if os.path.exists(path) and os.path.getsize(path):
        return
    os.makedirs(output_directory, exist_ok=True)
    with open(path, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def write_success(output_directory: str) -> None:
    """Leave the mark of success."""
    os.makedirs(output_directory, exist_ok=True)
    with open(os.path.join(output_directory, "success"), "w"):
        pass
