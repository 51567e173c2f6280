"""Jobs whose command is a shell: the ``python3`` that they run starts warm, and they cannot tell."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sagebrush.substrate.compute import Compute, LaunchSpec, Limits, Observation
from sagebrush.substrate.settings import Settings
from sagebrush.testing.launcher_contract import Rig, cleaned, eventually
from tests.programs import LEFT_OPEN
from tests.substrate.compute.warm_jobs import FACTS, Jobs, comparable

#: Whether it has been forked: one that was started has imported nothing yet.
_WARM = "import sys; print('probe_base' in sys.modules)"


@pytest.fixture(params=["sandbox", "process"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    compute = Compute(Settings(data_dir=tmp_path / "data", isolation=request.param))
    with cleaned(Rig(compute.launcher, tmp_path, request.param)) as made:
        yield made


def _prepared(jobs: Jobs, lines: str, files: dict[str, str], **changes: Any) -> LaunchSpec:
    spec = jobs.spec("", **changes)
    for name, text in files.items():
        path = spec.opt_ml / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return replace(spec, argv=("/bin/bash", "-c", lines))


def _bash(jobs: Jobs, lines: str, script: str = "", **changes: Any) -> tuple[Observation, list[str]]:
    """Run shell lines in the job's folder, with the script there as ``code/job.py``."""
    spec = _prepared(jobs, lines, {"code/job.py": script}, **changes)
    jobs.rig.launcher.launch(spec)
    return jobs.rig.finish(spec), jobs.rig.printed(spec)


def _both_ways(jobs: Jobs, lines: str, script: str) -> tuple[tuple[Observation, list[str]], ...]:
    """The same, cold and then warm."""
    cold = _bash(jobs, lines, script)
    assert cold[0].start.startswith("the first of its environment")
    eventually(lambda: jobs.zygotes.memory_bytes())
    warm = _bash(jobs, lines, script)
    assert warm[0].start == ""
    return cold, warm


def test_a_script_cannot_tell_that_it_was_not_started(jobs: Jobs) -> None:
    facts = FACTS.replace("sys.argv[2:]", 'sys.argv, "file": __file__, "main": sys.modules["__main__"].__file__')
    # Signals, so also groups, go through its launcher; the name it was called by is lost in the kernel's hands.
    facts = facts.replace('"leads": os.getpgrp() == os.getpid() == os.getsid(0), ', "")
    facts = facts.replace("sys.orig_argv[1:3]", "sys.orig_argv[1:]")
    lines = (
        "cd code; mkdir elsewhere; cd elsewhere; umask 0027; ulimit -n 700; trap '' USR2; export MINE=1;"
        "echo hello | nice -n 5 python3 ../job.py 'one two' three"
    )
    (cold_end, cold), (warm_end, warm) = _both_ways(jobs, lines, facts)
    assert (cold_end.exit_code, warm_end.exit_code) == (0, 0), (cold, warm)
    told = json.loads("".join(warm))
    assert comparable(told, "a2") == comparable(json.loads("".join(cold)), "a1")
    assert (told["stdin"], told["argv"]) == ("hello\n", ["../job.py", "one two", "three"])


@pytest.mark.parametrize("script", LEFT_OPEN)
def test_what_a_script_leaves_in_an_open_file_is_in_it_at_the_end(jobs: Jobs, script: str) -> None:
    lines = "python3 code/job.py; cat left.csv; echo; cd code; python3 -m job; cat left.csv"
    for _, told in _both_ways(jobs, lines, script):
        assert told == ["epoch,loss", "epoch,loss"]


@pytest.mark.parametrize(
    ("command", "warm"),
    [
        ("python3 code/job.py", "True"),
        ("python -u code/job.py", "True"),
        ("exec python3.11 code/job.py", "True"),
        ("cd code; python3 -m job", "True"),
        ("PYTHONPATH=/nowhere python3 code/job.py", "True"),
        ("python3 -c 'exec(open(\"code/job.py\").read())'", "False"),
        ("python3 -O code/job.py", "False"),
        ("python3 < code/job.py", "False"),
        ("OMP_NUM_THREADS=2 python3 code/job.py", "False"),
        ("PYTHONHASHSEED=1 python3 code/job.py", "False"),
        ("python3 code/job.py 5< code/job.py", "False"),
        ("touch code/probe_base.py; python3 code/job.py", "False"),
        ("mkdir code/probe_base; python3 code/job.py", "True"),
        ("mkdir m; touch m/json.py; PYTHONPATH=m python3 code/job.py", "False"),
        ("python3 -m zipfile -c a.pyz code/__main__.py; python3 a.pyz", "False"),
        ("rm .python/warm; python3 code/job.py", "False"),
    ],
)
def test_what_can_start_warm_does(jobs: Jobs, command: str, warm: str) -> None:
    jobs.warmed()
    end, lines = _bash(jobs, f"cp code/job.py code/__main__.py; {command}", _WARM)
    assert (end.exit_code, lines) == (0, [warm])


