"""Models with EnableNetworkIsolation, and what a replica may write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.inference.requests import model_request
from tests.inference.running import Running, start
from tests.inference.test_endpoints import environment


@pytest.fixture
def isolating(running: Running) -> Running:
    if problem := running.platform.compute.network_isolation_problem():
        pytest.skip(problem)
    return running


def deploy(running: Running, name: str, *, by: str, variables: dict[str, str], **variant: Any) -> dict[str, Any]:
    """An endpoint whose model, or whose configuration, is isolated."""
    uri = running.put(f"models/{name}/model.tar.gz", b"weights")
    own = {"EnableNetworkIsolation": True}
    running.call("CreateModel", **model_request(name, uri, variables), **(own if by == "model" else {}))
    running.config(name, {"ModelName": name} | variant, **(own if by == "configuration" else {}))
    running.call("CreateEndpoint", EndpointName=name, EndpointConfigName=name)
    return running.settled(name)


@pytest.mark.parametrize("by", ["model", "configuration"])
@pytest.mark.parametrize("variables", [{}, {"SAGEMAKER_PROGRAM": "serve"}])
def test_an_isolated_model_has_neither_a_way_to_the_platform_nor_credentials(
    isolating: Running, by: str, variables: dict[str, str]
) -> None:
    described = deploy(isolating, "alone", by=by, variables=variables)
    assert described["EndpointStatus"] == "InService", described
    found = environment(isolating)
    assert found["SAGEBRUSH_NETWORK"] == "isolated"
    assert [n for n in found if "CREDENTIALS" in n or "TOKEN" in n or "ENDPOINT" in n or "RELAY" in n] == []
    (directory,) = isolating.shims()
    replica = isolating.platform.compute.launcher.observe(directory)
    assert Path(f"/proc/{replica.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    assert any("EnableNetworkIsolation" in line for line in isolating.log("alone"))
    assert isolating.call("DescribeModel", ModelName="alone")["EnableNetworkIsolation"] is (by == "model")


def test_where_no_network_can_be_withheld_an_isolated_model_is_refused(tmp_path: Path) -> None:
    running = start(tmp_path / "data", isolation="process")
    try:
        described = deploy(running, "refused", by="model", variables={})
        assert described["EndpointStatus"] == "Failed"
        assert "EnableNetworkIsolation cannot be kept on this host" in described["FailureReason"]
        assert running.shims() == []
    finally:
        running.close()


@pytest.mark.parametrize(
    ("settings", "variant", "told"),
    [
        ({"replica_disk_gib": 0.02}, {}, "the 0.02 GiB it may have (setting replica_disk_gib)"),
        ({}, {"VolumeSizeInGB": 1}, "its VolumeSizeInGB of 1 GB"),
    ],
)
def test_a_model_that_writes_more_than_it_may_is_ended_and_the_reason_names_the_limit(
    tmp_path: Path, settings: dict[str, Any], variant: dict[str, Any], told: str
) -> None:
    running = start(tmp_path / "data", **settings)
    try:
        described = deploy(running, "fills", by="", variables={"FILL": "/opt/ml/model"}, **variant)
        assert described["EndpointStatus"] == "Failed"
        assert f"No space: the job wrote more than {told}" in described["FailureReason"], described
    finally:
        running.close()
