"""A backup taken of a platform at work, restored to another one on the other kind of database: nothing is missing."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.journeys.running import RunningPlatform, discard, eventually, finished, free_port, training_job_request

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
BUCKET = "sagemaker-journeys"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"


@pytest.fixture
def make_platform(request: pytest.FixtureRequest) -> Iterator[Callable[[str], RunningPlatform]]:
    """Makes platforms, not started yet, on either kind of database."""
    made: list[RunningPlatform] = []

    def make(kind: str) -> RunningPlatform:
        settings = {"SAGEBRUSH_CAPACITY_CPUS": "16"}
        if kind == "postgresql":
            settings["SAGEBRUSH_DATABASE_URL"] = request.getfixturevalue("postgresql_server").create_database()
        made.append(RunningPlatform(Path(tempfile.mkdtemp(prefix="sb-", dir="/tmp")), free_port(), settings))
        return made[-1]

    yield make
    for platform in made:
        discard(platform)


class Writing:
    """A thread that puts objects, and knows which were acknowledged."""

    def __init__(self, s3: Any):
        self._s3 = s3
        self._stop = threading.Event()
        self.acknowledged: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            # Half of them are inline in the index, half are files; every third replaces one.
            key, body = f"written/{number % 300}", os.urandom(100 if number % 2 else 30_000)
            self._s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            self.acknowledged[key] = hashlib.md5(body).hexdigest()
            number += 1


def digest(s3: Any, key: str) -> str:
    return hashlib.md5(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest()


@pytest.mark.postgresql
@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_a_backup_of_a_platform_at_work_is_whole(
    make_platform: Callable[[str], RunningPlatform], tmp_path: Path, source: str, target: str
) -> None:
    platform = make_platform(source)
    platform.up()
    s3, sagemaker, iam = (platform.client(service) for service in ("s3", "sagemaker", "iam"))
    s3.create_bucket(Bucket=BUCKET)
    iam.create_user(UserName="alice")
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    allow = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}}'
    iam.put_user_policy(UserName="alice", PolicyName="reading", PolicyDocument=allow)
    trains = "import pathlib; pathlib.Path('/opt/ml/model/weights').write_text('trained'); print('loss=0.5')"
    sagemaker.create_training_job(**training_job_request("done", trains))
    done = finished(sagemaker, "done")
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    sagemaker.create_training_job(**training_job_request("at-work", "import time; time.sleep(600)"))
    eventually(
        lambda: sagemaker.describe_training_job(TrainingJobName="at-work")["SecondaryStatus"] == "Training", seconds=90
    )
    with Writing(platform.client("s3")) as writing:
        eventually(lambda: len(writing.acknowledged) >= 40)
        before = dict(writing.acknowledged)
        said = platform.command("backup", str(tmp_path / "backups")).stdout
        assert "without the platform's key" in said
    after = dict(writing.acknowledged)
    assert len(after) > len(before)
    # What the first backup holds is not copied again.
    again = platform.command("backup", str(tmp_path / "backups")).stdout
    listed = platform.command("backup", str(tmp_path / "backups"), "--list").stdout.splitlines()
    assert len(listed) == 2
    assert listed[1].split("  ")[0] in again

    other = make_platform(target)
    refused = other.command("restore", str(tmp_path / "backups"), check=False)
    assert refused.returncode == 1
    assert "--key-file" in refused.stderr
    first = listed[0].split("  ")[0]
    keys = ("--key-file", str(platform.data_dir / "keys" / "platform.key"))
    other.command("restore", str(tmp_path / "backups"), "--backup", first, *keys)
    other.up()
    s3, sagemaker = other.client("s3"), other.client("sagemaker")
    for name, expected in before.items():
        # Replaced while the backup ran, it may be either; but never missing, and never torn.
        found = s3.get_object(Bucket=BUCKET, Key=name)
        body = found["Body"].read()
        assert found["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        assert after[name] != expected or hashlib.md5(body).hexdigest() == expected
    restored = sagemaker.describe_training_job(TrainingJobName="done")
    assert restored == done | {"ResponseMetadata": restored["ResponseMetadata"]}
    artefact = done["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
    assert s3.get_object(Bucket=BUCKET, Key=artefact)["Body"].read()
    lost = finished(sagemaker, "at-work")
    assert lost["TrainingJobStatus"] == "Failed"
    assert "supervis" in lost["FailureReason"]
    own = boto3.client(
        "s3",
        endpoint_url=other.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    assert [bucket["Name"] for bucket in own.list_buckets()["Buckets"]] == [BUCKET]
    # And it goes on: numbers that the database gives do not collide with those that were restored.
    sagemaker.create_training_job(**training_job_request("later", trains))
    assert finished(sagemaker, "later")["TrainingJobStatus"] == "Completed"
    assert platform.client("sagemaker").describe_training_job(TrainingJobName="at-work")["TrainingJobStatus"] == (
        "InProgress"
    )


def test_a_backup_folder_keeps_as_many_as_asked_and_nothing_that_none_of_them_names(
    make_platform: Callable[[str], RunningPlatform], tmp_path: Path
) -> None:
    platform, folder = make_platform("sqlite"), tmp_path / "backups"
    platform.up()
    s3 = platform.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for number in range(4):
        s3.put_object(Bucket=BUCKET, Key="replaced", Body=os.urandom(100_000))
        s3.put_object(Bucket=BUCKET, Key=f"kept/{number}", Body=os.urandom(100_000))
        platform.command("backup", str(folder), "--with-keys", "--keep", "2")
    listed = platform.command("backup", str(folder), "--list").stdout.splitlines()
    assert len(listed) == 2
    assert all(", with the platform's key" in line for line in listed)
    # Four that all have, and one for each of the two that are left.
    assert sum(path.is_file() for path in (folder / "files").rglob("*")) == 6
    (state,) = sorted((folder / "backups").glob("*/state.db"))[-1:]
    damaged = bytearray(state.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    state.write_bytes(damaged)
    other = make_platform("sqlite")
    refused = other.command("restore", str(folder), check=False)
    assert refused.returncode == 1
    assert "is damaged" in refused.stderr
    assert not (other.data_dir / "VERSION").exists()
