"""What every Launcher must do, whatever isolates its jobs: subclass :class:`LauncherContract` and give it a ``rig``.

class TestSandboxLauncher(LauncherContract):
    @pytest.fixture
    def rig(self, tmp_path): ...
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sagebrush.substrate.compute import Environment, Launcher, LaunchSpec, Limits, Observation

#: Prints the pid that the host knows this process by, whatever namespace it is in: the outer one comes first.
_GRANDCHILD = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("/proc/self/comm", "w").write(sys.argv[1])
        print("deep", flush=True)
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""

#: A control plane of its own: launches what it is told and is then killed with everything it had in memory.
_LAUNCH_AND_DIE = """
import os, signal, sys
from pathlib import Path
from sagebrush.substrate.compute import Compute, Environment, LaunchSpec
from sagebrush.substrate.settings import Settings
mode, root, program = sys.argv[1:]
compute = Compute(Settings(data_dir=Path(root) / "data", isolation=mode))
environment = Environment("test", Path(sys.executable), Path(sys.prefix), read_only_paths=(Path(sys.base_prefix),))
root = Path(root)
command = ("python3", "-c", program)
compute.launcher.launch(LaunchSpec(root / "attempt", command, root / "ml", environment))
os.kill(os.getpid(), signal.SIGKILL)
"""

#: Answers each connection with the socket's number and its own name for itself; argument: accept only after this file.
_ANSWER = """
import os, select, socket, sys, time
listeners = [socket.socket(fileno=3 + i) for i in range(int(os.environ["SAGEBRUSH_LISTEN_FDS"]))]
for listener in listeners: listener.setblocking(False)
print("up", flush=True)
while len(sys.argv) > 1 and not os.path.exists(sys.argv[1]):
    time.sleep(0.005)
while True:
    for ready in select.select(listeners, [], [])[0]:
        try: connection, _ = ready.accept()
        except BlockingIOError: continue  # Another process was faster.
        with connection: connection.sendall(b"%d %s" % (listeners.index(ready), connection.recv(100)))
"""


def connect(directory: Path, name: str) -> socket.socket:
    """A connection to a socket of an attempt; its path may be longer than an address can be."""
    place = os.open(directory, os.O_PATH)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(f"/proc/self/fd/{place}/{name}")
    except OSError:
        connection.close()
        raise
    finally:
        os.close(place)
    connection.settimeout(60)
    return connection


def ask(spec: LaunchSpec, name: str, text: str = "") -> str:
    """Send a text to a socket of the attempt; what came back until the end of the connection."""
    with connect(spec.directory, name) as connection:
        connection.sendall(text.encode() or b"?")
        return b"".join(iter(lambda: connection.recv(100), b"")).decode()


def refuses(directory: Path, name: str) -> bool:
    try:
        connect(directory, name).close()
    except ConnectionRefusedError:
        return True
    return False


def eventually(question: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    """Ask until the answer is true; the answer."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, f"not within {seconds} s"
        threading.Event().wait(0.005)
    return answer


def processes_called(name: str) -> list[int]:
    """Pids on the host of living processes with this command name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text(errors="replace")
            if f"({name})" in text and text.rpartition(")")[2].split()[0] not in "ZX":
                found.append(int(path.parent.name))
    return found


@dataclass
class Rig:
    """A launcher and a place for attempts. ``mode`` is the isolation setting it was made with."""

    launcher: Launcher
    root: Path
    mode: str
    environment: Environment = field(
        default_factory=lambda: Environment(
            "test", Path(sys.executable), Path(sys.prefix), read_only_paths=(Path(sys.prefix), Path(sys.base_prefix))
        )
    )

    def spec(self, program: str, *arguments: str, name: str = "attempt", **changes: Any) -> LaunchSpec:
        """An attempt that runs a Python program."""
        opt_ml = self.root / name / "ml"
        opt_ml.mkdir(parents=True, exist_ok=True)
        fields: dict[str, Any] = {
            "directory": self.root / name,
            "argv": ("python3", "-c", program, *arguments),
            "opt_ml": opt_ml,
            "environment": self.environment,
        }
        return LaunchSpec(**fields | changes)

    def start(self, program: str, *arguments: str, **changes: Any) -> LaunchSpec:
        """Launch, and wait until the job printed something."""
        spec = self.spec(program, *arguments, **changes)
        self.launcher.launch(spec)
        eventually(lambda: self.printed(spec))
        return spec

    def finish(self, spec: LaunchSpec) -> Observation:
        """Wait for the end through the launcher's watch."""
        ended = threading.Event()

        def look() -> None:
            if self.launcher.observe(spec.directory).phase in ("exited", "lost", "absent"):
                ended.set()

        self.launcher.watch(spec.directory, look)
        assert ended.wait(60), self.launcher.observe(spec.directory)
        return self.launcher.observe(spec.directory)

    def run(self, program: str, *arguments: str, **changes: Any) -> Observation:
        spec = self.spec(program, *arguments, **changes)
        self.launcher.launch(spec)
        return self.finish(spec)

    def printed(self, spec: LaunchSpec) -> list[str]:
        """The job's lines so far, without stamps."""
        path = spec.directory / "output.log"
        text = path.read_bytes().decode() if path.exists() else ""
        return [line.partition(" ")[2] for line in text.split("\n")[:-1]]

    def state(self, spec: LaunchSpec) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((spec.directory / "state.json").read_text())
        return state


