"""Warm starts: a job forked from a zygote is like one that was started, but for the time it takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sagebrush.substrate.compute import Compute, Environment
from sagebrush.substrate.compute.environments import preloads
from sagebrush.substrate.compute.zygotes import zygotes_of
from sagebrush.substrate.settings import Settings
from sagebrush.testing.launcher_contract import Rig, cleaned, eventually
from tests.programs import LEFT_OPEN
from tests.substrate.compute.warm_jobs import FACTS, Jobs, comparable


@pytest.fixture(params=["sandbox", "process"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    compute = Compute(Settings(data_dir=tmp_path / "data", isolation=request.param))
    with cleaned(Rig(compute.launcher, tmp_path, request.param)) as made:
        yield made


def test_a_warm_job_cannot_tell_that_it_was_not_started(jobs: Jobs) -> None:
    cold_end, cold = jobs.run(FACTS, "one", "two")
    assert cold_end.start.startswith("the first of its environment")
    eventually(lambda: jobs.zygotes.memory_bytes())
    warm_end, warm = jobs.run(FACTS, "one", "two")
    assert (cold_end.exit_code, warm_end.exit_code, warm_end.start) == (0, 0, ""), (cold, warm)
    assert comparable(json.loads("".join(warm)), "a2") == comparable(json.loads("".join(cold)), "a1")


def test_what_was_preloaded_is_there_and_no_two_jobs_share_their_chances(jobs: Jobs) -> None:
    program = """
