"""Whole jobs: real stores, shims and processes, from CreateTrainingJob to the terminal status."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters
from sqlalchemy import select

from sagebrush.server.job_credentials import job_credentials
from sagebrush.substrate.identity import job_credentials as tokens
from sagebrush.substrate.objects import sweeping
from sagebrush.substrate.objects.tables import pins
from sagebrush.substrate.resources import check
from sagebrush.training import CAPABILITY
from sagebrush.training.engine import placing
from tests.training.requests import BUCKET, channel, job_request
from tests.training.running import Running, eventually, start

SAVE = "open('/opt/ml/model/weights', 'w').write('trained')"


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]


def phases(job: dict[str, Any]) -> list[str]:
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def run(running: Running, name: str, program: str | None, **changes: Any) -> dict[str, Any]:
    running.call("CreateTrainingJob", **job_request(name, program, **changes))
    return running.finished(name)


def valid(operation: str, output: dict[str, Any]) -> None:
    """The output is one that botocore's shape allows."""
    model = botocore.session.get_session().get_service_model("sagemaker").operation_model(operation)
    validate_parameters(output, model.output_shape)


def test_the_declaration_names_only_what_the_api_has() -> None:
    for resource in CAPABILITY.resources:
        check(resource)


def test_a_job_reads_its_channel_and_leaves_its_model(running: Running) -> None:
    running.put("data/a.csv", b"1,2\n")
    running.put("data/deep/b.csv", b"3,4\n" * 50_000)
    program = """
import json, pathlib
root = pathlib.Path("/opt/ml")
data = root / "input/data"
files = {str(p.relative_to(data)): p.stat().st_size for p in data.rglob("*") if p.is_file()}
(root / "model/seen.json").write_text(json.dumps(files))
(root / "output/data/extra.txt").write_text("more")
print("done")
"""
    job = run(running, "reads", program, InputDataConfig=[channel(f"s3://{BUCKET}/data/")])
    assert job["TrainingJobStatus"] == "Completed", job
    assert phases(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in transition for transition in job["SecondaryStatusTransitions"])
    model = members(running.get(job["ModelArtifacts"]["S3ModelArtifacts"]))
    assert json.loads(model["seen.json"]) == {"train/a.csv": 4, "train/deep/b.csv": 200_000}
    assert members(running.get(f"s3://{BUCKET}/output/reads/output/output.tar.gz")) == {"extra.txt": b"more"}
    assert running.printed("reads") == ["done"]
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= job["LastModifiedTime"]
    assert "FailureReason" not in job
    valid("DescribeTrainingJob", job)


def test_the_log_begins_with_what_the_platform_gave_the_job(running: Running) -> None:
    run(running, "told", "print('first')", ResourceConfig={"InstanceType": "ml.m5.24xlarge", "InstanceCount": 1})
    log = running.log("told")
    assert log[0] == "[sagebrush] Environment tests: asked for 1.7-1, got 3.2.0."
    assert any("this host offers 8 vCPU" in line for line in log)
    assert log[-1] == "first"


def test_the_image_without_a_program_runs_the_training_runtime(running: Running) -> None:
    job = run(running, "runtime", None, HyperParameters={"eta": "7"})
    assert job["TrainingJobStatus"] == "Failed"
    assert "num_round" in job["FailureReason"] or "xgboost" in job["FailureReason"]
    names = [d["Name"] for d in job["AlgorithmSpecification"]["MetricDefinitions"]]
    assert "validation:auc" in names
    valid("DescribeTrainingJob", job)


def test_a_script_from_s3_runs_with_its_hyperparameters(running: Running) -> None:
    script = b"import sys; print(' '.join(sys.argv[1:])); open('/opt/ml/model/w', 'w').write('x')"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("train.py")
        info.size = len(script)
        archive.addfile(info, io.BytesIO(script))
    uri = running.put("code/sourcedir.tar.gz", buffer.getvalue())
    hyperparameters = {
        "sagemaker_program": '"train.py"',
        "sagemaker_submit_directory": json.dumps(uri),
        "epochs": "3",
        "batch-size": "64",
    }
    job = run(running, "script", None, HyperParameters=hyperparameters)
    assert job["TrainingJobStatus"] == "Completed", job
    assert running.printed("script") == ["--batch-size 64 --epochs 3"]
    assert job["HyperParameters"] == hyperparameters
    assert "MetricDefinitions" not in job["AlgorithmSpecification"]