@contextlib.contextmanager
def cleaned(rig: Rig) -> Iterator[Rig]:
    """Give the rig to a test and end whatever the test left running."""
    try:
        yield rig
    finally:
        for state in rig.root.glob("*/state.json"):
            if rig.launcher.observe(state.parent).phase in ("starting", "running"):
                rig.launcher.kill(state.parent)
                eventually(lambda d=state.parent: rig.launcher.observe(d).phase in ("exited", "lost"))  # type: ignore[misc]
        rig.launcher.close()


class LauncherContract:
    """The suite. Needs Linux and ``python3`` in the environment that the rig names."""

    def test_a_job_that_ends_well_is_recorded_with_its_times_and_peak_memory(self, rig: Rig) -> None:
        before = time.time_ns() // 1000
        seen = rig.run("print('hello', flush=True)")
        assert (seen.phase, seen.exit_code, seen.signal, seen.problem) == ("exited", 0, None, ""), seen
        assert seen.succeeded
        assert seen.started_us is not None
        assert seen.first_output_us is not None
        assert seen.ended_us is not None
        assert before <= seen.started_us <= seen.first_output_us <= seen.ended_us
        assert seen.peak_memory_bytes > 1_000_000
        assert seen.isolation == rig.mode

    def test_nothing_is_known_of_a_directory_that_was_never_launched(self, rig: Rig) -> None:
        assert rig.launcher.observe(rig.root / "nowhere") == Observation("absent")

    def test_exit_code_137_is_an_exit_code_and_not_a_signal(self, rig: Rig) -> None:
        seen = rig.run("raise SystemExit(137)")
        assert (seen.exit_code, seen.signal, seen.status_code, seen.oom_killed) == (137, None, 137, False)

    def test_a_job_killed_from_outside_has_the_signal(self, rig: Rig) -> None:
        spec = rig.start("import time; print('up', flush=True); time.sleep(600)")
        pid = rig.launcher.observe(spec.directory).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        seen = rig.finish(spec)
        assert (seen.phase, seen.exit_code, seen.signal, seen.status_code) == ("exited", None, 9, 137)
        assert not seen.oom_killed

    def test_a_segmentation_fault_is_told_apart_from_a_kill(self, rig: Rig) -> None:
        raised = rig.run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", name="raised")
        real = rig.run("import ctypes; ctypes.string_at(0)", name="real")
        assert [(s.signal, s.crashed, s.exit_code) for s in (raised, real)] == [(11, True, None)] * 2
        assert not list(rig.root.glob("*/ml/core*"))

    def test_a_job_beyond_its_memory_is_killed_and_the_reason_is_known(self, rig: Rig) -> None:
        limits = Limits(memory_bytes=128 * 2**20)
        seen = rig.run("print('x', flush=True); b = bytearray(400 * 2**20); print(len(b))", limits=limits)
        assert (seen.signal, seen.oom_killed) == (9, True)
        assert 100 * 2**20 < seen.peak_memory_bytes <= 128 * 2**20

    def test_a_job_within_its_memory_is_left_alone(self, rig: Rig) -> None:
        seen = rig.run("b = bytearray(40 * 2**20); print(len(b))", limits=Limits(128 * 2**20, cpus=1.0, pids=20))
        assert (seen.exit_code, seen.oom_killed) == (0, False)
        assert seen.peak_memory_bytes > 40 * 2**20

    def test_the_number_of_processes_is_limited(self, rig: Rig) -> None:
        program = """
import os, time
try:
    for _ in range(50):
        if os.fork() == 0:
            time.sleep(600)
except BlockingIOError:
    raise SystemExit(3)
"""
        assert rig.run(program, limits=Limits(pids=10)).exit_code == 3

    def test_a_job_that_handles_sigterm_ends_in_its_own_way(self, rig: Rig) -> None:
        program = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saving"), sys.exit(7)))
