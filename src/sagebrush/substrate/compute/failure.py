"""Why a job failed: the text of FailureReason out of the exit, the failure file and the end of the log."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sagebrush.substrate.compute.specification import Observation
from sagebrush.substrate.errors import FAILURE_REASON_LIMIT, JobFailure

#: The failure file's first characters count (container contract).
FAILURE_FILE_LIMIT = 1024
_KINDS = ("AlgorithmError", "ClientError", "InternalServerError", "CapacityError")
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s*File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Iteration|Failure|Warning)\b(:|$)")
#: The last line of a traceback that only says that another program failed, which has said why itself.
_CHILD_FAILED = re.compile(r"(subprocess\.)?CalledProcessError: Command .+", re.DOTALL)
_NO_MEMORY = re.compile(r"(MemoryError|(numpy\.)?(core|_core)\._exceptions\._ArrayMemoryError)\b")
_FILE_TOO_LARGE = re.compile(r"OSError: \[Errno 27\]")
#: What our runtime leaves where a program ended by itself: why, only the log can say.
_ENDED_ITSELF = re.compile(r"(?P<program>.+) ended with exit code \d+")
#: What version 3 of the SDK leaves where its script failed: why, only the log can say.
_SEE_THE_LOG = re.compile(r"Training Execution failed\. For more details, see CloudWatch logs")
#: What the interpreter says of a program that it cannot even read; there is no traceback then.
_UNREADABLE = re.compile(r"(SyntaxError|IndentationError|TabError): ")
#: pip and tools like it, in their last line.
_TOLD_ERROR = "ERROR: "
#: Room left in FailureReason for the exit code and at least the end of the log.
_HEAD_LIMIT = FAILURE_REASON_LIMIT - 224


@dataclass(frozen=True, slots=True)
class HostEnd:
    """How one host ended: its observation, its failure file (None: none) and the last lines of its log."""

    host: str
    observation: Observation
    failure_file: str | None
    log_tail: Sequence[str]
    memory_limit_bytes: int = 0
    #: What of the disk it may take, as its user knows it: ``its VolumeSizeInGB of 5 GB``.
    disk_limit: str = "the disk space it was given"


def lost() -> JobFailure:
    """The failure of a job whose supervising process was killed."""
    return JobFailure(
        "InternalServerError",
        "The supervisor (shim) of the job's processes died, for example because it was killed or the machine went "
        "down. All processes of the job were killed with it, so that nothing of it runs on unseen.",
    )


def explain(end: HostEnd, *, several_hosts: bool = False) -> JobFailure:
    """The failure of a host that ended and did not succeed."""
    observation = end.observation
    if observation.phase == "lost":
        return lost()
    if observation.problem and observation.exit_code is None and observation.signal is None:
        return JobFailure("InternalServerError", f"The job could not be started: {observation.problem}")
    kind, message, tail = _told(end)
    if several_hosts:
        message = f"{message} (on {end.host})"
    text = f"{_cut(message.rstrip('. '), _HEAD_LIMIT)}, {exit_text(observation)}"
    if tail:
        room = FAILURE_REASON_LIMIT - len(kind) - len(text) - len(": . Last lines of the log: ") - 1
        text += f". Last lines of the log: {_end_of(tail, room)}"
    return JobFailure(kind, text, exit_code=observation.exit_code, signal=observation.signal)


def exit_text(observation: Observation) -> str:
    """``exit code: N``, with the signal's name where one ended the job."""
    if observation.signal is None:
        return f"exit code: {observation.exit_code}"
    return f"killed by {signal_name(observation.signal)}, exit code: {observation.status_code}"


