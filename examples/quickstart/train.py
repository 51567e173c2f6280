"""Train XGBoost on real data with the unmodified SageMaker SDK (v2), deploy it, and check what it answers.

    sagebrush exec -- python examples/quickstart/train.py

Nothing here knows Sagebrush: the environment that `sagebrush exec` sets points the SDK at it. The same file runs
against Amazon SageMaker, where it would cost money.
"""

from __future__ import annotations

import logging
import os
import sys
import tarfile
import tempfile
import textwrap
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
import numpy as np
import sagemaker
import xgboost
from sagemaker import image_uris
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.inputs import TrainingInput
from sagemaker.s3 import S3Downloader
from sagemaker.serializers import CSVSerializer
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

SEED = 7
ROUNDS = 100
PARAMETERS = {"objective": "binary:logistic", "eval_metric": "auc", "max_depth": 3, "eta": 0.1, "seed": SEED}
PREFIX = "quickstart"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
WIDTH = 80

#: Part of the data -> rows with the label in the first column.
Split = dict[str, np.ndarray]


def split_data() -> Split:
    """60% to train on, 20% to validate with, 20% held out; the same rows on every run."""
    features, label = load_breast_cancer(return_X_y=True)
    table = np.column_stack([label, features])
    train, rest = train_test_split(table, test_size=0.4, random_state=SEED, stratify=label)
    validation, held_out = train_test_split(rest, test_size=0.5, random_state=SEED, stratify=rest[:, 0])
    return {"train": train, "validation": validation, "held_out": held_out}


def upload(session: sagemaker.Session, split: Split, directory: Path) -> dict[str, TrainingInput]:
    """Write each channel as CSV (label first, no header) and upload it to the session's default bucket."""
    channels = {}
    for name in ("train", "validation"):
        path = directory / f"{name}.csv"
        np.savetxt(path, split[name], delimiter=",", fmt="%.17g")
        uri = session.upload_data(str(path), key_prefix=f"{PREFIX}/{name}")
        channels[name] = TrainingInput(uri, content_type="text/csv")
    return channels


def train(session: sagemaker.Session, channels: dict[str, TrainingInput]) -> Estimator:
    """Run the training job, with its log, to its end."""
    estimator = Estimator(
        image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
        role=sagemaker.get_execution_role(session),
        instance_count=1,
        instance_type="ml.m5.large",
        output_path=f"s3://{session.default_bucket()}/{PREFIX}/output",
        base_job_name=PREFIX,
        sagemaker_session=session,
        hyperparameters={"num_round": ROUNDS, **PARAMETERS},
    )
    estimator.fit(channels, logs=True)
    return estimator


def load_model(session: sagemaker.Session, artefact: str, directory: Path) -> xgboost.Booster:
    """Download and unpack model.tar.gz; what is in it is xgboost's own format."""
    S3Downloader.download(artefact, str(directory), sagemaker_session=session)
    with tarfile.open(directory / "model.tar.gz") as archive:
        # Nothing but the model is in it; ours to trust.
        archive.extract("xgboost-model", directory)
    booster = xgboost.Booster()
    booster.load_model(bytearray((directory / "xgboost-model").read_bytes()))
    return booster


def auc(booster: xgboost.Booster, rows: np.ndarray) -> float:
    return float(roc_auc_score(rows[:, 0], booster.predict(xgboost.DMatrix(rows[:, 1:]))))


@dataclass
class Served:
    """What the deployed model answered, and how fast. Seconds."""

    endpoint: str
    until_in_service: float
    predictions: np.ndarray
    latencies: np.ndarray


def serve(session: sagemaker.Session, estimator: Estimator, rows: np.ndarray) -> Served:
    """Deploy the trained model, ask it for all rows at once and then one by one, and delete it."""
    predictor = estimator.deploy(
        initial_instance_count=1,
        instance_type="ml.m5.large",
        serializer=CSVSerializer(),
        deserializer=CSVDeserializer(),
        wait=False,  # deploy() itself would sleep thirty seconds before it looks
    )
    try:
        described = session.wait_for_endpoint(predictor.endpoint_name, poll=1)
        print()
        if described["EndpointStatus"] != "InService":
            raise RuntimeError(f"The endpoint is {described['EndpointStatus']}: {described.get('FailureReason')}")
        answer = predictor.predict(rows)
        latencies = []
        for row_ in np.vstack([rows, rows]):
            started = time.perf_counter()
            predictor.predict(row_)
            latencies.append(time.perf_counter() - started)
    finally:
        predictor.delete_model()
        predictor.delete_endpoint()
    seconds = (described["LastModifiedTime"] - described["CreationTime"]).total_seconds()
    predictions = np.array([float(x) for line in answer for x in line])
    return Served(predictor.endpoint_name, seconds, predictions, np.array(latencies))


def train_directly(split: Split) -> xgboost.Booster:
    """The yardstick: xgboost called in this process, with the same parameters on the same rows."""
    rows = split["train"]
    return xgboost.train(PARAMETERS, xgboost.DMatrix(rows[:, 1:], rows[:, 0]), ROUNDS)