print("up", flush=True)
time.sleep(600)
"""
        spec = rig.start(program)
        rig.launcher.terminate(spec.directory)
        assert rig.finish(spec).exit_code == 7
        assert rig.printed(spec) == ["up", "saving"]

    def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(self, rig: Rig) -> None:
        program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
        spec = rig.start(program, term_grace_seconds=0.2)
        rig.launcher.terminate(spec.directory)
        rig.launcher.terminate(spec.directory)
        seen = rig.finish(spec)
        assert (seen.signal, seen.oom_killed, seen.crashed) == (9, False, False)

    def test_sigterm_reaches_the_children_of_a_shell(self, rig: Rig) -> None:
        child = "import signal,sys,time; signal.signal(15, lambda *_: (print('child saved'), sys.exit(0))); "
        child += "print('up', flush=True); time.sleep(600)"
        spec = rig.start("", argv=("/bin/sh", "-c", f'trap "wait; exit 5" TERM; python3 -c "{child}" & wait'))
        rig.launcher.terminate(spec.directory)
        assert rig.finish(spec).exit_code == 5
        assert rig.printed(spec) == ["up", "child saved"]

    def test_kill_does_not_wait_for_the_grace(self, rig: Rig) -> None:
        program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
        spec = rig.start(program, term_grace_seconds=3600)
        rig.launcher.terminate(spec.directory)
        rig.launcher.kill(spec.directory)
        assert rig.finish(spec).signal == 9

    def test_a_job_that_was_stopped_before_it_began_never_runs(self, rig: Rig) -> None:
        spec = rig.spec("open('ran', 'w')")
        rig.launcher.terminate(spec.directory)
        rig.launcher.launch(spec)
        seen = rig.finish(spec)
        assert (seen.phase, seen.signal) == ("exited", 15)
        assert not (spec.opt_ml / "ran").exists()

    def test_a_command_that_is_not_there_ends_with_127_and_says_so_in_the_log(self, rig: Rig) -> None:
        spec = rig.spec("", argv=("no-such-program", "train"))
        rig.launcher.launch(spec)
        assert rig.finish(spec).exit_code == 127
        assert rig.printed(spec) == ["sagebrush: cannot run 'no-such-program': No such file or directory"]

    def test_what_a_job_leaves_in_the_background_ends_with_it(self, rig: Rig) -> None:
        name = f"sb-bg-{os.getpid()}"[:15]
        program = _GRANDCHILD.replace("os.wait()\ntime.sleep(600)", "os.wait()")
        assert rig.run(program, name).exit_code == 0
        assert processes_called(name) == []

    def test_the_whole_job_dies_with_its_shim_even_a_grandchild_in_a_session_of_its_own(self, rig: Rig) -> None:
        name = f"sb-gc-{os.getpid()}"[:15]
        spec = rig.start(_GRANDCHILD, name)
        eventually(lambda: processes_called(name))
        job = rig.launcher.observe(spec.directory).pid
        os.kill(rig.state(spec)["shim_pid"], signal.SIGKILL)
        seen = rig.finish(spec)
        assert (seen.phase, seen.exit_code, seen.signal) == ("lost", None, None)
        # Lost means gone: another attempt may begin this instant.
        assert processes_called(name) == []
        assert not Path(f"/proc/{job}").exists()

    def test_a_restarted_control_plane_finds_the_job_and_its_natural_exit_code(self, rig: Rig) -> None:
        (rig.root / "ml").mkdir()
        program = "import os, sys, time; print('up', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
        program += "sys.exit(42)"
        command = [sys.executable, "-c", _LAUNCH_AND_DIE, rig.mode, str(rig.root), program]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        spec = rig.spec("never", opt_ml=rig.root / "ml")
        eventually(lambda: rig.printed(spec) == ["up"])
        assert rig.launcher.observe(spec.directory).phase == "running"
        rig.launcher.launch(spec)
        (rig.root / "ml" / "go").touch()
        assert rig.finish(spec).exit_code == 42

    def test_an_adopted_job_can_be_terminated(self, rig: Rig) -> None:
        (rig.root / "ml").mkdir()
        program = "import time; print('up', flush=True); time.sleep(600)"
        command = [sys.executable, "-c", _LAUNCH_AND_DIE, rig.mode, str(rig.root), program]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        spec = rig.spec("never", opt_ml=rig.root / "ml")
        eventually(lambda: rig.printed(spec) == ["up"])
        rig.launcher.terminate(spec.directory)
        assert rig.finish(spec).signal == 15

    def test_a_directory_runs_once_however_many_launch_it(self, rig: Rig) -> None:
        spec = rig.spec("import os; open(f'ran-{os.urandom(8).hex()}', 'w')")
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: rig.launcher.launch(spec), range(32)))
        assert rig.finish(spec).exit_code == 0
        rig.launcher.launch(spec)
        assert rig.launcher.observe(spec.directory).exit_code == 0
        assert len(list(spec.opt_ml.glob("ran-*"))) == 1

    def test_twenty_at_once_each_end_in_their_own_way(self, rig: Rig) -> None:
        specs = [rig.spec(f"print('job {i}'); raise SystemExit({i})", name=f"job-{i}") for i in range(20)]
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(rig.launcher.launch, specs))
        assert [rig.finish(spec).exit_code for spec in specs] == list(range(20))
        assert [rig.printed(spec) for spec in specs] == [[f"job {i}"] for i in range(20)]

    def test_output_is_stamped_and_both_streams_are_in_it(self, rig: Rig) -> None:
        before = time.time_ns() // 1_000_000
        spec = rig.spec("import os; os.write(1, b'one\\ntw'); os.write(2, b'o\\r\\n\\n'); os.write(1, b'no end')")
        rig.launcher.launch(spec)
        rig.finish(spec)
        lines = (spec.directory / "output.log").read_text().splitlines()
        assert [line.partition(" ")[2] for line in lines] == ["one", "two", "", "no end"]
        stamps = [int(line.partition(" ")[0]) for line in lines]
        assert stamps == sorted(stamps)
        assert before <= stamps[0] <= stamps[-1] <= time.time_ns() // 1_000_000

    def test_endless_lines_and_bytes_that_are_no_text_are_kept_readable(self, rig: Rig) -> None:
        program = (
            "import os; os.write(1, b'a' * 600000 + b'\\n'); os.write(1, bytes(range(128, 256)) + b'\\n\\xc3\\xa9\\n')"
        )
        spec = rig.spec(program)
        rig.launcher.launch(spec)
        assert rig.finish(spec).exit_code == 0
        *long, garbage, text = rig.printed(spec)
        assert "".join(long) == "a" * 600000
        assert max(map(len, long)) <= 256 * 1024
        assert set(garbage) == {"\ufffd"}
        assert text == "é"

    def test_a_job_that_closes_its_output_goes_on(self, rig: Rig) -> None:
        program = "import os; os.close(1); os.close(2); sum(range(2_000_000)); os._exit(6)"
        assert rig.run(program).exit_code == 6

    def test_a_job_starts_with_a_clean_slate(self, rig: Rig) -> None:
        program = """