def signal_name(number: int) -> str:
    """``SIGSEGV`` for 11."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _told(end: HostEnd) -> tuple[str, str, Sequence[str]]:
    """Kind, message and the log lines worth adding.

    The disk, where that ended it; else the job's own words, else the verdict on memory, else the log.
    """
    if end.observation.disk_exceeded:
        return *_out_of_disk(end), end.log_tail
    # What is only NUL characters says nothing: a file that was made long and never written.
    if end.failure_file is not None and (own_words := end.failure_file.strip("\0 \t\r\n")):
        kind, message = _kind_of(own_words[:FAILURE_FILE_LIMIT])
        if _SEE_THE_LOG.match(message):
            return _told(replace(end, failure_file=None))
        if _CHILD_FAILED.match(message.rstrip().rpartition("\n")[2]):
            error, _ = last_error(end.log_tail)
            return kind, error or message, ()
        ended = _ENDED_ITSELF.fullmatch(message)
        return (kind, f"{ended['program']} failed", end.log_tail) if ended else (kind, message, ())
    memory = _out_of_memory(end)
    if end.observation.signal == signal.SIGXFSZ:
        return "ClientError", f"No space: the job wrote a single file of more than {end.disk_limit}", end.log_tail
    # What a signal ended did not end by an exception, whatever it may have logged before.
    error, after = last_error(end.log_tail) if end.observation.signal is None else ("", ())
    if memory:
        return "AlgorithmError", f"{memory} {error}" if error else memory, after if error else end.log_tail
    if error and _FILE_TOO_LARGE.match(error):
        return "ClientError", f"No space: a single file would be larger than {end.disk_limit}: {error}", after
    if error:
        return "AlgorithmError", error, after
    if end.observation.output_problem:
        lost = f"{end.observation.lost_output_bytes} bytes of its output could not be kept"
        return "AlgorithmError", f"The job's program failed; {lost}: {end.observation.output_problem}", end.log_tail
    return "AlgorithmError", "The job's program failed", end.log_tail


def _kind_of(text: str) -> tuple[str, str]:
    """A failure file may name the kind itself: ``ClientError: ...``."""
    kind, separator, message = text.partition(":")
    if separator and kind in _KINDS:
        return kind, message.strip()
    return "AlgorithmError", text


def _out_of_disk(end: HostEnd) -> tuple[str, str]:
    observation = end.observation
    if observation.disk_exceeded == "volume":
        used = _size(observation.disk_used_bytes)
        return "ClientError", f"No space: the job wrote more than {end.disk_limit} ({used} in /opt/ml and /tmp)"
    if observation.disk_exceeded == "nesting":
        return "ClientError", "The job nested folders so deeply that the space they take cannot be measured"
    return (
        "CapacityError",
        "No space: the disk of this host has less free than the reserve that jobs must leave (setting "
        f"disk_reserve_gib), and the job went on writing ({_size(observation.disk_used_bytes)} in /opt/ml and /tmp)",
    )


def _out_of_memory(end: HostEnd) -> str:
    observation = end.observation
    peak = _size(observation.peak_memory_bytes)
    limit = f" of the {_size(end.memory_limit_bytes)} it may use" if end.memory_limit_bytes else ""
    if observation.oom_killed:
        return f"Out of memory: the job's memory reached {peak}{limit}, and the kernel killed it."
    if any(_NO_MEMORY.match(line) for line in end.log_tail[-20:]):
        return f"Out of memory: an allocation failed; at its peak the job used {peak}{limit}."
    return ""


def last_error(lines: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The exception of the last traceback in the log, with the place it was raised at; '' when there is none.

    A traceback that only says that a child process failed counts where there is no other: that child told why.
    And the lines after it: more of its message, or what the program said later; that cannot be told.
    """
    last: tuple[str, Sequence[str]] = ("", ())
    for start in range(len(lines) - 1, -1, -1):
        if lines[start].endswith(_TRACEBACK):
            found = _of_traceback(lines[start + 1 :])
            if not _CHILD_FAILED.match(found[0]):
                return found if found[0] or not last[0] else last
            last = last if last[0] else _of_child(lines, start) or found
        elif _UNREADABLE.match(lines[start]) and (place := _named_before(lines, start)):
            return f"{lines[start]} ({place})", lines[start + 1 :]
    return last


def _of_child(lines: Sequence[str], start: int) -> tuple[str, Sequence[str]] | None:
    """What a program that is no Python said last, before the traceback of the one that had started it."""
    before = lines[start - 1] if start else ""
    return (before.removeprefix(_TOLD_ERROR), lines[start:]) if before.startswith(_TOLD_ERROR) else None


def _named_before(lines: Sequence[str], index: int) -> str:
    """The place in the lines before a syntax error: file and line, the source, perhaps a mark below it."""
    frames = (_FRAME.match(line) for line in reversed(lines[max(0, index - 3) : index]))
    return next((_place(frame) for frame in frames if frame), "")


def _of_traceback(lines: Sequence[str]) -> tuple[str, Sequence[str]]:
    place, source_follows = "", False
    for index, line in enumerate(lines):
        frame = _FRAME.match(line)
        if frame:
            # Some programs print what their children say without its indentation.
            place, source_follows = _place(frame), not line[0].isspace()
        elif line and not line[0].isspace() and line.strip("^~"):
            if source_follows and not _is_exception(lines[index : index + 2]):
                source_follows = False
                continue
            return (f"{line} ({place})" if place else line), lines[index + 1 :]
    return "", ()


def _is_exception(lines: Sequence[str]) -> bool:
    """Whether the first line is the last of a traceback, and not the source of a frame."""
    return bool(_EXCEPTION.match(lines[0])) and not (len(lines) > 1 and _FRAME.match(lines[1]))


def _place(frame: re.Match[str]) -> str:
    function = frame["function"]
    inside = f", in {function}" if function and function != "<module>" else ""
    return f"{frame['file']}, line {frame['line']}{inside}"


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _end_of(lines: Sequence[str], room: int) -> str:
    text = " | ".join(line for line in (line.strip() for line in lines[-20:]) if line)
    return text if len(text) <= room else f"…{text[-max(0, room - 1) :]}"
