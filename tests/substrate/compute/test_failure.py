"""FailureReason out of real program ends."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Observation
from sagebrush.substrate.compute.failure import HostEnd, explain, last_error

EXITED = Observation("exited", exit_code=1)


def end(observation: Observation = EXITED, log: str = "", failure_file: str | None = None, limit: int = 0) -> HostEnd:
    return HostEnd("algo-1", observation, failure_file, log.split("\n") if log else [], limit)


def traceback_of(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stderr.rstrip()


def test_an_exception_is_told_with_its_place_and_the_exit_code() -> None:
    log = traceback_of("def train():\n    raise RuntimeError('the rows are upside down')\n\ntrain()")
    reason = explain(end(log=f"starting\n{log}")).reason()
    assert reason == (
        "AlgorithmError: RuntimeError: the rows are upside down (<string>, line 2, in train), exit code: 1"
    )


def test_of_chained_exceptions_the_last_one_counts() -> None:
    program = "try:\n    1/0\nexcept ZeroDivisionError:\n    raise KeyError('column')"
    assert last_error(traceback_of(program).split("\n"))[0] == "KeyError: 'column' (<string>, line 4)"


def test_an_exception_without_a_message_and_a_syntax_error_are_told() -> None:
    assert last_error(traceback_of("raise ValueError").split("\n"))[0].startswith("ValueError (")
    assert last_error(["no", "traceback"]) == ("", ())


def test_the_failure_file_wins_over_the_log() -> None:
    log = traceback_of("raise RuntimeError('in the log')")
    reason = explain(end(replace(EXITED, exit_code=3), log, "my own words")).reason()
    assert reason == "AlgorithmError: my own words, exit code: 3"


@pytest.mark.parametrize("strip", [False, True])
def test_where_a_driver_says_only_that_its_child_failed_the_childs_own_exception_counts(strip: bool) -> None:
    """SDK v3's drivers print what the script says without its indentation, and fail with an error of their own."""
    script = "def load():\n    raise ValueError('the label is missing')\n\nload()"
    driver = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {script!r}], stderr=subprocess.PIPE, text=True)\n"
        "for line in child.stderr:\n"
        f"    print(line.strip() if {strip} else line.rstrip(), file=sys.stderr, flush=True)\n"
        "raise subprocess.CalledProcessError(child.wait(), ['python3', 'train.py'])"
    )
    log = traceback_of(driver)
    assert "CalledProcessError" in log
    file = log[log.rindex("Traceback") :]
    told = "AlgorithmError: ValueError: the label is missing (<string>, line 2, in load), exit code: 1"
    assert explain(end(log=log)).reason().startswith(f"{told}. Last lines of the log: Traceback")
    assert explain(end(log=log, failure_file=file)).reason() == told
    assert "CalledProcessError" in explain(end(log="nothing", failure_file=file)).reason()


@pytest.mark.parametrize("last", ["Boom", "", "ValueError: in the middle, raised there"])
def test_source_lines_without_indentation_are_not_taken_for_the_exception(last: str) -> None:
    lines = [
        "Traceback (most recent call last):",
        'File "train.py", line 9, in <module>',
        "raise_error(ValueError)",
        "^^^^^^^^^^^",
        'File "train.py", line 3, in raise_error',
        "raise kind",
        f"KeyError: {last!r}",
        "and more",
    ]
    assert last_error(lines) == (f"KeyError: {last!r} (train.py, line 3, in raise_error)", ["and more"])


_SEE_THE_LOG = "Training Execution failed. For more details, see CloudWatch logs at 'aws/sagemaker/TrainingJobs'."
_DRIVER_FAILED = """Traceback (most recent call last):
  File "/opt/ml/input/data/sm_drivers/scripts/install_requirements.py", line 191, in install_requirements
    subprocess.check_call(pip_cmd)
subprocess.CalledProcessError: Command '['python3', 'train.py']' returned non-zero exit status 1."""


@pytest.mark.parametrize("file", [None, _SEE_THE_LOG, _DRIVER_FAILED])
def test_a_program_that_cannot_be_read_is_told_with_its_line(tmp_path: Path, file: str | None) -> None:
    program = tmp_path / "train.py"
    program.write_text("def fit():\n    pass\n  x = 1\n")
    said = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False).stderr
    told = explain(end(log=f"{said}{_DRIVER_FAILED}\nAn error occurred with exit code 1", failure_file=file)).reason()
    error = "IndentationError: unindent does not match any outer indentation level"
    assert told.startswith(f"AlgorithmError: {error} ({program}, line 3), exit code: 1")


def test_what_pip_said_is_told_where_a_driver_says_only_that_its_child_failed() -> None:
    missing = "No matching distribution found for no-such-package==1.0"
    log = f"ERROR: Could not find a version\nERROR: {missing}\n{_DRIVER_FAILED}\nAn error occurred with exit code 1"
    told = explain(end(log=log, failure_file=_SEE_THE_LOG)).reason()
    assert told.startswith(f"AlgorithmError: {missing}, exit code: 1")


def test_where_the_sdks_script_only_points_at_the_log_its_end_is_told() -> None:
    told = explain(end(log="line 23: export: not a valid identifier", failure_file=_SEE_THE_LOG)).reason()
    assert told.endswith("exit code: 1. Last lines of the log: line 23: export: not a valid identifier")


