"""``python -m tests.faults.chaos --kills 200 --seed 7`` (``make chaos``): a platform at work, killed at random moments.

Clients create jobs, put objects and make records while its processes are killed (-9), stopped for a while, and started
again. Then an oracle compares what is there with what was acknowledged: nothing may be missing, torn or done twice.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.journeys.running import ROLE, RunningPlatform, discard, eventually, start_platform, training_job_request

BUCKET = "sagemaker-journeys"
RAN = "user code ran"
PROGRAM = f"""
import pathlib, time
print("{RAN}", flush=True)
time.sleep(1)
pathlib.Path("/opt/ml/model/weights").write_text("trained")
"""
#: Jobs that wait or run at once: enough to have work at every moment, few enough to end soon after the last kill.
_JOBS_AT_ONCE = 6
PROCESSES = ("control", "objects", "front", "supervisor")


@dataclass
class Ledger:
    """What clients were told. Of each key the last acknowledged value, and values whose answer never came."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    uncertain: dict[str, set[str]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)

    def tell(self, key: str, value: str, act: Callable[[], object], *, repeated: str = "") -> bool:
        """Do what gives ``key`` its ``value``. An error that contains ``repeated`` says that it was done before."""
        try:
            act()
        except ClientError as error:
            if not repeated or repeated not in str(error):
                self.answers[error.response["Error"]["Code"]] += 1
                self.uncertain.setdefault(key, set()).add(value)
                return False
        except BotoCoreError as error:
            self.answers[type(error).__name__] += 1
            self.uncertain.setdefault(key, set()).add(value)
            return False
        self.answers["acknowledged"] += 1
        self.acknowledged[key] = value
        self.uncertain.pop(key, None)
        return True

    def allows(self, key: str, value: str) -> bool:
        return value == self.acknowledged.get(key, "-") or value in self.uncertain.get(key, ())


class Load:
    """Clients at work, each in a thread of its own with a ledger of its own."""

    def __init__(self, platform: RunningPlatform, seed: int):
        self._platform = platform
        self._seed = seed
        self._stop = threading.Event()
        self.objects, self.jobs, self.models = Ledger(), Ledger(), Ledger()
        self.problems: list[BaseException] = []
        works = (self._put_objects, self._create_jobs, self._make_models)
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in works]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Clients work until the block ends."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.problems.append(error)
            raise

    def _client(self, service: str) -> Any:
        return self._platform.client(service, retries={"max_attempts": 4, "mode": "standard"}, read_timeout=20)

    def _put_objects(self) -> None:
        s3, luck = self._client("s3"), random.Random(self._seed)
        while not self._stop.is_set():
            key, body = f"chaos/{luck.randrange(200)}", luck.randbytes(luck.choice((100, 30_000, 2_000_000)))
            if luck.random() < 0.1:
                self.objects.tell(key, "-", lambda k=key: s3.delete_object(Bucket=BUCKET, Key=k))  # type: ignore[misc]
            else:
                put = lambda k=key, b=body: s3.put_object(Bucket=BUCKET, Key=k, Body=b)  # noqa: E731
                self.objects.tell(key, hashlib.md5(body).hexdigest(), put)

    def _create_jobs(self) -> None:
        sagemaker, number = self._client("sagemaker"), 0
        while not self._stop.is_set():
            with contextlib.suppress(ClientError, BotoCoreError):
                listed = sagemaker.list_training_jobs(StatusEquals="InProgress", MaxResults=100)
                if len(listed["TrainingJobSummaries"]) >= _JOBS_AT_ONCE:
                    self._stop.wait(0.2)
                    continue
                number += 1
                request = training_job_request(f"chaos-{number}", PROGRAM)
                create = lambda r=request: sagemaker.create_training_job(**r)  # noqa: E731
                self.jobs.tell(f"chaos-{number}", "there", create, repeated="already exist")

    def _make_models(self) -> None:
        sagemaker, number = self._client("sagemaker"), 0
        image = training_job_request("any")["AlgorithmSpecification"]["TrainingImage"]
        while not self._stop.is_set():
            number += 1
            name = f"chaos-{number}"
            request = {"ModelName": name, "PrimaryContainer": {"Image": image}, "ExecutionRoleArn": ROLE}
            create = lambda r=request: sagemaker.create_model(**r)  # noqa: E731
            made = self.models.tell(name, "there", create, repeated="already existing")
            if made and number % 3 == 0:
                delete = lambda n=name: sagemaker.delete_model(ModelName=n)  # noqa: E731
                self.models.tell(name, "-", delete, repeated="Could not find")
            self._stop.wait(0.02)