import sys
print("probe_base" in sys.modules)
import multiprocessing, random
print(random.random(), bytes(multiprocessing.current_process().authkey).hex())
"""
    assert jobs.run(program)[1][0] == "False"
    eventually(lambda: jobs.zygotes.memory_bytes())
    told = [jobs.run(program)[1] for _ in range(3)]
    assert [lines[0] for lines in told] == ["True"] * 3
    assert len({word for lines in told for word in lines[1].split()}) == 6


@pytest.mark.parametrize(
    ("program", "code", "number", "printed"),
    [
        ("raise SystemExit(3)", 3, None, []),
        ("import sys; sys.exit('not like this')", 1, None, ["not like this"]),
        ("import os; os._exit(7)", 7, None, []),
        ("import os; os.abort()", None, signal.SIGABRT, []),
        ("import atexit; atexit.register(print, 'at the end')", 0, None, ["at the end"]),
        ("import threading; threading.Timer(0.1, print, ['by a thread']).start()", 0, None, ["by a thread"]),
        ("import os; os.write(1, b'\\xff'); print('end', end='')", 0, None, ["\N{REPLACEMENT CHARACTER}end"]),
    ],
)
def test_a_warm_job_ends_as_a_cold_one_does(
    jobs: Jobs, program: str, code: int | None, number: int | None, printed: list[str]
) -> None:
    cold = jobs.run(program)
    jobs.warmed()
    warm = jobs.run(program)
    assert warm[0].start == ""
    assert [(end.exit_code, end.signal, lines) for end, lines in (cold, warm)] == [(code, number, printed)] * 2


@pytest.mark.parametrize("script", LEFT_OPEN)
def test_what_a_script_in_script_mode_leaves_in_an_open_file_is_in_it_at_the_end(jobs: Jobs, script: str) -> None:
    program = (
        f"import pathlib; pathlib.Path('train.py').write_text({script!r})\n"
        "from sagebrush.runtime import script\nscript.run_python('train.py', '.', [])"
    )
    jobs.warmed()
    spec = jobs.spec(program)
    jobs.rig.launcher.launch(spec)
    end = jobs.rig.finish(spec)
    assert (end.exit_code, end.start, jobs.rig.printed(spec)) == (0, "", [])
    assert (spec.opt_ml / "left.csv").read_text() == "epoch,loss"


def test_an_exception_names_the_line_in_the_users_program(jobs: Jobs) -> None:
    jobs.warmed()
    end, lines = jobs.run("def train():\n    raise ValueError('upside down')\ntrain()")
    assert end.exit_code == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2:] == ['  File "<job>", line 2, in train', "ValueError: upside down"]


def test_a_warm_job_hears_that_it_shall_stop(jobs: Jobs) -> None:
    jobs.warmed()
    spec = jobs.spec(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)"
    )
    jobs.rig.launcher.launch(spec)
    eventually(lambda: jobs.rig.printed(spec))
    jobs.rig.launcher.terminate(spec.directory, 30)
    assert jobs.rig.finish(spec).exit_code == 5


def test_jobs_outlive_their_zygote_and_the_next_ones_start_cold_then_warm_again(jobs: Jobs) -> None:
    jobs.warmed()
    spec = jobs.spec("import time; print('on', flush=True); time.sleep(1); print('done')")
    jobs.rig.launcher.launch(spec)
    eventually(lambda: jobs.rig.printed(spec))
    (zygote,) = jobs.zygotes._zygotes.values()
    os.kill(zygote.process.pid, signal.SIGKILL)
    zygote.process.wait()
    end, lines = jobs.run("print('cold')")
    assert (end.exit_code, lines) == (0, ["cold"])
    assert jobs.rig.finish(spec).exit_code == 0
    assert jobs.rig.printed(spec) == ["on", "done"]
    jobs.warmed()
    assert jobs.run("pass")[0].start == ""


def test_a_zygote_that_stops_answering_costs_a_job_nothing_but_time(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.warmed()
    (zygote,) = jobs.zygotes._zygotes.values()
    zygote.socket.settimeout(0.5)
    os.kill(zygote.process.pid, signal.SIGSTOP)
    end, lines = jobs.run("print('all the same')")
    assert (end.exit_code, lines) == (0, ["all the same"])


def test_packages_that_start_threads_are_no_zygotes(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preloads, "modules_of", lambda name: ("probe_thread",))
    jobs.run("pass")
    (zygote,) = jobs.zygotes._zygotes.values()
    eventually(lambda: zygote.problem)
    end, _ = jobs.run("pass")
    assert end.start == (
        "no warm interpreter of its environment could be made: importing probe_thread has started 1 threads"
    )


def test_a_zygote_that_cannot_even_be_started_fails_no_job(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preloads, "modules_of", lambda name: ("longer.than.an.argument.may.be" * 100_000,))
    assert jobs.run("pass")[0].exit_code == 0
    end, _ = jobs.run("pass")
    assert end.exit_code == 0
    assert end.start.startswith(
        "no warm interpreter of its environment could be made: [Errno 7] Argument list too long"
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"env": {"OMP_NUM_THREADS": "1"}}, "it sets OMP_NUM_THREADS, which is read when an interpreter starts"),
        ({"env": {"LD_PRELOAD": ""}}, "it sets LD_PRELOAD, which is read when an interpreter starts"),
    ],
)
def test_a_job_that_needs_a_new_interpreter_gets_one_and_is_told_why(jobs: Jobs, changes: Any, why: str) -> None:
    jobs.warmed()
    end, _ = jobs.run("pass", **changes)
    assert (end.exit_code, end.start) == (0, why)


def test_a_job_that_installs_another_version_of_what_is_loaded_starts_again(
    jobs: Jobs, built: tuple[Environment, Path]
) -> None:
    jobs.warmed()
    wheels = built[1]
    jobs.environment = replace(jobs.environment, read_only_paths=(*jobs.environment.read_only_paths, wheels))
    variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    program = """
import os, pathlib
from sagebrush.runtime import script, warm_start
pathlib.Path("requirements.txt").write_text("probe_base==2.0\\n")
script.install_requirements(".")
if modules := warm_start.hidden():
    warm_start.start_again(modules)
