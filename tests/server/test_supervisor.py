"""The platform as processes: started, refused, killed in every part, taken over, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.server import platform_file
from sagebrush.server.data_directory import LAYOUT, DataDirectory
from sagebrush.server.platform_file import PlatformFile
from tests.journeys.running import RunningPlatform, discard, eventually, free_port

pytestmark = pytest.mark.fault
NAMES = ["control", "objects", "front"]


@pytest.fixture
def platform() -> Iterator[RunningPlatform]:
    """A platform that is not up yet."""
    data_dir = Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp"))
    running = RunningPlatform(data_dir, free_port(), {"SAGEBRUSH_PREBUILD_ENVIRONMENTS": "false"})
    yield running
    discard(running)


def state(platform: RunningPlatform) -> PlatformFile:
    found = platform_file.running(DataDirectory(platform.data_dir).platform_file)
    assert found is not None
    return found


def answers(platform: RunningPlatform) -> bool:
    return platform.command("status", "--quiet", check=False).returncode == 0


def test_up_is_ready_when_it_returns_and_down_leaves_nothing_running(platform: RunningPlatform) -> None:
    platform.up()
    assert answers(platform)
    processes = state(platform).processes
    assert sorted(processes) == sorted(NAMES)
    platform.down()
    assert not any(process.alive() for process in processes.values())
    assert not DataDirectory(platform.data_dir).platform_file.exists()
    assert platform.command("status", check=False).returncode == 3


def test_what_was_kept_is_there_again_after_down_and_up(platform: RunningPlatform) -> None:
    platform.up()
    platform.client("s3").create_bucket(Bucket="kept")
    platform.client("s3").put_object(Bucket="kept", Key="key", Body=b"body")
    platform.client("logs").create_log_group(logGroupName="kept")
    before = platform.client("s3")
    platform.down()
    platform.up()
    # Credentials from before the restart are still good: the key is the data directory's.
    assert before.get_object(Bucket="kept", Key="key")["Body"].read() == b"body"
    assert [g["logGroupName"] for g in platform.client("logs").describe_log_groups()["logGroups"]] == ["kept"]


def test_a_second_up_on_the_same_directory_is_refused_in_one_line(platform: RunningPlatform) -> None:
    platform.up()
    second = platform.command("up", "--detach", "--port", str(free_port()), check=False)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"already running on the data directory {platform.data_dir}" in second.stderr
    assert f"pid {state(platform).supervisor.pid}" in second.stderr
    assert platform.endpoint_url in second.stderr
    assert answers(platform)


def test_a_port_in_use_is_refused_in_one_line_and_nothing_is_left(platform: RunningPlatform) -> None:
    with socket.create_server(("127.0.0.1", platform.port)):
        refused = platform.command("up", "--detach", "--port", str(platform.port), check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"Port {platform.port} on 127.0.0.1 is already in use" in refused.stderr
    assert f"pid {os.getpid()}" in refused.stderr
    platform.up()


def test_a_directory_of_a_newer_version_is_refused_in_one_line(platform: RunningPlatform) -> None:
    (platform.data_dir / "VERSION").write_text(f"{LAYOUT + 1}\n")
    refused = platform.command("up", "--detach", check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "written by a newer Sagebrush" in refused.stderr
    assert sorted(p.name for p in platform.data_dir.iterdir()) == ["VERSION", "keys", "logs", "run"]


def test_a_plane_that_cannot_start_is_named_with_its_last_words(platform: RunningPlatform) -> None:
    (platform.data_dir / "state.db").write_text("this is no database, but it is long enough to look like a file" * 50)
    refused = platform.command("up", "--detach", "--port", str(platform.port), check=False)
    assert refused.returncode == 1
    assert "process ended while starting" in refused.stderr
    assert "file is not a database" in refused.stderr
    assert platform.command("status", check=False).returncode == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_is_restarted_and_no_request_is_lost(platform: RunningPlatform, name: str) -> None:
    platform.up()
    s3, logs = platform.client("s3"), platform.client("logs")
    s3.create_bucket(Bucket="bucket")
    victim = state(platform).processes[name]
    os.kill(victim.pid, signal.SIGKILL)
    # One try each: what is asked while the process is away waits for it.
    fresh_s3, fresh_logs = platform.client("s3"), platform.client("logs")
    assert [b["Name"] for b in fresh_s3.list_buckets()["Buckets"]] == ["bucket"]
    assert fresh_logs.describe_log_groups()["logGroups"] == []
    eventually(lambda: name in state(platform).processes and state(platform).processes[name] != victim)
    assert state(platform).restarts[name] == 1
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["bucket"]
    assert logs.describe_log_groups()["logGroups"] == []


def test_planes_follow_a_killed_supervisor_and_up_takes_over(platform: RunningPlatform) -> None:
    platform.up()
    platform.client("s3").create_bucket(Bucket="bucket")
    before = state(platform)
    os.kill(before.supervisor.pid, signal.SIGKILL)
    eventually(lambda: not before.supervisor.alive(), what="the supervisor to be gone")
    platform.up()  # At once: it waits for what is left of the former one.
    assert not any(process.alive() for process in before.processes.values())
    assert [b["Name"] for b in platform.client("s3").list_buckets()["Buckets"]] == ["bucket"]


def test_a_foreground_platform_stops_on_interrupt(platform: RunningPlatform) -> None:
    command = [str(Path(sys.executable).with_name("sagebrush")), "up", "--port", str(platform.port)]
    environ = dict(os.environ) | platform.settings | {"SAGEBRUSH_DATA_DIR": str(platform.data_dir)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as foreground:
        assert foreground.stdout is not None
        assert f"ready at {platform.endpoint_url}" in foreground.stdout.readline()
        processes = state(platform).processes
        foreground.send_signal(signal.SIGINT)
        assert foreground.wait(60) == 0
    assert not any(process.alive() for process in processes.values())


def test_a_data_directory_with_a_long_path_works(tmp_path: Path) -> None:
    """Unix socket paths end at 107 bytes; ours are relative to the data directory."""
    data_dir = tmp_path / ("long-" * 20) / ("directory-" * 5)
    platform = RunningPlatform(data_dir, free_port(), {"SAGEBRUSH_PREBUILD_ENVIRONMENTS": "false"})
    try:
        platform.up()
        assert platform.client("s3").list_buckets()["Buckets"] == []
    finally:
        platform.down()
        shutil.rmtree(data_dir)


def test_the_processes_together_stay_within_300_mib(platform: RunningPlatform) -> None:
    import json

    platform.up()
    platform.client("s3").list_buckets()
    platform.client("logs").describe_log_groups()
    processes = json.loads(platform.command("status", "--json").stdout)["processes"]
    assert len(processes) == 4
    assert sum(process["memory_mib"] for process in processes) <= 300


def test_exec_hands_over_environment_signals_and_exit_code(platform: RunningPlatform) -> None:
    platform.up()
    ran = platform.command("exec", "--", "sh", "-c", "echo $AWS_ENDPOINT_URL; exit 7", check=False)
    assert (ran.returncode, ran.stdout.strip()) == (7, platform.endpoint_url)
    assert platform.command("exec", "--", "no-such-command", check=False).returncode == 127
    assert platform.command("exec", "--", str(platform.data_dir), check=False).returncode == 126
    assert platform.command("exec", check=False).returncode == 125
    killed = platform.command("exec", "sh", "-c", "kill -TERM $$", check=False)
    assert killed.returncode == -signal.SIGTERM