@pytest.mark.parametrize(
    ("command", "warm", "why"),
    [
        (("python3", "code/job.py"), "True", ""),
        (("python", "-u", "-m", "nested.job"), "True", ""),
        (("python3", "other/job.py"), "False", ""),
        (("python3", "-c", _WARM), "False", "it starts an interpreter of its own"),
        (("/usr/bin/env", "python3", "code/job.py"), "True", ""),
    ],
)
def test_a_python_program_as_the_jobs_own_command(jobs: Jobs, command: tuple[str, ...], warm: str, why: str) -> None:
    # The other folder has a module of the name of one that is loaded.
    files = {"code/job.py": _WARM, "nested/job.py": _WARM, "other/job.py": _WARM, "other/probe_base.py": ""}
    spec = replace(_prepared(jobs.warmed(), "", files), argv=command)
    jobs.rig.launcher.launch(spec)
    end = jobs.rig.finish(spec)
    assert (end.exit_code, end.start, jobs.rig.printed(spec)) == (0, why, [warm])


def test_a_path_of_the_jobs_own_is_followed(jobs: Jobs) -> None:
    files = {"bin/python3": "#!/bin/sh\necho mine\n"}
    spec = _prepared(jobs.warmed(), "", files, env={"PATH": "bin:/usr/bin:/bin"})
    (spec.opt_ml / "bin/python3").chmod(0o755)
    jobs.rig.launcher.launch(replace(spec, argv=("python3", "code/job.py")))
    end = jobs.rig.finish(spec)
    assert end.start == "it sets PATH, which may lead to another interpreter"
    assert (end.exit_code, jobs.rig.printed(spec)) == (0, ["mine"])


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("raise SystemExit(3)", "3"),
        ("import os; os.abort()", "134"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "137"),
        ("raise KeyboardInterrupt", "130"),
        ("def f(:", "1"),
        ("1 / 0", "1"),
        ("import atexit; atexit.register(print, 'end')", "0"),
        ("import threading; threading.Timer(0.1, lambda: print(__name__, job)).start(); job = 'there'", "0"),
        ("import pickle\nclass Mine: pass\nprint(type(pickle.loads(pickle.dumps(Mine()))).__name__)", "0"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-m', 'probe_job', 'print(42)'])", "0"),
        ("import multiprocessing as m\nif __name__ == '__main__':\n"
         "  m.set_start_method('spawn')\n  p = m.Process(target=print, args=('child',)); p.start(); p.join()", "0"),
    ],
)  # fmt: skip
def test_it_ends_as_one_that_was_started(jobs: Jobs, script: str, told: str) -> None:
    lines = "python3 code/job.py; echo ended $?"
    (_, cold), (_, warm) = _both_ways(jobs, lines, script)
    # The shell tells the process of those that a signal ended.
    assert [re.sub(r" \d+ |a[12]/", "", line) for line in cold] == [re.sub(r" \d+ |a[12]/", "", line) for line in warm]
    assert warm[-1] == f"ended {told}"


def test_one_that_kills_its_attendant_is_one_that_was_killed(jobs: Jobs) -> None:
    jobs.warmed()
    # On a busy machine a start may be cold after all: then its parent is the shell, and it is left alone.
    script = (
        "import os, pathlib, signal, sys\n"
        "if pathlib.Path(f'/proc/{os.getppid()}/comm').read_text() == 'bash\\n': sys.exit(77)\n"
        "os.kill(os.getppid(), signal.SIGKILL)\nsignal.pause()"
    )
    ends = []

    def killed() -> bool:
        ends.append(_bash(jobs, "python3 code/job.py; echo ended $?", script)[1][-1])
        return ends[-1] != "ended 77"

    eventually(killed)
    assert ends[-1] == "ended 137"


