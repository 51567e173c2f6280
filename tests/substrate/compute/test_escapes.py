"""What hostile code would try, tried: in the sandbox of a platform of root, in that of an ordinary user, and without.

The last is 'process' isolation, where most of it succeeds; that is asserted too, so that docs/training.md (the table in
"Isolation, plainly") stays true in both directions.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagebrush.substrate.compute import Compute, Limits
from sagebrush.substrate.compute.limits import ControlGroups
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import Settings
from sagebrush.testing.launcher_contract import Rig, eventually, processes_called
from tests.substrate.compute.ordinary_user import SYSTEM_PYTHON

MIB = 1 << 20
#: Tries to read each file that the arguments name; prints what it got, or the error.
_READ = """
import sys
for path in sys.argv[1:]:
    try: print("read", open(path).read())
    except OSError as error: print(type(error).__name__)
"""
_WAIT = "import time; print('up', flush=True); time.sleep(600)"
_GONE = ("FileNotFoundError", "PermissionError", "NotADirectoryError")


@pytest.fixture(params=["root's sandbox", "user's sandbox", "process"])
def rig(request: pytest.FixtureRequest) -> Rig:
    names = {"root's sandbox": "sandbox_rig", "user's sandbox": "users_sandbox_rig", "process": "process_rig"}
    found: Rig = request.getfixturevalue(names[request.param])
    return found


@pytest.fixture(params=["root's sandbox", "user's sandbox"])
def sandbox(request: pytest.FixtureRequest) -> Rig:
    name = "sandbox_rig" if request.param == "root's sandbox" else "users_sandbox_rig"
    found: Rig = request.getfixturevalue(name)
    return found


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder of the host, outside /tmp and every home, in which everybody may write."""
    if os.geteuid() != 0:
        pytest.skip("a folder outside /tmp and the homes needs root; the tests run as an ordinary user")
    folder = Path("/var/lib") / f"sagebrush-test-host-{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o777)
    yield folder
    remove_tree(folder)


def outcome(rig: Rig, program: str, *arguments: str, **changes: Any) -> list[str]:
    """What a job printed that ended well."""
    spec = rig.spec(program, *arguments, **changes)
    rig.launcher.launch(spec)
    seen = rig.finish(spec)
    assert (seen.exit_code, seen.problem) == (0, ""), (seen, rig.printed(spec))
    return rig.printed(spec)


# -- reading ----------------------------------------------------------------------------------------------------------


def test_database_keys_and_homes_of_the_platform_are_out_of_reach(rig: Rig, elsewhere: Path) -> None:
    home = Path.home() / f".sagebrush-test-{os.getpid()}"
    files = [elsewhere / "state.db", elsewhere / "keys" / "platform.key", home]
    (elsewhere / "keys").mkdir()
    for file in files:
        file.write_text("secret")
        file.chmod(0o644)
    compute = Compute(Settings(data_dir=elsewhere))
    try:
        got = outcome(rig, _READ, *map(str, files), masked=compute.masked)
    finally:
        home.unlink()
        compute.close()
    if rig.mode == "sandbox":
        assert all(line in _GONE for line in got), got
    else:
        assert got == ["read secret"] * 3


def test_another_jobs_files_and_variables_are_out_of_reach(rig: Rig) -> None:
    other = rig.start(_WAIT, name="other", env={"TOKEN": "other-jobs-token"})
    (other.opt_ml / "secret").write_text("weights")
    program = """
import os, sys
for name in os.listdir("/proc"):
    if name.isdigit() and name != str(os.getpid()):
        try:
            if b"other-jobs-token" in open(f"/proc/{name}/environ", "rb").read(): print("token")
        except OSError: pass
try: print("read", open(sys.argv[1]).read())
except OSError as error: print(type(error).__name__)
"""
    got = outcome(rig, program, str(other.opt_ml / "secret"), masked=(rig.root,))
    if rig.mode == "sandbox":
        assert len(got) == 1
        assert got[0] in _GONE
    else:
        assert got == ["token", "read weights"]


