"""What a sandboxed job sees, and what it does not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Bind, Compute, Environment
from sagebrush.substrate.compute.shim import launchfile
from sagebrush.substrate.settings import Settings
from sagebrush.testing.launcher_contract import Rig, ask, eventually


@pytest.fixture
def rig(sandbox_rig: Rig) -> Rig:
    return sandbox_rig


def test_two_jobs_at_once_each_have_an_opt_ml_of_their_own(rig: Rig) -> None:
    program = """
import os, sys, time
open("/opt/ml/name", "w").write(sys.argv[1])
print("written", flush=True)
while not os.path.exists("/opt/ml/go"): time.sleep(0.01)
print(open("/opt/ml/name").read(), os.listdir("/opt/ml"))
"""
    one, two = (rig.start(program, name, name=name) for name in ("one", "two"))
    for spec in (one, two):
        (spec.opt_ml / "go").touch()
    assert [rig.finish(spec).exit_code for spec in (one, two)] == [0, 0]
    assert [rig.printed(spec)[1].split(" ")[0] for spec in (one, two)] == ["one", "two"]
    assert (one.opt_ml / "name").read_text() == "one"
    assert not Path("/opt/ml/name").exists()


def test_other_children_of_opt_stay_visible(rig: Rig) -> None:
    before = sorted(p.name for p in Path("/opt").iterdir())
    spec = rig.spec("import os; print(sorted(os.listdir('/opt')))")
    rig.launcher.launch(spec)
    assert rig.finish(spec).exit_code == 0
    assert rig.printed(spec) == [str(sorted({*before, "ml"}))]
    assert sorted(p.name for p in Path("/opt").iterdir()) == before


def test_the_data_directory_is_invisible_but_the_environment_inside_it_is_not(rig: Rig, tmp_path: Path) -> None:
    data = tmp_path / "data"
    prefix = data / "environments" / "made"
    (data / "keys").mkdir(parents=True)
    (data / "keys" / "platform.key").write_text("secret")
    prefix.mkdir(parents=True)
    (prefix / "library.py").write_text("ANSWER = 42\n")
    data.chmod(0o700)
    environment = Environment(
        "made",
        Path(sys.executable),
        Path(sys.prefix),
        read_only_paths=(prefix, Path(sys.prefix), Path(sys.base_prefix)),
        python_path=(prefix,),
    )
    program = """
import library, os, sys
from pathlib import Path
print(library.ANSWER, [str(p.relative_to(sys.argv[1])) for p in sorted(Path(sys.argv[1]).rglob("*"))])
try:
    (Path(library.__file__).parent / "mine").touch()
except OSError as error:
    print(type(error).__name__, error.errno)
"""
    # Under /tmp, which is private anyway, and somewhere else, where only the mask hides it.
    elsewhere = Path("/var/lib") / f"sagebrush-test-{os.getpid()}"
    shutil.copytree(data, elsewhere)
    elsewhere.chmod(0o755)
    try:
        for root in (data, elsewhere):
            here = root / "environments" / "made"
            paths = (here, Path(sys.prefix), Path(sys.base_prefix))
            own = Environment(
                "made", environment.python, environment.prefix, read_only_paths=paths, python_path=(here,)
            )
            spec = rig.spec(program, str(root), name=f"in-{root.name}", environment=own, masked=(root,))
            rig.launcher.launch(spec)
            assert rig.finish(spec).exit_code == 0, rig.printed(spec)
            seen, refused = rig.printed(spec)
            assert seen == "42 ['environments', 'environments/made', 'environments/made/library.py']"
            assert refused in ("OSError 30", "PermissionError 13")
    finally:
        shutil.rmtree(elsewhere)


def test_a_read_only_path_cannot_be_written_even_where_its_mode_allows(rig: Rig, tmp_path: Path) -> None:
    source = tmp_path / "channel"
    source.mkdir(mode=0o777)
    source.chmod(0o777)
    (source / "data.csv").write_text("1,2\n")
    binds = (
        Bind(source, "/opt/ml/input/data/train"),
        Bind(source / "data.csv", "/opt/ml/input/one.csv"),
        Bind(source, "/opt/ml/open", read_only=False),
    )
    program = """
import os
print(open("/opt/ml/input/data/train/data.csv").read().strip(), open("/opt/ml/input/one.csv").read().strip())
for name in ("/opt/ml/input/data/train/new", "/opt/ml/input/one.csv", "/opt/ml/open/new"):
    try:
        open(name, "w").close()
        print("written")
    except OSError as error:
        print(error.strerror)
