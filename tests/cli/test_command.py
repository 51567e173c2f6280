"""The command without a running platform: help, settings, and clear lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAGEBRUSH = Path(sys.executable).with_name("sagebrush")
COMMANDS = ["up", "down", "status", "doctor", "config", "environments", "env", "exec", "demo"]


def sagebrush(*words: str, data_dir: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SAGEBRUSH_", "AWS_"))}
    return subprocess.run(
        [str(SAGEBRUSH), *words],
        env=clean | {"SAGEBRUSH_DATA_DIR": str(data_dir)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command_and_imports_none_of_them(tmp_path: Path) -> None:
    result = sagebrush("--help", data_dir=tmp_path)
    assert result.returncode == 0
    assert all(f"    {command} " in result.stdout for command in COMMANDS)
    program = (
        "import sys; from sagebrush.cli import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"botocore", "sqlalchemy", "uvloop", "cryptography", "sagebrush.cli.up"} & set(loaded)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, tmp_path: Path) -> None:
    result = sagebrush(command, "--help", data_dir=tmp_path)
    assert result.returncode == 0
    assert "--data-dir" in result.stdout
    assert len(result.stdout.splitlines()) > 5


@pytest.mark.parametrize(("words", "code"), [(["env"], 1), (["exec", "--", "true"], 125)])
def test_what_needs_a_running_platform_says_how_to_start_one(words: list[str], code: int, tmp_path: Path) -> None:
    result = sagebrush(*words, data_dir=tmp_path)
    assert result.returncode == code
    assert result.stdout == ""
    assert f"not running on the data directory {tmp_path}" in result.stderr
    assert "sagebrush up --detach" in result.stderr
    assert "Traceback" not in result.stderr


def test_status_and_down_of_nothing(tmp_path: Path) -> None:
    assert sagebrush("status", data_dir=tmp_path).returncode == 3
    assert sagebrush("status", "--quiet", data_dir=tmp_path).stdout == ""
    assert json.loads(sagebrush("status", "--json", data_dir=tmp_path).stdout)["ready"] is False
    down = sagebrush("down", data_dir=tmp_path)
    assert (down.returncode, "is not running" in down.stdout) == (0, True)
    assert list(tmp_path.iterdir()) == []


def test_config_tells_each_value_and_its_origin(tmp_path: Path) -> None:
    (tmp_path / "sagebrush.toml").write_text('port = 4711\ndatabase_url = "postgresql://me:hidden@db/x"\n')
    result = sagebrush("config", "--json", "--auth", "open", data_dir=tmp_path, SAGEBRUSH_REGION="eu-west-1")
    table = json.loads(result.stdout)
    assert table["port"] == {"value": "4711", "origin": str(tmp_path / "sagebrush.toml")}
    assert table["region"] == {"value": "eu-west-1", "origin": "environment (SAGEBRUSH_REGION)"}
    assert table["auth"] == {"value": "open", "origin": "flag (--auth)"}
    assert table["host"]["origin"] == "default"
    assert table["database_url"]["value"] == "postgresql://me:***@db/x"
    text = sagebrush("config", data_dir=tmp_path).stdout
    assert "hidden" not in text
    assert all(name in text for name in table)


def test_a_wrong_setting_is_one_clear_line(tmp_path: Path) -> None:
    result = sagebrush("status", data_dir=tmp_path, SAGEBRUSH_PORT="many")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "port = 'many' from environment (SAGEBRUSH_PORT)" in result.stderr


def test_open_authentication_is_refused_beyond_loopback(tmp_path: Path) -> None:
    result = sagebrush("up", "--detach", "--auth", "open", "--host", "0.0.0.0", data_dir=tmp_path)
    assert result.returncode == 1
    assert "loopback only" in result.stderr


def test_plain_http_leaves_loopback_only_when_told_to(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        result = sagebrush("up", "--detach", "--host", host, data_dir=tmp_path)
        assert result.returncode == 1
        assert "in the clear" in result.stderr
        assert "--insecure-listen" in result.stderr
        assert "--tls own" in result.stderr
    # An address that no machine has: the next obstacle is met, nothing is opened to the network.
    told = sagebrush("up", "--detach", "--host", "192.0.2.1", "--insecure-listen", "true", data_dir=tmp_path)
    assert told.returncode == 1
    assert "Cannot listen on 192.0.2.1" in told.stderr


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{SAGEBRUSH} config --data-dir {tmp_path} | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