import os, resource, signal, sys
print(sys.stdin.read() == "", sorted(os.listdir("/proc/self/fd"))[:3], len(os.listdir("/proc/self/fd")))
print(signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, []), os.getsid(0) == os.getpid())
print(resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)), os.environ["MINE"], "SAGEBRUSH_X" in os.environ)
"""
        os.environ["SAGEBRUSH_X"] = "of the control plane"
        try:
            spec = rig.spec(program, env={"MINE": "a value\nof two lines"})
            rig.launcher.launch(spec)
            assert rig.finish(spec).exit_code == 0
        finally:
            del os.environ["SAGEBRUSH_X"]
        first, second, *third = rig.printed(spec)
        assert first == "True ['0', '1', '2'] 4"
        assert second == "0 set() True"
        assert third == ["(0, 0) 0o22 a value", "of two lines False"]

    def test_a_shim_that_dies_before_its_first_record_leaves_room_for_another(self, rig: Rig) -> None:
        rig.launcher.launch(rig.spec("open('ran', 'w')", faults=("shim.before-state",)))
        spec = rig.spec("open('ran', 'w')")
        assert rig.finish(spec).phase == "absent"
        assert not (spec.opt_ml / "ran").exists()
        rig.launcher.launch(spec)
        assert rig.finish(spec).exit_code == 0
        assert (spec.opt_ml / "ran").exists()

    def test_a_shim_that_dies_between_record_and_start_is_lost_and_ran_nothing(self, rig: Rig) -> None:
        spec = rig.spec("open('ran', 'w')", faults=("shim.after-state",))
        rig.launcher.launch(spec)
        assert rig.finish(spec).phase == "lost"
        assert not (spec.opt_ml / "ran").exists()

    def test_a_shim_that_dies_after_the_start_takes_the_job_along(self, rig: Rig) -> None:
        name = f"sb-af-{os.getpid()}"[:15]
        program = "import sys,time; open('/proc/self/comm', 'w').write(sys.argv[1]); time.sleep(600)"
        spec = rig.spec(program, name, faults=("shim.after-fork",))
        rig.launcher.launch(spec)
        assert rig.finish(spec).phase == "lost"
        assert processes_called(name) == []

    def test_a_shim_that_dies_before_recording_the_end_is_lost_and_never_run_again(self, rig: Rig) -> None:
        spec = rig.spec("open('ran-' + __import__('os').urandom(8).hex(), 'w')", faults=("shim.before-exit-record",))
        rig.launcher.launch(spec)
        assert rig.finish(spec).phase == "lost"
        rig.launcher.launch(spec)
        assert rig.launcher.observe(spec.directory).phase == "lost"
        assert len(list(spec.opt_ml.glob("ran-*"))) == 1

    def test_a_reused_pid_or_another_boot_is_not_mistaken_for_the_shim(self, rig: Rig) -> None:
        spec = rig.spec("pass", faults=("shim.before-exit-record",))
        rig.launcher.launch(spec)
        assert rig.finish(spec).phase == "lost"
        state = rig.state(spec)
        me = {"shim_pid": os.getpid(), "shim_start": state["shim_start"]}
        (spec.directory / "state.json").write_text(json.dumps(state | me))
        assert rig.launcher.observe(spec.directory).phase == "lost"
        rig.launcher.kill(spec.directory)
        own_start = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        other_boot = me | {"shim_start": own_start, "boot_id": "another"}
        (spec.directory / "state.json").write_text(json.dumps(state | other_boot))
        assert rig.launcher.observe(spec.directory).phase == "lost"

    def test_a_watcher_that_comes_late_hears_at_once(self, rig: Rig) -> None:
        spec = rig.spec("pass")
        rig.launcher.launch(spec)
        rig.finish(spec)
        heard = threading.Event()
        rig.launcher.watch(spec.directory, heard.set)
        assert heard.wait(30)

    def test_a_watcher_hears_of_the_start_and_of_the_end(self, rig: Rig) -> None:
        spec = rig.spec("import sys; sys.stdin.read()")
        spec.directory.mkdir(exist_ok=True)
        phases: list[str] = []
        ended = threading.Event()

        def look() -> None:
            phases.append(rig.launcher.observe(spec.directory).phase)
            if phases[-1] == "exited":
                ended.set()

        rig.launcher.watch(spec.directory, look)
        eventually(lambda: phases)
        rig.launcher.launch(spec)
        assert ended.wait(60)
        assert phases[0] == "absent"
        assert phases[-1] == "exited"

    def test_a_job_serves_the_sockets_it_was_promised_in_their_order(self, rig: Rig) -> None:
        names = tuple(f"s{i}" for i in range(7))
        spec = rig.start(_ANSWER, listen=names)
        assert [ask(spec, name, f"to {name}") for name in names] == [f"{i} to s{i}" for i in range(7)]

    def test_a_job_without_sockets_hears_of_none_and_one_with_them_has_nothing_else(self, rig: Rig) -> None:
        program = """
