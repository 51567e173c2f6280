"""`sagebrush configure`: both SDKs and boto3 from a bare shell, and everything taken back."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.running import CLIENTS, RunningPlatform, discard, start_platform

pytestmark = pytest.mark.journey

_BOTO3 = """
import boto3, json
print(json.dumps({
    "arn": boto3.client("sts").get_caller_identity()["Arn"],
    "jobs": boto3.client("sagemaker").list_training_jobs()["TrainingJobSummaries"],
    "url": boto3.client("s3").meta.endpoint_url,
}))
"""
_V2 = """
import json, sagemaker
session = sagemaker.Session()
print(json.dumps({"account": session.account_id(), "bucket": session.default_bucket()}))
"""
_V3 = _V2.replace("import json, sagemaker", "import json\nfrom sagemaker.core.helper.session_helper import Session")
_V3 = _V3.replace("sagemaker.Session()", "Session()")


@pytest.fixture(scope="module")
def platform() -> Iterator[RunningPlatform]:
    made = start_platform()
    yield made
    discard(made)


class Shell:
    """A user's home, and programs run in it with nothing of ours in their environment."""

    def __init__(self, home: Path, platform: RunningPlatform):
        self.home = home
        self._platform = RunningPlatform(platform.data_dir, platform.port, {"HOME": str(home)})

    def configure(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {"HOME": str(self.home)} | variables
        platform = RunningPlatform(self._platform.data_dir, self._platform.port, settings)
        return platform.command("configure", *arguments, check=check)

    def doctor(self) -> str:
        return self._platform.command("doctor", check=False).stdout

    def run(self, sdk: str, program: str, **variables: str) -> dict[str, object]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home)} | variables
        python = CLIENTS / sdk / "bin" / "python"
        done = subprocess.run([python, "-c", program], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return told

    def files(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.home)): p.read_bytes() for p in self.home.rglob("*") if p.is_file()}


@pytest.fixture
def shell(tmp_path: Path, platform: RunningPlatform) -> Shell:
    return Shell(tmp_path, platform)


def test_both_sdks_and_boto3_work_from_a_bare_shell_until_it_is_undone(
    shell: Shell, platform: RunningPlatform, tmp_path: Path
) -> None:
    (shell.home / ".aws").mkdir()
    own = "[profile work]\nregion = eu-west-1  # mine\n"
    (shell.home / ".aws/config").write_text(own)
    before = shell.files()
    assert "AWS_CA_BUNDLE=/some/bundle is set here" in shell.configure(AWS_CA_BUNDLE="/some/bundle").stdout
    shell.configure()
    assert shell.files()[".aws/config"].decode().startswith(own)
    assert (shell.home / ".aws/models/endpoints.json").stat().st_mode & 0o777 == 0o600
    told = shell.run("v2", _BOTO3)
    assert (told["jobs"], told["url"]) == ([], platform.endpoint_url)
    assert str(told["arn"]).startswith("arn:aws:sts::123456789012:assumed-role/")
    expected = {"account": "123456789012", "bucket": "sagemaker-us-east-1-123456789012"}
    assert shell.run("v2", _V2) == expected
    assert shell.run("v3", _V3) == expected
    assert f"point here: {shell.home}/.aws/config" in shell.doctor()
    secrets = [name for name, content in shell.files().items() if b"secret_access_key" in content.lower()]
    assert secrets == []
    # By whatever platform: the one that did it may be gone.
    gone = RunningPlatform(tmp_path / "gone", platform.port, {"HOME": str(shell.home)})
    assert f"point to the platform in {platform.data_dir}" in gone.command("doctor", check=False).stdout
    gone.command("configure", "--undo")
    assert shell.files() == before
    assert not (shell.home / ".config").exists()
    assert "nothing to undo" in shell.configure("--undo").stdout


def test_another_profile_leaves_the_users_own_default_alone(shell: Shell) -> None:
    (shell.home / ".aws").mkdir()
    (shell.home / ".aws/credentials").write_text("[default]\naws_access_key_id = AKIAMINE\naws_secret_access_key = x\n")
    refused = shell.configure(check=False)
    assert refused.returncode == 1
    assert "has a profile default of yours" in refused.stderr
    assert "--profile sagebrush" in refused.stderr
    before = shell.files()
    shell.configure("--profile", "sagebrush", "--dry-run")
    assert shell.files() == before
    shell.configure("--profile", "sagebrush")
    told = shell.run("v3", _V3, AWS_PROFILE="sagebrush")
    assert told["account"] == "123456789012"
    shell.configure("--profile", "sagebrush")  # Again: as once.
    shell.configure("--profile", "sagebrush", "--dry-run")
    with (shell.home / ".aws/config").open("a") as config:
        config.write("[profile later]\nregion = eu-north-1\n")
    doctor = shell.doctor()
    assert f"changed since `sagebrush configure` wrote them: {shell.home}/.aws/config;" in doctor
    shell.configure("--undo")
    left = shell.files()
    assert not (shell.home / ".local/state/sagebrush/configured.json").exists()
    assert left.pop(".aws/config") == b"[profile later]\nregion = eu-north-1\n"
    assert left == before