def test_of_the_hosts_other_files_a_job_reads_what_its_user_may(rig: Rig, elsewhere: Path) -> None:
    """Which in the sandbox of root is nobody in particular, and in an ordinary user's the user."""
    for name, mode, owner in (("everybody", 0o644, 0), ("private", 0o600, 0), ("users", 0o600, 54321)):
        (elsewhere / name).write_text(name)
        (elsewhere / name).chmod(mode)
        os.chown(elsewhere / name, owner, owner)
    got = outcome(rig, _READ, *(str(elsewhere / name) for name in ("everybody", "private", "users")))
    by_user = rig.environment.python == SYSTEM_PYTHON
    expected = {
        "sandbox": ["read everybody", "PermissionError", "read users" if by_user else "PermissionError"],
        "process": ["read everybody", "read private", "read users"],
    }
    assert got == expected[rig.mode]


# -- processes --------------------------------------------------------------------------------------------------------


def test_neither_another_job_nor_the_platform_can_be_signalled(rig: Rig) -> None:
    other = rig.start(_WAIT, name="other")
    pids = [rig.launcher.observe(other.directory).pid, rig.state(other)["shim_pid"], os.getpid()]
    program = """
import os, signal, sys
for pid in map(int, sys.argv[1:]):
    try: os.kill(pid, 0); print("reached")
    except OSError as error: print(type(error).__name__)
"""
    if rig.mode == "sandbox":
        got = outcome(rig, program + "os.kill(-1, signal.SIGKILL) if os.fork() else None", *map(str, pids))
        # Pids of its own namespace may have the same numbers: those are its own processes.
        assert all(line in ("ProcessLookupError", "PermissionError") for line in got), got
    else:
        assert outcome(rig, program, *map(str, pids)) == ["reached"] * 3
    assert rig.launcher.observe(other.directory).phase == "running"


def test_a_fork_bomb_is_bounded_and_leaves_nothing(rig: Rig) -> None:
    if rig.mode == "process" and not {"pids", "unified"} & set(ControlGroups().parents()):
        pytest.skip(f"a plain process is limited by control groups only; writable here: {ControlGroups().parents()}")
    name = f"sb-bomb-{os.getpid()}"[:15]
    program = """
import os, sys, time
open("/proc/self/comm", "w").write(sys.argv[1])
first = os.getpid()
while True:
    try: os.fork()
    except BlockingIOError:
        if os.getpid() == first: sys.exit(3)
        time.sleep(0.01)
"""
    seen = rig.run(program, name, limits=Limits(pids=60))
    assert (seen.exit_code, seen.problem) == (3, "")
    assert processes_called(name) == []


def test_memory_beyond_the_limit_is_not_had(rig: Rig) -> None:
    program = "b = bytearray(400 << 20); b[::4096] = b'x' * len(b[::4096]); print('had it')"
    spec = rig.spec(program, limits=Limits(memory_bytes=128 * MIB))
    rig.launcher.launch(spec)
    seen, said = rig.finish(spec), rig.printed(spec)
    assert "had it" not in said
    assert seen.oom_killed or (seen.exit_code == 1 and said[-1] == "MemoryError")


@pytest.mark.parametrize("version", ["version 1", "version 2"])
def test_control_groups_limit_and_cannot_be_left(sandbox: Rig, version: str) -> None:
    parents = ControlGroups().parents()
    if version == "version 2" and "unified" not in parents:
        pytest.skip(f"this host's writable control groups are of version 1 or none: {parents}")
    if version == "version 1" and ("unified" in parents or not parents):
        pytest.skip(f"this host's writable control groups are of version 2 or none: {parents}")
    program = """
import sys
for parent in sys.argv[1:]:
    try: open(f"{parent}/cgroup.procs", "w").write("0"); print("left")
    except OSError as error: print(error.errno)
print(open("/proc/self/cgroup").read().count("/sagebrush-"))
"""
    *errors, groups = outcome(sandbox, program, *map(str, parents.values()), limits=Limits(256 * MIB, 1.0, 50))
    assert set(errors) <= {"30", "13"}, errors
    if os.geteuid() == 0 and sandbox.environment.python != SYSTEM_PYTHON:
        assert int(groups) >= len(parents)


# -- the disk ---------------------------------------------------------------------------------------------------------

#: Writes files of 1 MiB, at most as many as the argument says; then ends well.
_FILL = """
import os, sys, time
for number in range(int(sys.argv[1])):
    with open(f"{sys.argv[2]}/{number}", "wb") as file: file.write(os.urandom(1 << 20))
    time.sleep(0.01)
"""