def test_where_a_program_ended_by_itself_the_log_says_why() -> None:
    log = "usage: train.py [-h] --eta ETA\ntrain.py: error: the following arguments are required: --eta"
    told = end(replace(EXITED, exit_code=2), log, "train.py ended with exit code 2")
    assert explain(told).reason() == (
        "AlgorithmError: train.py failed, exit code: 2. Last lines of the log: usage: train.py [-h] --eta ETA | "
        "train.py: error: the following arguments are required: --eta"
    )


def test_a_failure_file_may_name_its_kind() -> None:
    failure = explain(end(failure_file="ClientError: eta must be in [0, 1], but is 7"))
    assert failure.reason() == "ClientError: eta must be in [0, 1], but is 7, exit code: 1"


def test_a_long_failure_file_leaves_room_for_the_exit_code() -> None:
    reason = explain(end(failure_file="x" * 5000)).reason()
    assert len(reason) <= 1024
    assert reason.endswith("…, exit code: 1")


def test_without_any_words_the_end_of_the_log_is_told() -> None:
    reason = explain(end(replace(EXITED, exit_code=137), "first\nsecond\n\nthird")).reason()
    assert reason == (
        "AlgorithmError: The job's program failed, exit code: 137. Last lines of the log: first | second | third"
    )
    assert len(explain(end(log="\n".join("y" * 100 for _ in range(50)))).reason()) <= 1024


@pytest.mark.parametrize(("number", "name", "code"), [(11, "SIGSEGV", 139), (9, "SIGKILL", 137)])
def test_a_signal_is_told_by_name(number: int, name: str, code: int) -> None:
    observation = Observation("exited", signal=number)
    log = traceback_of("raise RuntimeError('handled long before')")
    reason = explain(end(observation, log)).reason()
    assert f"killed by {name}, exit code: {code}" in reason
    assert reason.startswith("AlgorithmError: The job's program failed")


def test_out_of_memory_is_told_with_peak_and_limit() -> None:
    observation = Observation("exited", signal=9, oom_killed=True, peak_memory_bytes=4 << 30)
    reason = explain(end(observation, limit=4 << 30)).reason()
    assert "Out of memory: the job's memory reached 4.0 GiB of the 4.0 GiB it may use" in reason
    assert "SIGKILL" in reason


def test_a_memory_error_is_out_of_memory_too() -> None:
    observation = replace(EXITED, peak_memory_bytes=300 << 20)
    log = 'Traceback (most recent call last):\n  File "a.py", line 2, in f\nMemoryError'
    reason = explain(end(observation, log)).reason()
    assert "an allocation failed; at its peak the job used 300 MiB" in reason
    assert "a.py, line 2" in reason


def test_a_lost_supervisor_is_told_as_the_platforms_failure() -> None:
    reason = explain(end(Observation("lost"))).reason()
    assert reason.startswith("InternalServerError: The supervisor (shim)")
    assert "All processes of the job were killed" in reason


def test_a_job_that_could_not_start_is_the_platforms_failure() -> None:
    reason = explain(end(Observation("exited", problem="mount: Permission denied"))).reason()
    assert reason == "InternalServerError: The job could not be started: mount: Permission denied"


def test_of_several_hosts_the_failing_one_is_named() -> None:
    assert "(on algo-1), exit code: 1" in explain(end(failure_file="boom"), several_hosts=True).reason()


def test_what_a_program_said_after_an_exception_it_dealt_with_is_shown_apart() -> None:
    lines = [*traceback_of("1/0").split("\n"), "handled, going on", "real reason: no data"]
    text = explain(end(Observation("exited", exit_code=4), "\n".join(lines))).message
    assert text == (
        "ZeroDivisionError: division by zero (<string>, line 1), exit code: 4. "
        "Last lines of the log: handled, going on | real reason: no data"
    )


@pytest.mark.parametrize("name", ["MemoryError", "numpy._core._exceptions._ArrayMemoryError"])
def test_an_allocation_that_failed_is_a_verdict_on_memory(name: str) -> None:
    assert explain(end(log=f"{name}: no room")).message.startswith("Out of memory: an allocation")


def test_a_job_that_wrote_too_much_is_told_its_limit_whatever_else_it_said() -> None:
    killed = Observation("exited", signal=9, disk_exceeded="volume", disk_used_bytes=6 << 30)
    told = replace(
        end(killed, "Traceback (most recent call last):\nKeyError: 'x'", "my own words"), disk_limit="its 5 GB"
    )
    assert explain(told).reason() == (
        "ClientError: No space: the job wrote more than its 5 GB (6.0 GiB in /opt/ml and /tmp), killed by SIGKILL, "
        "exit code: 137. Last lines of the log: Traceback (most recent call last): | KeyError: 'x'"
    )
    reserve = explain(end(replace(killed, disk_exceeded="reserve"))).reason()
    assert reserve.startswith("CapacityError: No space: ")
    assert "disk_reserve_gib" in reserve
    assert "too deeply" not in reserve
    assert "so deeply" in explain(end(replace(killed, disk_exceeded="nesting"))).reason()


def test_a_file_that_is_too_large_is_told_as_the_limit_it_met() -> None:
    log = traceback_of("raise OSError(27, 'File too large')")
    assert (
        explain(end(log=log)).reason().startswith("ClientError: No space: a single file would be larger than the disk")
    )
    ended = explain(end(Observation("exited", signal=25, crashed=True))).reason()
    assert ended.startswith("ClientError: No space: the job wrote a single file of more than the disk space")


def test_a_failure_file_of_nothing_but_nul_characters_says_nothing() -> None:
    log = traceback_of("raise RuntimeError('in the log')")
    assert (
        explain(end(log=log, failure_file="\0" * 1024)).reason().startswith("AlgorithmError: RuntimeError: in the log")
    )