def kill_at_random(platform: RunningPlatform, luck: random.Random, kills: int) -> Counter[str]:
    """Kill processes of the platform, one after the other; what was killed how often."""
    done: Counter[str] = Counter()
    for _ in range(kills):
        time.sleep(luck.uniform(0.05, 2.5))
        name = luck.choices(PROCESSES, weights=(4, 3, 2, 1))[0]
        victim = platform.processes()[name]
        if name != "supervisor" and luck.random() < 0.15:
            # Stopped for a while: it goes on with what it held, and must notice what is its no longer.
            os.kill(victim, signal.SIGSTOP)
            time.sleep(luck.uniform(0.5, 3))
            os.kill(victim, signal.SIGCONT)
            done[f"{name} stopped for a while"] += 1
            continue
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        done[name] += 1
        if name == "supervisor":
            platform.up()
        else:
            eventually(lambda n=name, v=victim: platform.processes()[n] != v, what=f"{name} restarted")  # type: ignore[misc]
    return done


def check(platform: RunningPlatform, load: Load) -> list[str]:
    """What is missing, torn or done twice; empty when everything acknowledged is as it was acknowledged."""
    wrong: list[str] = []
    s3, sagemaker, logs = (platform.client(name) for name in ("s3", "sagemaker", "logs"))
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="chaos/")
    found = {entry["Key"]: entry for page in pages for entry in page.get("Contents", [])}
    for key in load.objects.acknowledged.keys() | load.objects.uncertain.keys() | found.keys():
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() if key in found else None
        value = "-" if body is None else hashlib.md5(body).hexdigest()
        if not load.objects.allows(key, value):
            wrong.append(f"object {key} is {value}, acknowledged was {load.objects.acknowledged.get(key)}")
    eventually(
        lambda: not sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"],
        seconds=300,
        what="all jobs to end",
    )
    names = {
        job["TrainingJobName"]
        for page in sagemaker.get_paginator("list_training_jobs").paginate()
        for job in page["TrainingJobSummaries"]
    }
    wrong += [f"job {name} is gone" for name in load.jobs.acknowledged.keys() - names]
    wrong += [
        f"job {name}: nobody made it" for name in names - load.jobs.acknowledged.keys() - load.jobs.uncertain.keys()
    ]
    for name in names:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] != "Completed":
            wrong.append(f"job {name} is {job['TrainingJobStatus']}: {job.get('FailureReason')}")
            continue
        events = logs.filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{name}/")
        ran = sum(event["message"] == RAN for event in events["events"])
        if ran != 1:
            wrong.append(f"the code of job {name} ran {ran} times, or its log was carried over so often")
        artefact = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        s3.get_object(Bucket=BUCKET, Key=artefact)["Body"].read()
    there = {
        model["ModelName"] for page in sagemaker.get_paginator("list_models").paginate() for model in page["Models"]
    }
    for name in load.models.acknowledged.keys() | load.models.uncertain.keys() | there:
        if not load.models.allows(name, "there" if name in there else "-"):
            wrong.append(f"model {name}: there is {name in there}, acknowledged {load.models.acknowledged.get(name)}")
    return wrong


def run(kills: int, seed: int, **settings: str) -> tuple[Counter[str], Load, list[str]]:
    """One platform's trial: what was killed, what clients did, what the oracle finds wrong."""
    platform = start_platform(SAGEBRUSH_CAPACITY_CPUS="16", **settings)
    try:
        platform.client("s3").create_bucket(Bucket=BUCKET)
        load = Load(platform, seed)
        with load.running():
            killed = kill_at_random(platform, random.Random(seed), kills)
        if load.problems:
            raise load.problems[0]
        return killed, load, check(platform, load)
    except BaseException:
        for log in sorted((platform.data_dir / "logs").glob("*.log")):
            sys.stderr.write(f"--- {log.name}\n{Path(log).read_text()[-2000:]}\n")
        raise
    finally:
        discard(platform)


def main() -> int:
    """The exit status: 0 when nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    print(f"{arguments.kills} kills, --seed {arguments.seed}", flush=True)
    killed, load, wrong = run(arguments.kills, arguments.seed)
    print("killed:", dict(killed))
    for name, ledger in (("objects", load.objects), ("jobs", load.jobs), ("models", load.models)):
        print(f"{name}: {len(ledger.acknowledged)} acknowledged; answers {dict(ledger.answers)}")
    for line in wrong:
        print("WRONG:", line)
    print(f"{len(wrong)} things are wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