import probe_base
print(probe_base.WORD, os.environ.get("SAGEBRUSH_WARM_START"))
"""
    end, lines = jobs.run(program, env=variables)
    assert (end.exit_code, end.start) == (0, "")
    installing = "[sagebrush] Installing requirements.txt"
    again = "[sagebrush] Starting again, cold: this job has its own probe_base."
    assert lines == [installing, again, installing, "base 2.0 None"]


def test_a_script_beside_which_lies_a_module_that_is_loaded_starts_again_and_imports_its_own(jobs: Jobs) -> None:
    jobs.warmed()
    files = {"train.py": "import probe_base; print(probe_base.WORD)", "probe_base.py": "WORD = 'mine'", "json.txt": ""}
    program = (
        "import os, pathlib\nfrom sagebrush.runtime import script, warm_start\n"
        f"for name, text in {files!r}.items(): pathlib.Path(name).write_text(text)\n"
        "if modules := warm_start.hidden([os.getcwd()]): warm_start.start_again(modules)\n"
        "script.run_python('train.py', os.getcwd(), [])"
    )
    end, lines = jobs.run(program)
    assert (end.exit_code, end.start) == (0, "")
    assert lines == ["[sagebrush] Starting again, cold: this job has its own probe_base.", "mine"]


def test_a_zygote_that_nobody_needs_ends(environment: Environment, tmp_path: Path) -> None:
    compute = Compute(Settings(data_dir=tmp_path / "data", warm_idle_minutes=0.02))
    with cleaned(Rig(compute.launcher, tmp_path, compute.isolation())) as rig:
        jobs = Jobs(rig, environment).warmed()
        (zygote,) = jobs.zygotes._zygotes.values()
        assert zygotes_of(os.getpid()) == {zygote.process.pid: environment.prefix.name}
        eventually(lambda: zygote.process.poll() is not None)
        assert zygotes_of(os.getpid()) == {}
        assert jobs.zygotes.memory_bytes() == {}
        assert jobs.run("pass")[0].start.startswith("the first of its environment")


_DYING_PLATFORM = """
import os, signal, sys, time
from dataclasses import replace
from pathlib import Path
from sagebrush.substrate.compute import Compute, Environment, LaunchSpec
from sagebrush.substrate.compute.environments import layers, preloads
from sagebrush.substrate.settings import Settings
root, prefix, runtime = (Path(word) for word in sys.argv[1:4])
preloads.modules_of = lambda name: ("probe_base",)
compute = Compute(Settings(data_dir=root / "data", isolation="process"))
environment = Environment("probe", prefix / "bin/python3", prefix, python_path=(runtime,))
def launch(name, program):
    (root / name / "ml").mkdir(parents=True)
    argv = (layers.python_of(str(root / name / "ml")), "-m", "probe_job", program)
    compute.launcher.launch(LaunchSpec(root / name, argv, root / name / "ml", environment))
launch("first", "pass")
while not compute.zygotes.memory_bytes():
    time.sleep(0.01)
launch("second", "import time; time.sleep(1.5); print('outlived')")
while compute.launcher.observe(root / "second").phase != "running":
    time.sleep(0.01)
print(next(iter(compute.zygotes._zygotes.values())).process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_jobs_outlive_the_platform_and_zygotes_do_not(environment: Environment, tmp_path: Path) -> None:
    runtime = environment.python_path[0]
    program = [sys.executable, "-c", _DYING_PLATFORM, str(tmp_path / "p"), str(environment.prefix), str(runtime)]
    platform = subprocess.run(program, capture_output=True, text=True, check=False)
    assert platform.returncode == -signal.SIGKILL, platform.stderr
    compute = Compute(Settings(data_dir=tmp_path / "data", isolation="process"))
    eventually(lambda: compute.launcher.observe(tmp_path / "p" / "second").phase == "exited")
    assert (tmp_path / "p" / "second" / "output.log").read_text().endswith("outlived\n")
    assert compute.launcher.observe(tmp_path / "p" / "second").exit_code == 0
    zygote = Path("/proc") / platform.stdout.strip()
    eventually(lambda: not zygote.exists() or "Z" in (zygote / "stat").read_text())
    compute.close()