def test_signals_come_through_the_launcher_once(jobs: Jobs) -> None:
    script = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('told', flush=True), time.sleep(0.3), sys.exit(5)))\n"
        "print('ready', flush=True)\ntime.sleep(600)"
    )
    spec = _prepared(jobs.warmed(), "exec python3 code/job.py", {"code/job.py": script})
    jobs.rig.launcher.launch(spec)
    eventually(lambda: jobs.rig.printed(spec))
    jobs.rig.launcher.terminate(spec.directory, 30)
    assert jobs.rig.finish(spec).exit_code == 5
    assert jobs.rig.printed(spec) == ["ready", "told"]


def test_a_launcher_that_is_killed_takes_its_program_along(jobs: Jobs) -> None:
    script = "import os, time; print('I am', os.getpid(), flush=True); time.sleep(600)"
    lines = (
        "mkfifo told; python3 code/job.py > told & read -r _ _ pid < told; kill -9 $!; "
        "wait $!; echo $?; for n in $(seq 100); do kill -0 $pid 2>&- || { echo gone; break; }; sleep 0.1; done"
    )
    end, printed = _bash(jobs.warmed(), lines, script)
    assert end.exit_code == 0
    assert printed[-2:] == ["137", "gone"]


def test_many_at_once(jobs: Jobs) -> None:
    script = "import sys; sys.stdout.write(f'{sys.argv[1]} {\"probe_base\" in sys.modules}\\n')"
    lines = "for n in $(seq 40); do python3 code/job.py $n & done; wait"
    end, printed = _bash(jobs.warmed(), lines, script)
    assert end.exit_code == 0
    assert sorted(printed) == sorted(f"{n} True" for n in range(1, 41))


def test_the_command_finds_no_child_that_it_has_not_started(jobs: Jobs) -> None:
    end, printed = _bash(jobs.warmed(), "read -r children < /proc/$$/task/$$/children; echo $children", _WARM)
    assert printed == [""], end


def test_rubbish_at_the_socket_harms_nobody(jobs: Jobs) -> None:
    rubbish = """
import os, socket
for rubbish in (b"", b"x", b"\\xff" * 8, b"\\x10" + bytes(7) + b"y" * 16, bytes(7) + b"\\x10" + b"z" * 4096):
    door = socket.socket(socket.AF_UNIX)
    os.chdir(os.environ["VIRTUAL_ENV"])
    door.connect("warm")
    if rubbish:
        socket.send_fds(door, [rubbish], [0, 1, 2, 0])
    door.shutdown(socket.SHUT_WR)
    try:
        print(door.recv(8))
    except ConnectionResetError:
        print(b"")
"""
    spec = _prepared(
        jobs.warmed(),
        "python3 code/rubbish.py; python3 code/job.py",
        {"code/rubbish.py": rubbish, "code/job.py": _WARM},
    )
    jobs.rig.launcher.launch(spec)
    assert jobs.rig.finish(spec).exit_code == 0
    assert jobs.rig.printed(spec) == ["b''"] * 5 + ["True"]


def test_stopping_ends_all_of_it(jobs: Jobs) -> None:
    script = "import time\nwhile True:\n  open('alive', 'a').write('.')\n  time.sleep(0.01)"
    spec = _prepared(jobs.warmed(), "python3 code/job.py; true", {"code/job.py": script})
    jobs.rig.launcher.launch(spec)
    alive = spec.opt_ml / "alive"
    eventually(alive.exists)
    jobs.rig.launcher.kill(spec.directory)
    assert jobs.rig.finish(spec).signal == signal.SIGKILL
    size = alive.stat().st_size
    time.sleep(0.3)
    assert alive.stat().st_size == size


@pytest.mark.parametrize("pids", [6, 7, 8, 9])
def test_a_program_for_which_there_is_no_process_left_ends_no_other(jobs: Jobs, pids: int) -> None:
    jobs.warmed()
    first = "open('go', 'w').write('on'); import time; time.sleep(1); print('first is done')"
    lines = "mkfifo go; python3 code/first.py & read on < go; python3 code/job.py; wait $!; echo first $?"
    spec = _prepared(jobs, lines, {"code/first.py": first, "code/job.py": "print('second')"}, limits=Limits(pids=pids))
    jobs.rig.launcher.launch(spec)
    assert jobs.rig.finish(spec).exit_code == 0
    assert jobs.rig.printed(spec)[-2:] == ["first is done", "first 0"]