@pytest.mark.parametrize("folder", ["/opt/ml", "/tmp"])
def test_a_job_that_writes_more_than_its_disk_is_ended_and_it_is_known_why(rig: Rig, folder: str) -> None:
    program = _FILL if rig.mode == "sandbox" else _FILL.replace("sys.argv[2]", "os.environ['PLACE']")
    place = str(rig.root / "attempt" / ("ml" if folder == "/opt/ml" else "tmp"))
    seen = rig.run(program, "3000", folder, limits=Limits(disk_bytes=30 * MIB), env={"PLACE": place})
    assert (seen.disk_exceeded, seen.signal, seen.oom_killed) == ("volume", 9, False)
    assert 30 * MIB < seen.disk_used_bytes < 3000 * MIB


@pytest.mark.parametrize("kept", ["open", "mapped"])
def test_files_that_were_removed_and_are_still_held_count(rig: Rig, kept: str) -> None:
    program = """
import mmap, os, sys, time
held = []
for number in range(3000):
    file = open("x", "w+b")
    file.write(os.urandom(1 << 20)); file.flush(); os.unlink("x")
    held.append(mmap.mmap(file.fileno(), 1 << 20) if sys.argv[1] == "mapped" else file)
    if sys.argv[1] == "mapped": file.close()
    if number > 100: time.sleep(0.02)
"""
    seen = rig.run(program, kept, limits=Limits(disk_bytes=30 * MIB))
    assert (seen.disk_exceeded, seen.signal) == ("volume", 9)


def test_files_in_deep_folders_count(rig: Rig) -> None:
    program = """
import os, time
for _ in range(300):
    os.mkdir("d" * 200); os.chdir("d" * 200)
for number in range(3000):
    with open(str(number), "wb") as file: file.write(os.urandom(1 << 20))
    time.sleep(0.01)
"""
    seen = rig.run(program, limits=Limits(disk_bytes=30 * MIB))
    remove_tree(rig.root / "attempt" / "ml")
    assert (seen.disk_exceeded, seen.signal) == ("volume", 9)


def test_a_file_of_several_names_counts_once_and_holes_do_not(rig: Rig) -> None:
    program = """
import os, time
with open("one", "wb") as file: file.write(os.urandom(1 << 20))
for number in range(100): os.link("one", f"name-{number}")
with open("sparse", "wb") as file: file.truncate(1 << 30)
time.sleep(1.5)
"""
    seen = rig.run(program, limits=Limits(memory_bytes=2 << 30, disk_bytes=20 * MIB))
    assert (seen.disk_exceeded, seen.exit_code) == ("", 0)


def test_a_single_file_beyond_the_disk_is_refused_at_once(rig: Rig) -> None:
    program = """
try: open("huge", "wb").truncate(1 << 40)
except OSError as error: print(error.errno, flush=True)
import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
os.truncate("huge", 1 << 40)
"""
    spec = rig.spec(program, limits=Limits(disk_bytes=30 * MIB))
    rig.launcher.launch(spec)
    seen = rig.finish(spec)
    assert rig.printed(spec) == ["27"]
    assert (seen.signal, seen.crashed) == (signal.SIGXFSZ, True)


def test_below_the_reserve_who_writes_is_ended_and_who_does_not_lives_on(rig: Rig) -> None:
    status = os.statvfs(rig.root)
    limits = Limits(disk_reserve_bytes=2 * status.f_blocks * status.f_frsize)
    quiet = rig.start(_WAIT, name="quiet", limits=limits)
    writer = rig.spec(_FILL, "3000", ".", name="writer", limits=limits)
    rig.launcher.launch(writer)
    assert (rig.finish(writer).disk_exceeded, rig.launcher.observe(writer.directory).signal) == ("reserve", 9)
    assert rig.launcher.observe(quiet.directory).phase == "running"


def test_what_a_job_prints_counts_as_writing_below_the_reserve(rig: Rig) -> None:
    status = os.statvfs(rig.root)
    limits = Limits(disk_reserve_bytes=2 * status.f_blocks * status.f_frsize)
    seen = rig.run("while True: print('y' * 10000)", limits=limits)
    assert seen.disk_exceeded == "reserve"


def test_nothing_of_the_host_can_be_written_even_where_everybody_may(rig: Rig, elsewhere: Path) -> None:
    program = """
import sys
try: open(f"{sys.argv[1]}/left-by-a-job", "w"); print("written")
except OSError as error: print(error.errno)
"""
    got = outcome(rig, program, str(elsewhere))
    assert got == (["30"] if rig.mode == "sandbox" else ["written"])
    assert (elsewhere / "left-by-a-job").exists() == (rig.mode == "process")