"""
    spec = rig.spec(program, binds=binds)
    rig.launcher.launch(spec)
    assert rig.finish(spec).exit_code == 0
    assert rig.printed(spec) == ["1,2 1,2", "Read-only file system", "Read-only file system", "written"]
    assert (source / "data.csv").read_text() == "1,2\n"


def test_the_hosts_of_a_job_find_each_other_by_name(rig: Rig) -> None:
    server = """
import socket
with socket.create_server((socket.gethostbyname("algo-1"), 0)) as listener:
    print(socket.gethostname(), listener.getsockname()[0], listener.getsockname()[1], flush=True)
    print(listener.accept()[0].recv(100).decode())
"""
    client = """
import socket, sys
with socket.create_connection(("algo-1", int(sys.argv[1]))) as connection:
    connection.sendall(f"greetings from {socket.gethostname()}".encode())
"""
    hosts = {"algo-1": "127.77.3.1", "algo-2": "127.77.3.2"}
    first = rig.start(server, name="one", hosts=hosts, host_name="algo-1")
    name, address, port = rig.printed(first)[0].split()
    assert (name, address) == ("algo-1", "127.77.3.1")
    second = rig.spec(client, port, name="two", hosts=hosts, host_name="algo-2")
    rig.launcher.launch(second)
    assert [rig.finish(spec).exit_code for spec in (second, first)] == [0, 0]
    assert rig.printed(first)[1] == "greetings from algo-2"


def test_a_job_sees_only_its_own_processes_and_temporary_files(rig: Rig) -> None:
    mark = Path("/tmp") / f"sagebrush-mark-{os.getpid()}"
    mark.touch()
    program = """
import os, sys, tempfile
print(sorted(int(p) for p in os.listdir("/proc") if p.isdigit()), os.path.exists(sys.argv[1]), os.listdir("/dev/shm"))
with tempfile.TemporaryDirectory() as place: print(place.startswith("/tmp/"))
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=100); block.close(); block.unlink()
"""
    try:
        spec = rig.spec(program, str(mark))
        rig.launcher.launch(spec)
        assert rig.finish(spec).exit_code == 0, rig.printed(spec)
        assert rig.printed(spec)[:2] == ["[1, 2] False []", "True"]
    finally:
        mark.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give each attempt a user of its own")
def test_each_attempt_has_a_user_of_its_own_without_any_privilege(rig: Rig) -> None:
    program = """
import getpass, json, os, pwd
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
refused = []
for path in ("/etc/sagebrush-test", "/usr/sagebrush-test"):
    try: open(path, "w")
    except OSError: refused.append(path)
open("/opt/ml/mine", "w").close()
print(json.dumps({"uid": os.getuid(), "groups": os.getgroups(), "name": pwd.getpwuid(os.getuid()).pw_name,
                  "caps": status["CapEff"] + status["CapBnd"], "new": status["NoNewPrivs"], "refused": len(refused)}))
"""
    seen = []
    for name in ("one", "two"):
        spec = rig.spec(program, name=name)
        (spec.opt_ml / "given").write_text("before")
        rig.launcher.launch(spec)
        assert rig.finish(spec).exit_code == 0, rig.printed(spec)
        seen.append(json.loads(rig.printed(spec)[0]))
        assert (spec.opt_ml / "given").stat().st_uid == seen[-1]["uid"] == (spec.opt_ml / "mine").stat().st_uid
    assert seen[0]["uid"] != seen[1]["uid"]
    for facts in seen:
        assert facts["uid"] >= 1000
        assert facts["groups"] in ([], [facts["uid"]])
        assert set(facts["caps"]) == {"0"}
        assert (facts["new"], facts["refused"], facts["name"]) == ("1", 2, "sagemaker-user")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_with_a_second_name_is_never_given_to_the_job(rig: Rig, tmp_path: Path) -> None:
    immutable = tmp_path / "object"
    immutable.write_text("bytes")
    spec = rig.spec("print(open('/opt/ml/linked').read()); open('/opt/ml/linked', 'w')")
    (spec.opt_ml / "linked").hardlink_to(immutable)
    rig.launcher.launch(spec)
    assert rig.finish(spec).exit_code == 1
    assert rig.printed(spec)[0] == "bytes"
    assert (immutable.read_text(), immutable.stat().st_uid) == ("bytes", 0)


def test_a_job_cannot_end_its_keeper(rig: Rig) -> None:
    program = """
import os, signal
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
    try: os.kill(1, number)
    except PermissionError: pass