def test_metrics_are_there_while_the_job_runs_and_each_point_once(running: Running) -> None:
    program = """
import pathlib, time
for i in range(5): print(f"epoch {i}\\tloss={1 / (i + 1):.3f}")
while not pathlib.Path("/opt/ml/model/go").exists(): time.sleep(0.02)
print("loss=0.125")
"""
    request = job_request("metered", program)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]
    running.call("CreateTrainingJob", **request)
    eventually(lambda: running.describe("metered").get("FinalMetricDataList"))
    live = running.describe("metered")
    assert live["TrainingJobStatus"] == "InProgress"
    assert live["FinalMetricDataList"][0]["Value"] == pytest.approx(0.2)
    (directory,) = running.platform.settings.data_dir.glob("jobs/*/1/algo-1")
    (directory / "opt/ml/model/go").touch()
    job = running.finished("metered")
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("loss", 0.125)]
    metrics = running.platform.telemetry.metrics
    aggregates = running.platform.store.read(
        lambda conn: metrics.statistics(
            conn,
            "/aws/sagemaker/TrainingJobs",
            "loss",
            {"TrainingJobName": "metered"},
            start_us=0,
            end_us=1 << 62,
            period_seconds=86_400,
        )
    )
    assert sum(a.samples for a in aggregates) == 6
    assert running.printed("metered")[0] == "epoch 0#011loss=1.000"
    valid("DescribeTrainingJob", job)


def test_two_hosts_resolve_each_other_and_get_their_shards(running: Running) -> None:
    for index in range(4):
        running.put(f"shards/part-{index}", b"x")
    program = """
import json, pathlib, socket
config = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
addresses = {socket.gethostbyname(host) for host in config["hosts"]}
files = sorted(p.name for p in pathlib.Path("/opt/ml/input/data/train").iterdir())
print(json.dumps([config["current_host"], len(addresses), files]))
pathlib.Path("/opt/ml/model", config["current_host"]).write_text("mine")
pathlib.Path("/opt/ml/model/shared").write_text(config["current_host"])
"""
    source = channel(f"s3://{BUCKET}/shards/", S3DataDistributionType="ShardedByS3Key")
    config = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    job = run(running, "two", program, InputDataConfig=[source], ResourceConfig=config)
    assert job["TrainingJobStatus"] == "Completed", job
    if running.platform.compute.isolation() == "sandbox":
        assert json.loads(running.printed("two", 1)[0]) == ["algo-1", 2, ["part-0", "part-2"]]
        assert json.loads(running.printed("two", 2)[0]) == ["algo-2", 2, ["part-1", "part-3"]]
    model = members(running.get(job["ModelArtifacts"]["S3ModelArtifacts"]))
    assert model == {"algo-1": b"mine", "algo-2": b"mine", "shared": b"algo-1"}


def test_a_failing_host_ends_the_others_and_is_the_one_that_is_told(running: Running) -> None:
    program = """
import os, sys, time
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    print("boom on the second", file=sys.stderr)
    sys.exit(7)
time.sleep(600)
"""
    config = {"InstanceType": "ml.m5.large", "InstanceCount": 2}
    job = run(running, "half", program, ResourceConfig=config)
    assert job["TrainingJobStatus"] == "Failed"
    assert "(on algo-2), exit code: 7" in job["FailureReason"]
    assert "boom on the second" in job["FailureReason"]
    assert phases(job) == ["Starting", "Downloading", "Training", "Uploading", "Failed"]


def test_output_data_is_stored_of_a_failed_job_too_and_no_model(running: Running) -> None:
    program = f"{SAVE}; open('/opt/ml/output/data/log', 'w').write('x'); raise ValueError('no')"
    job = run(running, "failed", program)
    assert job["TrainingJobStatus"] == "Failed"
    assert "ValueError: no" in job["FailureReason"]
    assert running.keys("output/failed/") == ["output/failed/output/output.tar.gz"]