# -- the kernel -------------------------------------------------------------------------------------------------------


def test_a_sandboxed_job_has_no_capability_and_gains_none(sandbox: Rig) -> None:
    program = "print(*[l.split()[1] for l in open('/proc/self/status') if l[:3] == 'Cap' or l[:6] == 'NoNewP'])"
    (line,) = outcome(sandbox, program)
    *capabilities, no_new_privileges = line.split()
    assert len(capabilities) == 5
    assert set("".join(capabilities)) == {"0"}
    assert no_new_privileges == "1"


def test_mounting_tracing_and_new_namespaces_are_refused(sandbox: Rig) -> None:
    program = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def told(name, result): print(name, "done" if result >= 0 else ctypes.get_errno())
told("mount", libc.mount(b"none", b"/mnt", b"tmpfs", 0, None))
told("umount", libc.umount2(b"/proc", 2))
told("remount", libc.mount(None, b"/", None, 32 | 4096, None))
told("ptrace", libc.ptrace(16, 1, None, None))
for name, flag in ("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000):
    told(f"unshare-{name}", libc.unshare(flag))
told("clone", libc.syscall({"x86_64": 56, "aarch64": 220}[os.uname().machine], 0x10000000 | 17, 0, 0, 0, 0))
told("clone3", libc.syscall(435, None, 0))
told("setns", libc.setns(os.open("/proc/self/ns/mnt", os.O_RDONLY), 0))
told("keyctl", libc.syscall({"x86_64": 250, "aarch64": 219}[os.uname().machine], 0, -3, 0))
try: os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0)); print("mknod done")
except PermissionError: print("mknod 1")
try: open("/proc/1/environ").read(); print("keeper read")
except PermissionError: print("keeper 13")
import threading, subprocess
thread = threading.Thread(target=print, args=("threads",)); thread.start(); thread.join()
subprocess.run(["echo", "processes"], check=True)
"""
    if os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip(f"there is no filter of system calls for {os.uname().machine}")
    got = dict(line.rpartition(" ")[::2] if " " in line else (line, "") for line in outcome(sandbox, program))
    refused = {k for k, v in got.items() if v in ("1", "13")}
    assert refused | {"clone3", "threads", "processes"} == set(got), got
    assert got["clone3"] == "38"


# -- sockets and the network ------------------------------------------------------------------------------------------

_CONNECT = """
import socket, sys
for path in sys.argv[1:]:
    try: socket.socket(socket.AF_UNIX).connect(path.replace("@", chr(0))); print("connected")
    except OSError as error: print(type(error).__name__)
"""


def test_unix_sockets_of_the_platform_and_of_the_hosts_services_are_out_of_reach(rig: Rig, elsewhere: Path) -> None:
    """Names without a file ('abstract') belong to the network: only a job in one of its own is kept from them."""
    service = Path("/run") / f"sagebrush-test-{os.getpid()}.sock"
    abstract = f"@sagebrush-test-{os.getpid()}"
    compute = Compute(Settings(data_dir=elsewhere))
    with (
        socket.socket(socket.AF_UNIX) as control,
        socket.socket(socket.AF_UNIX) as host,
        socket.socket(socket.AF_UNIX) as named,
    ):
        control.bind(str(elsewhere / "control.sock"))
        host.bind(str(service))
        named.bind(abstract.replace("@", "\0"))
        try:
            for listener, path in ((control, elsewhere / "control.sock"), (host, service), (named, None)):
                listener.listen()
                if path is not None:
                    path.chmod(0o666)
            paths = (str(elsewhere / "control.sock"), str(service), abstract)
            got = outcome(rig, _CONNECT, *paths, masked=compute.masked)
            if rig.mode == "sandbox":
                assert got == ["FileNotFoundError", "FileNotFoundError", "connected"]
                alone = outcome(rig, _CONNECT, *paths, name="alone", masked=compute.masked, isolated=True)
                assert alone == ["FileNotFoundError", "FileNotFoundError", "ConnectionRefusedError"]
            else:
                assert got == ["connected"] * 3
        finally:
            service.unlink()
            compute.close()


@pytest.fixture
def network_namespaces(tmp_path: Path) -> None:
    compute = Compute(Settings(data_dir=tmp_path / "probe"))
    problem = compute.network_isolation_problem()
    compute.close()
    if problem:
        pytest.skip(problem)


_REACH = """
import socket, sys
try: socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5); print("reached")
except OSError as error: print(type(error).__name__)
try: socket.create_connection(("192.0.2.1", 80), 5); print("reached")
except OSError as error: print(type(error).__name__, error.errno)
print(*sorted(name for _, name in socket.if_nameindex()))
"""


@pytest.mark.usefixtures("network_namespaces")
def test_an_isolated_job_has_a_loopback_of_its_own_and_nothing_else(sandbox: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = str(service.getsockname()[1])
        assert outcome(sandbox, _REACH, port, name="open")[0] == "reached"
        for name, shared in (("alone", None), ("first", sandbox.root / "network")):
            got = outcome(sandbox, _REACH, port, name=name, isolated=True, network_file=shared)
            assert got == ["ConnectionRefusedError", "OSError 101", "lo"]


@pytest.mark.usefixtures("network_namespaces")
def test_hosts_of_an_isolated_job_reach_each_other_and_no_other_job(sandbox: Rig) -> None:
    server = """