print("still here")
raise SystemExit(4)
"""
    spec = rig.spec(program)
    rig.launcher.launch(spec)
    assert rig.finish(spec).exit_code == 4
    assert rig.printed(spec) == ["still here"]


def test_a_bind_whose_source_is_missing_says_so_and_runs_nothing(rig: Rig) -> None:
    spec = rig.spec("open('/opt/ml/ran', 'w')", binds=(Bind(Path("/no/such/file"), "/opt/ml/x"),))
    rig.launcher.launch(spec)
    seen = rig.finish(spec)
    assert (seen.phase, seen.exit_code, seen.signal) == ("exited", None, None)
    assert "/no/such/file" in seen.problem
    assert not (spec.opt_ml / "ran").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which root can")
def test_without_root_a_user_namespace_gives_the_same_view(tmp_path: Path) -> None:
    """As a platform that an ordinary user started. Its interpreter is the system's: ours may lie in root's home."""
    place = Path("/var/lib") / f"sb-user-{os.getpid()}"
    place.mkdir()
    shutil.copytree(Path(__file__).parents[3] / "src" / "sagebrush" / "substrate" / "compute" / "shim", place / "shim")
    (place / "attempt" / "ml").mkdir(parents=True)
    (place / "hidden").mkdir()
    (place / "hidden" / "key").touch()
    records = [
        "isolation sandbox",
        "user_namespace 1",
        "host_name algo-1",
        "host algo-1=127.3.3.3",
        f"opt_ml {place}/attempt/ml",
        f"mask {place}/hidden",
        "cwd /opt/ml",
        "grace_ms 1000",
        "env PATH=/usr/bin:/bin",
        "private_network 1",
        "listen s0",
        "arg /bin/sh",
        "arg -c",
        f"arg echo $(id -u) $(ls {place}/hidden | wc -l) $(ls -d /proc/[0-9]* | wc -l) $(uname -n)"
        " $(grep -c : /proc/net/dev) $(grep -c 'lo ' /proc/net/route) $(readlink /proc/self/fd/3); echo x > made",
    ]
    (place / "attempt" / "launch").write_text("".join(f"{record}\0" for record in records))
    (place / "attempt" / "lock").touch()
    user = 54321
    for path in (place, *place.rglob("*")):
        os.chown(path, user, user)
    system_python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    assert system_python is not None, "needs the system's python3"
    lock = os.open(place / "attempt" / "lock", os.O_RDWR)
    try:
        command = [
            system_python,
            "-I",
            "-S",
            "-X",
            "utf8",
            place / "shim" / "__main__.py",
            place / "attempt",
            str(lock),
        ]
        result = subprocess.run(
            command,
            user=user,
            group=user,
            extra_groups=[],
            pass_fds=[lock],
            check=False,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        state = json.loads((place / "attempt" / "state.json").read_text())
        if "unshare" in state["problem"] or "mount" in state["problem"]:
            pytest.skip(f"this host allows no user namespaces: {state['problem']}")
        printed = (place / "attempt" / "output.log").read_text()
        assert (state["problem"], state["exit_code"]) == ("", 0), printed
        line = (place / "attempt" / "output.log").read_text().partition(" ")[2].strip()
        assert line.split()[:2] == [str(user), "0"]
        assert line.split()[3:5] == ["algo-1", "1"]
        assert (place / "attempt" / "ml" / "made").read_text() == "x\n"
    finally:
        os.close(lock)
        shutil.rmtree(place)


def test_insisting_on_a_sandbox_where_there_is_one_works_and_process_means_process(tmp_path: Path) -> None:
    modes = []
    for wanted in ("auto", "sandbox", "process"):
        compute = Compute(Settings(data_dir=tmp_path, isolation=wanted))
        modes.append(compute.isolation())
        compute.close()
    assert modes == ["sandbox", "sandbox", "process"]


def test_a_job_whose_keeper_was_killed_is_not_mistaken_for_a_success(process_rig: Rig) -> None:
    spec = process_rig.start("import time; print('up', flush=True); time.sleep(600)")
    job = process_rig.launcher.observe(spec.directory).pid
    os.kill(process_rig.state(spec)["keeper_pid"], signal.SIGKILL)
    seen = process_rig.finish(spec)
    assert (seen.phase, seen.exit_code, seen.signal) == ("exited", None, 9)
    assert "keeper" in seen.problem
    eventually(lambda: not Path(f"/proc/{job}").exists())


def test_of_a_job_lost_with_its_keeper_no_process_and_no_control_group_is_left(process_rig: Rig) -> None:
    fill = "import os, time; b = bytearray(8 << 20); any(os.fork() == 0 for _ in range(20)); print(flush=True)"
    spec = process_rig.start(f"{fill}; time.sleep(600)")
    launch = launchfile.LaunchFile.decode((spec.directory / launchfile.NAME).read_bytes())
    made = [Path(parent, launch.text("cgroup_name")) for _, parent in launch.pairs("cgroup")]
    if not made:
        pytest.skip("no control group can be made here")
    assert all(group.is_dir() for group in made)
    state = process_rig.state(spec)
    for process in ("shim_pid", "keeper_pid"):
        os.kill(state[process], signal.SIGKILL)
    assert process_rig.finish(spec).phase == "lost"
    assert not any(group.exists() for group in made)


#: Serves HTTP's alternative port as an own server does, and tries what the arguments name: ports of the host.
_OWN_SERVER = """
import os, socket, sys
listener = socket.create_server(("0.0.0.0", 8080))
for port in map(int, sys.argv[1:]):
    try: socket.create_connection(("127.0.0.1", port), 5); print("reached", port)
    except ConnectionRefusedError: print("refused")