def test_uncompressed_output_is_single_files(running: Running) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/plain", "CompressionType": "NONE"}
    job = run(running, "plain", SAVE, OutputDataConfig=output)
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/plain/plain/output/model/"
    assert running.keys("plain/") == ["plain/plain/output/model/weights"]


@pytest.mark.parametrize("uri", ["s3://no-such-bucket-anywhere/data", f"s3://{BUCKET}/nothing/here"])
def test_missing_data_fails_the_job_before_it_runs(running: Running, uri: str) -> None:
    job = run(running, "missing", SAVE, InputDataConfig=[channel(uri)])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Data download failed: No S3 objects found")
    assert phases(job) == ["Starting", "Downloading", "Failed"]
    assert running.log("missing") == []


def test_data_and_output_are_reached_with_the_jobs_role_only(running: Running) -> None:
    running.put("data/a", b"x")
    running.guard.denied.add(("s3:GetObject", f"arn:aws:s3:::{BUCKET}/data/"))
    reading = run(running, "reading", SAVE, InputDataConfig=[channel(f"s3://{BUCKET}/data/")])
    assert 'needs "s3:GetObject" permission' in reading["FailureReason"]
    running.guard.denied.add(("s3:PutObject", f"arn:aws:s3:::{BUCKET}/output/"))
    writing = run(running, "writing", SAVE)
    assert writing["TrainingJobStatus"] == "Failed"
    assert writing["FailureReason"].startswith("ClientError: Artifact upload failed: AccessDenied")


def test_an_output_bucket_that_is_not_there_fails_the_job(running: Running) -> None:
    job = run(running, "nowhere", SAVE, OutputDataConfig={"S3OutputPath": "s3://no-such-bucket-anywhere/o"})
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed: NoSuchBucket")


STOPPABLE = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path("/opt/ml/model/saved").write_text("half")
    print("asked to stop")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready")
time.sleep(600)
"""


def test_a_stop_while_training_lets_the_job_save_and_keeps_what_it_saved(running: Running) -> None:
    running.call("CreateTrainingJob", **job_request("stopped", STOPPABLE))
    eventually(lambda: "ready" in running.printed("stopped"))
    running.call("StopTrainingJob", TrainingJobName="stopped")
    assert running.describe("stopped")["TrainingJobStatus"] == "Stopping"
    running.call("StopTrainingJob", TrainingJobName="stopped")
    job = running.finished("stopped")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert phases(job) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert members(running.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"saved": b"half"}
    assert running.printed("stopped") == ["ready", "asked to stop"]


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(running: Running) -> None:
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    running.call("CreateTrainingJob", **job_request("deaf", program))
    eventually(lambda: "deaf" in running.printed("deaf"))
    running.call("StopTrainingJob", TrainingJobName="deaf")
    assert running.finished("deaf")["TrainingJobStatus"] == "Stopped"


def test_a_stop_right_after_the_creation_runs_to_stopped(running: Running) -> None:
    running.call("CreateTrainingJob", **job_request("early", STOPPABLE))
    running.call("StopTrainingJob", TrainingJobName="early")
    job = running.finished("early")
    assert job["TrainingJobStatus"] == "Stopped"
    valid("DescribeTrainingJob", job)


def test_past_its_runtime_a_job_is_stopped_and_what_it_saved_is_kept(running: Running) -> None:
    job = run(running, "long", STOPPABLE, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "exceeded MaxRuntimeInSeconds" in job["SecondaryStatusTransitions"][-1]["StatusMessage"]
    assert members(running.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"saved": b"half"}
    assert job["TrainingEndTime"] - job["TrainingStartTime"] >= timedelta(seconds=1)


def test_checkpoints_are_stored_and_restored(running: Running) -> None:
    program = """
