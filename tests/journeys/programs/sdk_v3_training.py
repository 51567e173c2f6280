"""ModelTrainer of SDK v3: scripts, commands, requirements, channels, several hosts, failures; run by the journeys.

The flows run side by side because ``wait()`` sleeps five seconds between looks. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import joblib
import numpy as np
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.resources import TrainingJob
from sagemaker.core.training.configs import MetricDefinition
from sagemaker.core.utils.exceptions import FailedStatusError
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode
from sagemaker.train.distributed import Torchrun
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

FOLDER, PREFIX, WHEEL = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1.0-cpu-py310"
CODE = FOLDER / "code"

TRAIN = """
import argparse, json, os
import joblib, numpy as np, sagebrush_journey_probe
from sklearn.linear_model import LogisticRegression

parser = argparse.ArgumentParser()
parser.add_argument("--strength", type=float)
parser.add_argument("--names", type=json.loads)
arguments = parser.parse_args()
table = np.loadtxt(os.path.join(os.environ["SM_CHANNEL_TRAIN"], "train.csv"), delimiter=",")
model = LogisticRegression(C=arguments.strength, max_iter=5000, random_state=7).fit(table[:, 1:], table[:, 0])
print("accuracy=%.4f;" % model.score(table[:, 1:], table[:, 0]))
print("names=%s %s" % (arguments.names, sagebrush_journey_probe.WORD))
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
"""

HOSTS = """
import os, socket
addresses = [socket.gethostbyname(host) for host in ("algo-1", "algo-2")]
print("host", os.environ["SM_CURRENT_HOST"], "of", os.environ["SM_HOSTS"], "at", addresses, flush=True)
open(os.path.join(os.environ["SM_MODEL_DIR"], os.environ["SM_CURRENT_HOST"]), "w").write("here")
"""

RANKS = """
import os, torch
import torch.distributed as distributed
distributed.init_process_group("gloo")
total = torch.ones(1) * (distributed.get_rank() + 1)
distributed.all_reduce(total)
open(os.path.join(os.environ["SM_MODEL_DIR"], f"rank{distributed.get_rank()}"), "w").write(str(total.item()))
distributed.destroy_process_group()
"""

FAILING = """
def load(column):
    raise KeyError(column)

load("diagnosis")
"""


def trainer(name: str, source: SourceCode, **more: object) -> ModelTrainer:
    compute = more.pop("compute", Compute(instance_type="ml.m5.large", instance_count=1))
    return ModelTrainer(
        training_image=more.pop("image", IMAGE),
        source_code=source,
        compute=compute,
        role=get_execution_role(),
        base_job_name=f"{PREFIX}-{name}",
        **more,
    )


def run(made: ModelTrainer, **inputs: object) -> TrainingJob:
    """Train, with the job that came of it even where it failed. Uploads of one process share names by the second."""
    made.train(wait=False, **inputs)
    job = made._latest_training_job
    try:
        job.wait(logs=False)
    except FailedStatusError:
        job.refresh()
    return job


def files_of(job: TrainingJob) -> dict[str, bytes]:
    bucket, _, key = job.model_artifacts.s3_model_artifacts.removeprefix("s3://").partition("/")
    path = FOLDER / f"{job.training_job_name}.tar.gz"
    boto3.client("s3").download_file(bucket, key, str(path))
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}


def logs_of(job: TrainingJob) -> str:
    logs = boto3.client("logs")
    events = logs.filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{job.training_job_name}/"
    )["events"]
    return "\n".join(event["message"] for event in events)


def script() -> dict:
    """source_dir, requirements, typed hyperparameters, a channel, metrics; the model equals one trained here."""
    features, label = load_breast_cancer(return_X_y=True)
    np.savetxt(FOLDER / "train.csv", np.column_stack([label, features]), delimiter=",", fmt="%.17g")
    uri = Session().upload_data(str(FOLDER / "train.csv"), key_prefix=f"{PREFIX}/train")
    made = trainer(
        "script",
        SourceCode(source_dir=str(CODE), entry_script="train.py", requirements="requirements.txt"),
        hyperparameters={"strength": 0.5, "names": ["a", "b c"]},
    ).with_metric_definitions([MetricDefinition(name="accuracy", regex="accuracy=([0-9.]+);")])
    job = run(made, input_data_config=[InputData(channel_name="train", data_source=uri)])
    (FOLDER / "model.joblib").write_bytes(files_of(job)["model.joblib"])
    model = joblib.load(FOLDER / "model.joblib")
    direct = LogisticRegression(C=0.5, max_iter=5000, random_state=7).fit(features, label)
    return {
        "status": job.training_job_status,
        "worst": float(np.abs(model.predict_proba(features) - direct.predict_proba(features)).max()),
        "metrics": [[m.metric_name, m.value] for m in job.final_metric_data_list],
        "accuracy": direct.score(features, label),
        "said": "names=['a', 'b c'] from the requirements" in logs_of(job),
    }


def command() -> dict:
    """A command of the shell instead of a script."""
    source = SourceCode(source_dir=str(CODE), command='echo "$SM_CURRENT_HOST says $((6 * 7))" > $SM_MODEL_DIR/said')
    job = run(trainer("command", source))
    return {"status": job.training_job_status, "said": files_of(job)["said"].decode().strip()}


def hosts() -> dict:
    """Two hosts find each other by name; the models of both are one artefact."""
    source = SourceCode(source_dir=str(CODE), entry_script="hosts.py")
    job = run(trainer("hosts", source, compute=Compute(instance_type="ml.m5.large", instance_count=2)))
    return {"status": job.training_job_status, "files": sorted(files_of(job))}


def torchrun() -> dict:
    """The SDK's own driver starts torchrun on two hosts; the ranks reduce over gloo."""
    source = SourceCode(source_dir=str(CODE), entry_script="ranks.py")
    compute = Compute(instance_type="ml.m5.large", instance_count=2)
    job = run(trainer("torchrun", source, compute=compute, image=PYTORCH, distributed=Torchrun()))
    return {"status": job.training_job_status, "sums": {name: text.decode() for name, text in files_of(job).items()}}


def failing() -> dict:
    job = run(trainer("failing", SourceCode(source_dir=str(CODE), entry_script="failing.py")))
    return {"status": job.training_job_status, "reason": job.failure_reason}


def main() -> None:
    CODE.mkdir()
    for name, text in (("train.py", TRAIN), ("hosts.py", HOSTS), ("ranks.py", RANKS), ("failing.py", FAILING)):
        (CODE / name).write_text(text)
    (CODE / "requirements.txt").write_text(f"{WHEEL}\n")
    flows = (script, command, hosts, torchrun, failing)
    with ThreadPoolExecutor(len(flows)) as pool:
        running = {flow.__name__: pool.submit(flow) for flow in flows}
        result = {name: future.result() for name, future in running.items()}
    print("RESULT " + json.dumps(result), flush=True)
    os._exit(0)


main()