print(sorted(name for _, name in socket.if_nameindex()), flush=True)
client = socket.create_connection(("localhost", 8080))
inner, _ = listener.accept()
promised = socket.socket(fileno=3)
while True:
    outer, _ = promised.accept()
    client.sendall(outer.recv(100))
    outer.sendall(inner.recv(100) + b" from " + os.environ["NAME"].encode())
    outer.close()
"""


@pytest.fixture
def private_network(tmp_path: Path) -> None:
    compute = Compute(Settings(data_dir=tmp_path / "probe"))
    found = compute.private_network()
    compute.close()
    if not found:
        pytest.skip("this host allows no network namespaces")


def test_in_private_networks_two_jobs_have_the_same_port_and_neither_reaches_the_host(
    rig: Rig, private_network: None
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = str(service.getsockname()[1])
        specs = [
            rig.start(_OWN_SERVER, port, name=name, env={"NAME": name}, listen=("s0",), private_network=True, hosts={})
            for name in ("one", "two")
        ]
        assert [ask(spec, "s0", "hello") for spec in specs] == ["hello from one", "hello from two"]
        eventually(lambda: [rig.printed(spec) for spec in specs] == [["refused", "['lo']"]] * 2)


def test_hosts_of_a_job_in_a_private_network_have_their_names(rig: Rig, private_network: None) -> None:
    program = """
import socket
with socket.create_server((socket.gethostbyname("algo-1"), 8080)):
    socket.create_connection(("algo-1", 8080)).close()
"""
    spec = rig.spec(program, private_network=True, hosts={"algo-1": "127.88.1.1"})
    rig.launcher.launch(spec)
    assert rig.finish(spec).exit_code == 0, rig.printed(spec)


@pytest.mark.parametrize("private", [False, True])
def test_a_socket_of_the_host_that_is_bound_can_be_connected_to(rig: Rig, tmp_path: Path, private: bool) -> None:
    program = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/opt/ml/front.sock'); print(s.recv(100))"
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as front:
        front.bind(str(folder / "front.sock"))
        (folder / "front.sock").chmod(0o666)
        front.listen()
        front.settimeout(60)
        binds = (Bind(folder / "front.sock", "/opt/ml/front.sock"),)
        spec = rig.spec(program, binds=binds, private_network=private)
        rig.launcher.launch(spec)
        with front.accept()[0] as connection:
            connection.sendall(b"from the platform")
        assert rig.finish(spec).exit_code == 0, rig.printed(spec)
    assert rig.printed(spec) == ["b'from the platform'"]


def test_a_job_neither_sees_nor_replaces_its_listening_sockets(rig: Rig) -> None:
    """An attempt under /tmp is out of sight anyway; elsewhere the mask of the data directory hides it."""
    program = """
import os, socket, sys
path = sys.argv[1]
listener = socket.socket(fileno=3)
failures = []
for attempt in (os.stat, os.unlink, lambda path: os.symlink("/etc/passwd", path)):
    try: attempt(path); failures.append("done")
    except OSError as error: failures.append(type(error).__name__)
try: os.fchmod(3, 0o777)  # As root the socket belongs to the platform; a user namespace has only one user.
except PermissionError: pass
print(*failures, listener.getsockname(), flush=True)
connection, _ = listener.accept()
connection.recv(100)
connection.sendall(b"served")
"""
    elsewhere = Path("/var/lib") / f"sagebrush-test-{os.getpid()}"
    try:
        for directory in (rig.root / "attempt", elsewhere / "attempt"):
            opt_ml = directory / "ml"
            opt_ml.mkdir(parents=True)
            spec = rig.spec(
                program, str(directory / "s0"), directory=directory, opt_ml=opt_ml, listen=("s0",), masked=(elsewhere,)
            )
            rig.launcher.launch(spec)
            eventually(lambda spec=spec: rig.printed(spec))  # type: ignore[misc]
            assert ask(spec, "s0") == "served"
            assert rig.finish(spec).exit_code == 0
            assert rig.printed(spec) == ["FileNotFoundError FileNotFoundError FileNotFoundError s0"]
            assert (directory / "s0").stat().st_mode & 0o777 == 0o600
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)