import os
names = sorted(int(name) for name in os.listdir("/proc/self/fd"))
print(names[:-1], os.environ.get("SAGEBRUSH_LISTEN_FDS"), flush=True)
"""
        for count in (0, 2):
            spec = rig.spec(program, name=f"with-{count}", listen=("a", "b")[:count])
            rig.launcher.launch(spec)
            rig.finish(spec)
            told = str(count) if count else "None"
            assert rig.printed(spec) == [f"{list(range(3 + count))} {told}"]

    def test_a_connection_waits_until_the_job_accepts(self, rig: Rig) -> None:
        spec = rig.start(_ANSWER, "go", listen=("s0",))
        with ThreadPoolExecutor(20) as pool:
            answers = [pool.submit(ask, spec, "s0", f"early {i}") for i in range(20)]
            assert not any(answer.done() for answer in answers)
            (spec.opt_ml / "go").touch()
            assert [answer.result() for answer in answers] == [f"0 early {i}" for i in range(20)]

    def test_children_of_the_job_can_serve_its_sockets(self, rig: Rig) -> None:
        program = "import os\nfor _ in range(3):\n    if os.fork() == 0: break\nelse: os.wait()\n" + _ANSWER
        spec = rig.start(program, listen=("s0", "s1"))
        assert [ask(spec, f"s{i % 2}", "child") for i in range(20)] == ["0 child", "1 child"] * 10

    def test_connections_are_refused_once_the_job_is_gone(self, rig: Rig) -> None:
        spec = rig.start(_ANSWER, listen=("s0", "s1"))
        assert ask(spec, "s0", "hello") == "0 hello"
        rig.launcher.terminate(spec.directory)
        assert rig.finish(spec).signal == 15
        assert refuses(spec.directory, "s0")
        assert refuses(spec.directory, "s1")

    def test_connections_are_refused_after_the_shim_was_killed(self, rig: Rig) -> None:
        spec = rig.start(_ANSWER, listen=("s0",))
        os.kill(rig.state(spec)["shim_pid"], signal.SIGKILL)
        assert rig.finish(spec).phase == "lost"
        assert refuses(spec.directory, "s0")

    def test_only_the_job_holds_its_sockets(self, rig: Rig) -> None:
        """Else a job that closes one, or ends, would leave connections hanging that nobody will accept."""
        spec = rig.start("import os, time; os.close(3); print('closed', flush=True); time.sleep(600)", listen=("s0",))
        assert refuses(spec.directory, "s0")

    def test_nobody_else_may_connect(self, rig: Rig) -> None:
        spec = rig.start(_ANSWER, listen=("s0",))
        assert (spec.directory / "s0").stat().st_mode & 0o777 == 0o600
        assert (spec.directory / "s0").stat().st_uid == os.geteuid()
        assert (spec.directory / "output.log").stat().st_mode & 0o777 == 0o644

    def test_a_socket_left_by_a_shim_that_died_early_is_replaced(self, rig: Rig) -> None:
        spec = rig.spec(_ANSWER, listen=("s0",))
        with socket.socket(socket.AF_UNIX) as left:
            place = os.open(spec.directory, os.O_PATH)
            left.bind(f"/proc/self/fd/{place}/s0")
            os.close(place)
        rig.launcher.launch(spec)
        eventually(lambda: rig.printed(spec))
        assert ask(spec, "s0", "new") == "0 new"

    def test_a_socket_has_a_plain_name(self, rig: Rig) -> None:
        for name in ("", ".hidden", "../s0", "deep/s0", "x" * 120):
            with contextlib.suppress(ValueError):
                rig.launcher.launch(rig.spec("pass", listen=(name,)))
                raise AssertionError(f"{name!r} was taken")

    def test_a_job_that_asks_for_a_private_network_runs_wherever_it_is(self, rig: Rig) -> None:
        seen = rig.run("import socket; socket.create_server(('127.0.0.1', 0))", private_network=True)
        assert (seen.exit_code, seen.problem) == (0, "")