import pathlib
folder = pathlib.Path("/opt/ml/checkpoints")
before = sorted(p.name for p in folder.iterdir())
print(before)
(folder / f"step-{len(before)}").write_text("x")
"""
    config = {"S3Uri": f"s3://{BUCKET}/ck/"}
    assert run(running, "first", program, CheckpointConfig=config)["TrainingJobStatus"] == "Completed"
    run(running, "second", program, CheckpointConfig=config)
    assert running.printed("second") == ["['step-0']"]
    assert running.keys("ck/") == ["ck/step-0", "ck/step-1"]


def test_what_is_not_uploaded_is_told_in_the_log(running: Running) -> None:
    job = run(running, "links", "import os; os.symlink('/etc/passwd', '/opt/ml/model/passwd')")
    assert members(running.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {}
    assert running.log("links")[-1].startswith("[sagebrush] Not uploaded: passwd: a link to /etc/passwd")


def test_without_a_sandbox_the_paths_are_in_the_variables(tmp_path: Path) -> None:
    running = start(tmp_path / "data", isolation="process")
    try:
        running.put("data/a", b"content")
        program = """
import os, pathlib
copy = pathlib.Path(os.environ["SM_MODEL_DIR"], "copy")
copy.write_bytes(pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "a").read_bytes())
"""
        job = run(running, "plain", program, InputDataConfig=[channel(f"s3://{BUCKET}/data/")])
        assert job["TrainingJobStatus"] == "Completed", job
        assert members(running.get(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"copy": b"content"}
        assert any("no sandbox" in line for line in running.log("plain"))
    finally:
        running.close()


def test_nothing_of_an_ended_job_is_left_on_disk_and_its_capacity_is_free(running: Running) -> None:
    run(running, "tidy", SAVE)
    eventually(lambda: not list(running.platform.settings.data_dir.glob("jobs/*")))
    assert running.platform.store.read(running.platform.compute.capacity.used) == (0.0, 0.0)


def test_input_that_is_replaced_while_it_is_placed_stays_until_the_job_has_it(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listing and placing can lie minutes apart: a long copy, a big checkpoint."""
    big = "old" * 200_000
    uri = running.put("data/big.txt", big.encode())
    place = placing.place

    def place_late(*given: Any, **more: Any) -> Any:
        running.put("data/big.txt", b"new")
        monkeypatch.setattr(sweeping, "GRACE_US", -1)
        running.platform.objects.sweep()
        return place(*given, **more)

    monkeypatch.setattr(placing, "place", place_late)
    program = "print(open('/opt/ml/input/data/train/big.txt').read()[:3])"
    job = run(running, "late", program, InputDataConfig=[channel(uri)])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert running.printed("late") == ["old"]
    held = running.platform.objects._index.read(lambda conn: conn.execute(select(pins)).all())
    assert held == []


def test_credentials_are_given_to_live_jobs_only(running: Running) -> None:
    program = "import os, time; print(os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN']); time.sleep(600)"
    running.call("CreateTrainingJob", **job_request("client", program))
    eventually(lambda: running.printed("client"))
    token = running.printed("client")[0]
    given = job_credentials(running.platform, token)
    secret = running.guard.lookup(given["AccessKeyId"], given["Token"])
    assert secret.secret_access_key == given["SecretAccessKey"]
    assert secret.principal.arn == "arn:aws:sts::123456789012:assumed-role/SageMakerRole/SageMaker"
    assert not secret.principal.operator
    assert datetime.strptime(given["Expiration"], "%Y-%m-%dT%H:%M:%SZ")
    claims = tokens.check(running.platform.identity, token)
    later = tokens.issue(
        running.platform.identity,
        dataclasses.replace(claims, attempt=claims.attempt + 1),
    )
    with pytest.raises(Exception, match="not running"):
        job_credentials(running.platform, later)
    running.call("StopTrainingJob", TrainingJobName="client")
    running.finished("client")
    with pytest.raises(Exception, match="not running"):
        job_credentials(running.platform, token)


def test_what_protects_nothing_here_is_said_in_the_log(running: Running) -> None:
    request = job_request("guarded", "pass", VpcConfig={"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]})
    request["OutputDataConfig"]["KmsKeyId"] = "alias/mine"
    running.call("CreateTrainingJob", **request)
    running.finished("guarded")
    said = [line for line in running.log("guarded") if "has no effect here" in line]
    assert said == [
        "[sagebrush] VpcConfig is recorded and has no effect here.",
        "[sagebrush] OutputDataConfig.KmsKeyId is recorded and has no effect here.",
    ]
