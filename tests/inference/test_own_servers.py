"""Models that bring a server of their own, with and without a network of its own; replicas without a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inference.running import Running, start
from tests.inference.test_endpoints import environment


@pytest.fixture
def private_network(running: Running) -> None:
    """Skips, with what the host says, where no replica can have a network of its own."""
    compute = running.platform.compute
    if not compute.private_network():
        why = compute.isolation_problem() or next(c.detail for c in compute.probe() if c.check == "private networks")
        pytest.skip(f"no network of its own for a replica on this host: {why}")


@pytest.mark.usefixtures("private_network")
def test_an_own_server_gets_a_network_of_its_own_and_a_way_to_the_platform(running: Running) -> None:
    running.deploy("own", SAGEMAKER_PROGRAM="serve")
    found = environment(running)
    assert found["SAGEBRUSH_LISTEN_FDS"] == "1"
    assert found["SAGEMAKER_BIND_TO_PORT"] == "8080"
    assert found["SAGEBRUSH_RELAY"] == "4600:/opt/ml/front/front.sock"
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4600"
    assert running.front is not None
    assert running.front.look()["own"]["variants"][0]["replicas"][0]["lanes"] == 64


def test_without_a_sandbox_paths_are_told_and_ports_are_free_ones(tmp_path: Path) -> None:
    running = start(tmp_path / "data", isolation="process")
    try:
        described = running.deploy("plain", SAGEMAKER_PROGRAM="serve")
        assert described["EndpointStatus"] == "InService", described
        found = environment(running)
        assert found["SAGEMAKER_BASE_DIR"].startswith(str(tmp_path))
        assert found["SAGEBRUSH_MODEL_ARCHIVE"] == f"{found['SAGEMAKER_BASE_DIR']}/input/model.tar.gz"
        assert Path(found["SAGEBRUSH_MODEL_ARCHIVE"]).read_bytes() == b"weights"
        assert found["SAGEMAKER_BIND_TO_PORT"] != "8080"
        assert "SAGEBRUSH_RELAY" not in found
        running.deleted("plain")
        assert running.shims() == []
    finally:
        running.close()


def test_the_port_a_model_asks_for_is_kept(running: Running) -> None:
    running.deploy("port", SAGEMAKER_PROGRAM="serve", SAGEMAKER_BIND_TO_PORT="9000")
    assert environment(running)["SAGEMAKER_BIND_TO_PORT"] == "9000"
