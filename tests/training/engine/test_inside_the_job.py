"""What a job finds: configuration files, variables, its credentials token, its command."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Environment
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity import job_credentials
from sagebrush.training.engine import command, opt_ml
from sagebrush.training.engine.channels import channels_of
from sagebrush.training.engine.variables import JobIdentity, job_variables, meeting_point
from sagebrush.training.model.cluster import addresses, cluster_of
from tests.training.requests import ROLE, channel

TWO = cluster_of({"InstanceType": "ml.m5.large", "InstanceCount": 2})
CHANNELS = channels_of([channel("s3://bucket/a") | {"ContentType": "text/csv"}, channel("s3://bucket/b", "my-test")])


def test_the_configuration_files_are_those_of_the_container_contract(tmp_path: Path) -> None:
    opt_ml.make_folders(tmp_path)
    opt_ml.write_config(
        tmp_path,
        hyperparameters={"depth": "3"},
        cluster=TWO,
        host=TWO.hosts[1],
        channels=CHANNELS,
        checkpoint_config={"S3Uri": "s3://bucket/c"},
    )
    files = {p.stem: json.loads(p.read_text()) for p in (tmp_path / "input/config").iterdir()}
    assert files == {
        "hyperparameters": {"depth": "3"},
        "resourceconfig": {
            "current_host": "algo-2",
            "current_instance_type": "ml.m5.large",
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1", "algo-2"],
            "instance_groups": [
                {
                    "instance_group_name": "homogeneousCluster",
                    "instance_type": "ml.m5.large",
                    "hosts": ["algo-1", "algo-2"],
                }
            ],
            "network_interface_name": "lo",
        },
        "inputdataconfig": {
            "train": {
                "ContentType": "text/csv",
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            },
            "my-test": {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            },
        },
        "checkpointconfig": {"S3Uri": "s3://bucket/c", "LocalPath": "/opt/ml/checkpoints"},
    }
    assert {"model", "output", "code", "input"} <= {p.name for p in tmp_path.iterdir()}


def test_a_host_is_told_only_of_the_channels_of_its_group() -> None:
    cluster = cluster_of(
        {"InstanceGroups": [{"InstanceGroupName": n, "InstanceType": "ml.m5.large", "InstanceCount": 1} for n in "ab"]}
    )
    channels = channels_of([channel("s3://bucket/a", "only-b", InstanceGroupNames=["b"])])
    assert [list(opt_ml.input_data_config(channels, host)) for host in cluster.hosts] == [[], ["only-b"]]


def variables(root: Path | None = None, **user: str) -> dict[str, str]:
    identity = JobIdentity("job", "arn:job", "us-east-1", "http://127.0.0.1:4600", "token")
    return job_variables(
        identity, cluster=TWO, host=TWO.hosts[0], channel_names=["train", "my-test"], cpus=2, user=user, root=root
    )


def test_the_job_knows_its_name_its_endpoint_and_where_its_credentials_are() -> None:
    given = variables()
    assert given["TRAINING_JOB_NAME"] == "job"
    assert given["TRAINING_JOB_ARN"] == "arn:job"
    assert given["AWS_REGION"] == given["AWS_DEFAULT_REGION"] == "us-east-1"
    assert given["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4600"
    assert given["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:4600/_sagebrush/credentials"
    assert given["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == "token"
    assert given["SM_CHANNEL_MY-TEST"] == "/opt/ml/input/data/my-test"
    assert "SAGEMAKER_BASE_DIR" not in given


def test_the_users_variables_win_but_for_identity_and_credentials() -> None:
    given = variables(
        AWS_DEFAULT_REGION="eu-west-1", TRAINING_JOB_NAME="x", AWS_CONTAINER_AUTHORIZATION_TOKEN="x", A="b"
    )
    assert (given["AWS_DEFAULT_REGION"], given["A"]) == ("eu-west-1", "b")
    assert (given["TRAINING_JOB_NAME"], given["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) == ("job", "token")


def test_without_a_sandbox_the_paths_are_where_the_files_really_are(tmp_path: Path) -> None:
    given = variables(root=tmp_path)
    assert given["SM_MODEL_DIR"] == f"{tmp_path}/model"
    assert given["SAGEMAKER_BASE_DIR"] == str(tmp_path)


def test_scripts_of_pytorch_are_told_where_to_meet_and_addresses_where_names_mean_nothing() -> None:
    found = addresses(TWO, 5)
    assert meeting_point(found, "xgboost", number=5, resolvable=True) == {}
    assert meeting_point(found, "pytorch", number=5, resolvable=True) == {
        "MASTER_ADDR": "algo-1",
        "MASTER_PORT": "12005",
    }
    told = meeting_point(found, "pytorch", number=20_005, resolvable=False)
    assert (told["MASTER_ADDR"], told["MASTER_PORT"]) == (found["algo-1"], "12005")
    assert json.loads(told["SAGEBRUSH_HOST_ADDRESSES"]) == {"algo-1": found["algo-1"], "algo-2": found["algo-2"]}
    last = meeting_point(found, "pytorch", number=19_999, resolvable=True)
    assert int(last["MASTER_PORT"]) < 32_768  # from there on, the kernel gives ports to whoever asks for any


class Key:
    def sign(self, purpose: str, payload: bytes) -> bytes:
        return hmac.digest(purpose.encode(), payload, hashlib.sha256)

    def verify_mac(self, purpose: str, payload: bytes, mac: bytes) -> bool:
        return hmac.compare_digest(self.sign(purpose, payload), mac)


CLAIMS = job_credentials.Claims("training-job", "01ID", "arn:job", ROLE, 2)


def test_a_token_says_what_was_put_into_it() -> None:
    assert job_credentials.check(Key(), job_credentials.issue(Key(), CLAIMS)) == CLAIMS


def test_any_changed_token_is_refused() -> None:
    token = job_credentials.issue(Key(), CLAIMS)
    payload, _, mac = token.partition(".")
    changed = job_credentials.Claims("training-job", "01ID", "arn:job", "arn:other", 2)
    other = job_credentials.issue(Key(), changed).partition(".")[0]
    for forged in ("", ".", "x.y", "ü", payload, f"{payload}.", f"{payload}.{mac[:-2]}", f"{other}.{mac}", "Bearer x"):
        with pytest.raises(CallerError) as caught:
            job_credentials.check(Key(), forged)
        assert (caught.value.code, caught.value.status) == ("AccessDeniedException", 403)


def test_the_entry_point_of_the_request_wins_over_the_images() -> None:
    environment = Environment("xgboost", Path("/env/bin/python3"), Path("/env"), algorithm="xgboost")
    started = ("/opt/ml/.python/bin/python3", "-m", "sagebrush.runtime.training", "xgboost")
    assert command.argv({}, environment, "/opt/ml") == started
    own = {"ContainerEntrypoint": ["/bin/bash", "run.sh"], "ContainerArguments": ["--x", "1"]}
    assert command.argv(own, environment, "/opt/ml") == ("/bin/bash", "run.sh", "--x", "1")
