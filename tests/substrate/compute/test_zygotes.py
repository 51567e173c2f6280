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

from sagebrush.substrate.compute import Compute, Environment, Environments, EnvironmentSpec, LaunchSpec, Observation
from sagebrush.substrate.compute.environments import images, layers, preloads
from sagebrush.substrate.compute.zygotes import zygotes_of
from sagebrush.substrate.settings import Settings
from sagebrush.testing.launcher_contract import Rig, cleaned, eventually
from tests.substrate.compute.wheels import make_wheel

_ROOT = Path(__file__).parents[3]
#: The module that jobs run: ``python3 -m probe_job <program>``.
_JOB = """
import sys
if __name__ == "__main__":
    exec(compile(sys.argv[1], "<job>", "exec"), {"__name__": "__main__"})
"""

#: What a program can find out about how it was started.
_FACTS = """
import json, os, resource, signal, stat, sys, threading
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({
    "prefix": sys.prefix, "executable": sys.executable, "base": sys.base_prefix, "argv": sys.argv[2:], "path": sys.path,
    "original": sys.orig_argv[1:3], "environ": {k: v for k, v in os.environ.items() if k != "SAGEBRUSH_WARM_START"},
    "cwd": os.getcwd(), "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "descriptors": [os.path.basename(os.path.realpath(f"/proc/self/fd/{d}")).split(":")[0] for d in range(99)],
    "signals": {str(s): str(signal.getsignal(s)) for s in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    **{k: status[k] for k in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Threads", "SigBlk", "SigIgn")},
    "leads": os.getpgrp() == os.getpid() == os.getsid(0), "own_files": os.access("/proc/self/environ", os.R_OK),
    "umask": os.umask(0), "core": resource.getrlimit(resource.RLIMIT_CORE), "threads": threading.active_count(),
    "streams": [[s.encoding, s.errors, s.line_buffering, s.write_through] for s in (sys.stdout, sys.stderr)],
    "stdin": sys.stdin.read(), "bytecode": sys.dont_write_bytecode,
}, default=str))
"""


@pytest.fixture(params=["sandbox", "process"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    compute = Compute(Settings(data_dir=tmp_path / "data", isolation=request.param))
    with cleaned(Rig(compute.launcher, tmp_path, request.param)) as made:
        yield made


_THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=[600], daemon=True).start()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Environment, Path]:
    """An environment with modules to preload and one to run, and the wheelhouse it came from."""
    root = tmp_path_factory.mktemp("built")
    folder = root / "wheels"
    folder.mkdir()
    make_wheel(folder, "probe_job", _JOB)
    make_wheel(folder, "probe_base", "import multiprocessing.process\nWORD = 'base 1.0'\n")
    make_wheel(folder, "probe_base", "WORD = 'base 2.0'\n", version="2.0")
    make_wheel(folder, "probe_thread", _THREAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(folder))
        patch.setattr(images, "lock_text", lambda name: "probe_job==1.0\nprobe_base==1.0\nprobe_thread==1.0\n")
        made = Environments(root / "environments").ensure(EnvironmentSpec("probe", "", ""), lambda _: None)
    return made, folder


@pytest.fixture
def environment(built: tuple[Environment, Path], monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setattr(preloads, "modules_of", lambda name: ("probe_base", "sagebrush.runtime.script"))
    return built[0]


class Jobs:
    """Runs programs in the environment, cold or warm."""

    def __init__(self, rig: Rig, environment: Environment):
        self.rig = rig
        self.environment = environment
        self.zygotes = rig.launcher._zygotes
        self.count = 0

    def spec(self, program: str, *arguments: str, **changes: Any) -> LaunchSpec:
        self.count += 1
        # As where the platform is installed below a home: a sandbox does not show its own files.
        changes = {"masked": (_ROOT / "src",), **changes}
        spec = self.rig.spec("", name=f"a{self.count}", environment=self.environment, **changes)
        root = "/opt/ml" if self.rig.mode == "sandbox" else str(spec.opt_ml.absolute())
        return replace(spec, argv=(layers.python_of(root), "-m", "probe_job", program, *arguments))

    def warmed(self) -> Jobs:
        """With a zygote that is ready."""
        self.run("pass")
        eventually(lambda: self.zygotes.memory_bytes())
        return self

    def run(self, program: str, *arguments: str, **changes: Any) -> tuple[Observation, list[str]]:
        spec = self.spec(program, *arguments, **changes)
        self.rig.launcher.launch(spec)
        return self.rig.finish(spec), self.rig.printed(spec)


@pytest.fixture
def jobs(rig: Rig, environment: Environment) -> Jobs:
    return Jobs(rig, environment)


def _comparable(facts: dict[str, Any], name: str) -> dict[str, Any]:
    """Without what differs between any two attempts: their directory and, as root, their user."""
    text = json.dumps(facts).replace(f"/{name}/", "/attempt/")
    comparable: dict[str, Any] = json.loads(text)
    comparable["uid"] = comparable["gid"] = len(set(comparable["uid"]))
    # The C library's own two signals: nobody else can send or handle them.
    comparable["SigIgn"] = int(comparable["SigIgn"], 16) & ~(0b11 << 31)
    return comparable


def test_a_warm_job_cannot_tell_that_it_was_not_started(jobs: Jobs) -> None:
    cold_end, cold = jobs.run(_FACTS, "one", "two")
    assert cold_end.start.startswith("the first of its environment")
    eventually(lambda: jobs.zygotes.memory_bytes())
    warm_end, warm = jobs.run(_FACTS, "one", "two")
    assert (cold_end.exit_code, warm_end.exit_code, warm_end.start) == (0, 0, ""), (cold, warm)
    assert _comparable(json.loads("".join(warm)), "a2") == _comparable(json.loads("".join(cold)), "a1")


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


def test_a_program_of_the_users_own_starts_cold(jobs: Jobs) -> None:
    jobs.warmed()
    spec = replace(jobs.spec("pass"), argv=("python3", "-c", "pass"))
    jobs.rig.launcher.launch(spec)
    assert jobs.rig.finish(spec).start == "it starts a program of its own"


def test_a_job_that_installs_another_version_of_what_is_loaded_starts_again(
    jobs: Jobs, built: tuple[Environment, Path]
) -> None:
    jobs.warmed()
    wheels = built[1]
    jobs.environment = replace(jobs.environment, read_only_paths=(*jobs.environment.read_only_paths, wheels))
    variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    program = """
import os, pathlib
from sagebrush.runtime import script
pathlib.Path("requirements.txt").write_text("probe_base==2.0\\n")
script.install_requirements(".")
import probe_base
print(probe_base.WORD, os.environ.get("SAGEBRUSH_WARM_START"))
"""
    end, lines = jobs.run(program, env=variables)
    assert (end.exit_code, end.start) == (0, "")
    assert lines == ["[sagebrush] Starting again, cold: probe_base installed by this job.", "base 2.0 None"]


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
