"""Host names and addresses, S3 URIs, durations."""

from __future__ import annotations

import ipaddress

import pytest

from sagebrush.training.model import builtin, locations, times
from sagebrush.training.model.cluster import addresses, cluster_of


def test_hosts_are_numbered_over_all_groups() -> None:
    cluster = cluster_of(
        {
            "InstanceGroups": [
                {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 2},
                {"InstanceGroupName": "b", "InstanceType": "ml.c5.large", "InstanceCount": 1},
            ]
        }
    )
    assert [(h.name, h.number, h.group.name) for h in cluster.hosts] == [
        ("algo-1", 1, "a"),
        ("algo-2", 2, "a"),
        ("algo-3", 3, "b"),
    ]
    assert cluster.of_groups(("b",)) == ("algo-3",)
    assert cluster.of_groups(()) == cluster.names


def test_one_type_is_the_homogeneous_cluster() -> None:
    (group,) = cluster_of({"InstanceType": "ml.m5.large", "InstanceCount": 2}).groups
    assert (group.name, group.hosts) == ("homogeneousCluster", ("algo-1", "algo-2"))


@pytest.mark.parametrize("subnet", [1, 2, 255, 256, 65534, 65535, 1_000_000])
def test_every_host_has_a_loopback_address_of_its_own_that_is_not_localhost(subnet: int) -> None:
    given = addresses(cluster_of({"InstanceType": "ml.m5.large", "InstanceCount": 100}), subnet)
    assert len(set(given.values())) == 100
    assert all(ipaddress.ip_address(a).is_loopback and not a.startswith("127.0.0.") for a in given.values())


def test_two_jobs_have_different_addresses() -> None:
    cluster = cluster_of({"InstanceType": "ml.m5.large", "InstanceCount": 2})
    assert not set(addresses(cluster, 7).values()) & set(addresses(cluster, 8).values())


@pytest.mark.parametrize("path", ["s3://bucket", "s3://bucket/", "s3://bucket/out", "s3://bucket/out/"])
def test_artefacts_lie_under_the_output_path_and_the_jobs_name(path: str) -> None:
    prefix = "s3://bucket/out" if "out" in path else "s3://bucket"
    assert str(locations.model_artifacts(path, "job", "GZIP")) == f"{prefix}/job/output/model.tar.gz"
    assert str(locations.model_artifacts(path, "job", "NONE")) == f"{prefix}/job/output/model/"


def test_durations_count_begun_seconds_and_never_zero() -> None:
    assert times.seconds_between(0, 0) == 1
    assert times.seconds_between(0, 1_000_000) == 1
    assert times.seconds_between(0, 1_000_001) == 2


def test_the_runtime_is_a_day_unless_said_otherwise() -> None:
    assert times.runtime_deadline_us({}, 5) == 5 + 86_400_000_000
    assert times.runtime_deadline_us({"MaxRuntimeInSeconds": 2}, 5) == 2_000_005
    assert times.wait_deadline_us({}, 5) is None
    assert times.wait_deadline_us({"MaxWaitTimeInSeconds": 3}, 5) == 3_000_005


def test_a_metric_definition_of_the_request_replaces_the_algorithms_of_that_name() -> None:
    own = [{"Name": "validation:auc", "Regex": "mine (.*)"}]
    definitions = builtin.effective_definitions("xgboost", own)
    assert [d["Regex"] for d in definitions if d["Name"] == "validation:auc"] == ["mine (.*)"]
    assert len(definitions) > builtin.MOST_SHOWN
    assert builtin.effective_definitions(None, own) == own
    assert "validation:auc" not in builtin.needed_texts("xgboost", own)


def test_an_image_runs_its_algorithm_only_without_a_program_of_the_users() -> None:
    plain: dict[str, object] = {"AlgorithmSpecification": {}}
    assert builtin.runs_algorithm(plain)
    assert not builtin.runs_algorithm({"AlgorithmSpecification": {"ContainerEntrypoint": ["sh"]}})
    assert not builtin.runs_algorithm(plain | {"HyperParameters": {"sagemaker_program": "a.py"}})