import socket
with socket.create_server((socket.gethostbyname("algo-1"), 7777)) as listener:
    print("up", flush=True)
    while True: listener.accept()[0].sendall(b"hello from algo-1")
"""
    client = """
import socket
try: print(socket.create_connection(("algo-1", 7777), 5).recv(100).decode())
except OSError as error: print(type(error).__name__)
"""
    hosts = {f"algo-{n}": f"127.77.3.{n + 1}" for n in (1, 2, 3)}
    one = {"hosts": hosts, "isolated": True, "network_file": sandbox.root / "network-one"}
    two = one | {"network_file": sandbox.root / "network-two"}
    first = sandbox.start(server, name="one-1", host_name="algo-1", **one)
    for name in ("one-2", "one-3"):
        assert outcome(sandbox, client, name=name, host_name="algo-2", **one) == ["hello from algo-1"]
    assert outcome(sandbox, client, name="two-2", host_name="algo-2", **two) == ["ConnectionRefusedError"]
    sandbox.launcher.kill(first.directory)
    sandbox.finish(first)
    # Everybody in it has ended: whoever comes now makes it anew.
    assert outcome(sandbox, client, name="one-4", host_name="algo-2", **one) == ["ConnectionRefusedError"]


@pytest.mark.usefixtures("network_namespaces")
def test_hosts_that_start_at_the_same_time_share_one_network(sandbox: Rig) -> None:
    program = "import os, time; print(os.readlink('/proc/self/ns/net'), flush=True); time.sleep(600)"
    shared = {"isolated": True, "network_file": sandbox.root / "network"}
    specs = [sandbox.spec(program, name=f"host-{n}", **shared) for n in range(6)]
    for spec in specs:
        spec.directory.mkdir(exist_ok=True)
    threads = [threading.Thread(target=sandbox.launcher.launch, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    printed = {eventually(lambda spec=spec: sandbox.printed(spec))[0] for spec in specs}  # type: ignore[misc]
    assert len(printed) == 1
    assert printed != {str(Path("/proc/self/ns/net").readlink())}


@pytest.mark.usefixtures("network_namespaces")
def test_a_record_that_leads_to_the_hosts_network_starts_nothing(sandbox: Rig) -> None:
    """However it came about: an isolated job must not find itself in the network of the host."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    start = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    file = sandbox.root / "network"
    file.write_text(f"{os.getpid()} {start} {boot}\n")
    spec = sandbox.spec("open('/opt/ml/ran', 'w')", isolated=True, network_file=file)
    sandbox.launcher.launch(spec)
    seen = sandbox.finish(spec)
    assert (seen.exit_code, seen.signal) == (None, None)
    assert seen.problem
    assert not (spec.opt_ml / "ran").exists()


def test_without_a_sandbox_an_isolated_job_is_refused(process_rig: Rig) -> None:
    spec = process_rig.spec("open('ran', 'w')", isolated=True)
    with pytest.raises(CallerError, match="share the host's network") as refused:
        process_rig.launcher.launch(spec)
    assert refused.value.code == "NetworkIsolationUnavailable"
    assert process_rig.launcher.observe(spec.directory).phase == "absent"