def durations(job: dict, first_line: datetime | None) -> list[tuple[str, float, str]]:
    """(phase, seconds, the platform's word on it) from what DescribeTrainingJob and the log tell."""
    rows = [
        (t["Status"], (t["EndTime"] - t["StartTime"]).total_seconds(), t.get("StatusMessage", ""))
        for t in job["SecondaryStatusTransitions"]
        if "EndTime" in t and t["Status"] not in ("Completed", "Failed", "Stopped")
    ]
    if first_line is not None:
        seconds = (first_line - job["CreationTime"]).total_seconds()
        rows.append(("to the first line", seconds, "from CreateTrainingJob to the algorithm's first output"))
    total = (job["TrainingEndTime"] - job["CreationTime"]).total_seconds()
    return [*rows, ("in all", total, "")]


def first_log_line(job_name: str) -> tuple[str, datetime | None]:
    """(log stream, time of the program's own first line; the platform's lines begin with ``[sagebrush]``)."""
    logs = boto3.client("logs")
    streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{job_name}/")["logStreams"]
    name = streams[0]["logStreamName"]
    events = logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=name, startFromHead=True, limit=20)["events"]
    own = [event["timestamp"] for event in events if not event["message"].startswith("[sagebrush]")]
    return name, datetime.fromtimestamp(own[0] / 1000, UTC) if own else None


def heading(text: str) -> None:
    print(f"\n{text}")


def row(name: str, value: str, remark: str = "") -> None:
    line = f"  {name:<18}{value}"
    if remark:
        line += "   " + textwrap.shorten(remark, WIDTH - len(line) - 3, placeholder=" ...")
    print(line)


def address(name: str, value: str) -> None:
    """An address is never cut: it is there to be copied."""
    if len(value) > WIDTH - 20:
        print(f"  {name}\n    {value}")
    else:
        print(f"  {name:<18}{value}")


def summary(job: dict, split: Split, ours: float, direct: float, served: Served) -> None:
    name, bucket = job["TrainingJobName"], job["OutputDataConfig"]["S3OutputPath"].split("/")[2]
    stream, first_line = first_log_line(name)
    print(f"\n{'=' * WIDTH}")
    print("Trained and deployed with the SageMaker SDK, on this machine.\n")
    row("job", name, job["TrainingJobStatus"])
    row("data", "breast cancer", ", ".join(f"{len(rows)} {part.replace('_', ' ')}" for part, rows in split.items()))
    heading("Time (seconds)")
    for phase, seconds, remark in durations(job, first_line):
        row(phase, f"{seconds:7.2f}", remark)
    heading(f"AUC on the {len(split['held_out'])} held-out rows (split with seed {SEED})")
    row("the job's model", f"{ours:7.5f}")
    row("the endpoint", f"{roc_auc_score(split['held_out'][:, 0], served.predictions):7.5f}", "over HTTP, by Predictor")
    row("xgboost directly", f"{direct:7.5f}", "same parameters and rows, called in this process")
    heading(f"The endpoint ({served.endpoint}, deleted again)")
    row("in service after", f"{served.until_in_service:7.2f} s")
    median, high = np.percentile(served.latencies * 1000, [50, 95])
    row("one prediction", f"{median:7.2f} ms", f"median of {len(served.latencies)}, SDK included; p95 {high:.1f} ms")
    heading("Where things are")
    address("model", job["ModelArtifacts"]["S3ModelArtifacts"])
    address("data", f"s3://{bucket}/{PREFIX}/train/train.csv")
    address("log group", LOG_GROUP)
    address("log stream", stream)
    if "AWS_ENDPOINT_URL" in os.environ:
        address("endpoint", os.environ["AWS_ENDPOINT_URL"])
    heading("Go on")
    command = os.environ.get("SAGEBRUSH_COMMAND", "sagebrush")
    print(f'  eval "$({command} env)"     # then every AWS client in this shell talks to it')
    print(f"  aws logs filter-log-events --log-group-name {LOG_GROUP} \\")
    print(f"    --log-stream-name-prefix {name} \\")
    print("    --query 'events[].[message]' --output text    # CLI 2 has `aws logs tail` too")
    print(f"  aws s3 ls --recursive s3://{bucket}/{PREFIX}/")
    print(f"  aws sagemaker describe-training-job \\\n    --training-job-name {name}")
    print(f"  {command} status            # what runs")
    print(f"  {command} down              # stops it; what it stored stays")
    print("=" * WIDTH)


def main() -> int:
    logging.getLogger("botocore").setLevel(logging.WARNING)
    session = sagemaker.Session()
    split = split_data()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        try:
            estimator = train(session, upload(session, split, directory))
        except UnexpectedStatusException as error:
            print(f"\nThe training job failed: {error}", file=sys.stderr)
            return 1
        job = estimator.latest_training_job.describe()
        booster = load_model(session, job["ModelArtifacts"]["S3ModelArtifacts"], directory)
    held_out = split["held_out"]
    served = serve(session, estimator, held_out[:, 1:])
    ours, direct = auc(booster, held_out), auc(train_directly(split), held_out)
    summary(job, split, ours, direct, served)
    differs = np.abs(served.predictions - booster.predict(xgboost.DMatrix(held_out[:, 1:]))).max()
    if abs(ours - direct) > 1e-6 or differs > 1e-5:
        print("The models differ: that is a defect, please report it.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
