"""Updates: another fleet in the place of one that serves, other weights and numbers, and what does not come up."""

from __future__ import annotations

from typing import Any

from sagebrush.inference import tables
from tests.inference.requests import BUCKET, capture_config
from tests.inference.running import Running, eventually
from tests.inference.test_endpoints import valid


def update(running: Running, name: str, config: str, **more: Any) -> None:
    running.call("UpdateEndpoint", EndpointName=name, EndpointConfigName=config, **more)


def second(running: Running, name: str, *variants: dict[str, Any], **environment: str) -> str:
    """Another model and configuration for an endpoint; the configuration's name."""
    running.model(f"{name}-2", b"other", **environment)
    running.config(f"{name}-2", *(variants or ({"ModelName": f"{name}-2"},)))
    return f"{name}-2"


def test_an_update_brings_the_new_fleet_up_before_the_old_one_goes(running: Running) -> None:
    running.deploy("moving")
    front = running.front
    assert front is not None
    (old,) = front.replicas("moving")
    front.outstanding = {old: 1}
    update(running, "moving", second(running, "moving"))
    described = running.describe("moving")
    assert described["EndpointStatus"] == "Updating"
    assert described["EndpointConfigName"] == "moving"
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == "moving-2"
    assert described["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Updating"
    valid("DescribeEndpoint", described)
    eventually(lambda: front.replicas("moving") not in ([], [old]))
    (new,) = front.replicas("moving")
    # A request is still in flight: the old replica is not routed any more, and runs.
    assert [d.name for d in running.shims()] == sorted([old, new])
    assert running.describe("moving")["EndpointStatus"] == "Updating"
    front.outstanding = {}
    described = running.settled("moving")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "moving-2")
    assert [d.name for d in running.shims()] == [new]
    assert not list(running.platform.settings.data_dir.glob(f"endpoints/*/{old}"))
    # At no moment was the endpoint without a replica.
    served = [s["endpoints"]["moving"] for s in front.seen if s["endpoints"].get("moving", {}).get("variants")]
    assert all(entry["variants"][0]["replicas"] for entry in served)
    assert "PendingDeploymentSummary" not in described


def test_an_update_that_does_not_come_up_leaves_what_serves(running: Running) -> None:
    running.deploy("kept")
    assert running.front is not None
    before = running.front.replicas("kept")
    update(running, "kept", second(running, "kept", TOLD="raise"))
    described = running.settled("kept")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "kept")
    assert "not today" in described["FailureReason"]
    valid("DescribeEndpoint", described)
    assert running.front.replicas("kept") == before
    assert [d.name for d in running.shims()] == before
    # The next update forgets what the last one said.
    running.config("kept-3", {"ModelName": "kept"})
    update(running, "kept", "kept-3")
    assert "FailureReason" not in running.settled("kept")


def test_weights_are_a_matter_of_routes_alone(running: Running) -> None:
    running.model("m")
    running.config("w", {"VariantName": "a", "ModelName": "m"}, {"VariantName": "b", "ModelName": "m"})
    running.call("CreateEndpoint", EndpointName="w", EndpointConfigName="w")
    running.settled("w")
    before = running.shims()
    running.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="w",
        DesiredWeightsAndCapacities=[{"VariantName": "a", "DesiredWeight": 0.0}],
    )
    described = running.settled("w")
    weights = {v["VariantName"]: (v["CurrentWeight"], v["DesiredWeight"]) for v in described["ProductionVariants"]}
    assert weights == {"a": (0.0, 0.0), "b": (1.0, 1.0)}
    assert running.shims() == before
    assert running.front is not None
    assert [v["weight"] for v in running.front.look()["w"]["variants"]] == [0.0, 1.0]


def test_capacity_grows_and_shrinks_without_touching_the_rest(running: Running) -> None:
    running.deploy("size")
    assert running.front is not None
    (first,) = running.front.replicas("size")

    def resize(count: int) -> dict[str, Any]:
        running.call(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="size",
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
        )
        shown = running.describe("size")["ProductionVariants"][0]
        assert shown["DesiredInstanceCount"] == count
        return running.settled("size")

    assert resize(3)["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    assert len(running.front.replicas("size")) == len(running.shims()) == 3
    assert resize(1)["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert running.front.replicas("size") == [first]
    assert [d.name for d in running.shims()] == [first]


def test_an_update_can_retain_what_the_endpoint_has(running: Running) -> None:
    running.model("m")
    capture = capture_config(f"s3://{BUCKET}/captured")
    running.config("old", {"ModelName": "m", "InitialInstanceCount": 1}, DataCaptureConfig=capture)
    policy = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "alarm"}]}}
    running.call("CreateEndpoint", EndpointName="e", EndpointConfigName="old", DeploymentConfig=policy)
    running.settled("e")
    running.call(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="e",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 2}],
    )
    running.settled("e")
    running.config("new", {"ModelName": "m"}, {"ModelName": "m", "VariantName": "more"})
    update(
        running,
        "e",
        "new",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
        RetainDeploymentConfig=True,
    )
    described = running.settled("e")
    shown = {v["VariantName"]: (v["CurrentInstanceCount"], v["CurrentWeight"]) for v in described["ProductionVariants"]}
    assert shown == {"AllTraffic": (2, 1.0), "more": (1, 1.0)}
    assert described["DataCaptureConfig"]["CaptureStatus"] == "Started"
    assert described["LastDeploymentConfig"] == policy
    update(running, "e", "new")
    described = running.settled("e")
    shown = {v["VariantName"]: (v["CurrentInstanceCount"], v["CurrentWeight"]) for v in described["ProductionVariants"]}
    assert shown == {"AllTraffic": (1, 1.0), "more": (1, 1.0)}
    assert not {"DataCaptureConfig", "LastDeploymentConfig"} & set(described)
    valid("DescribeEndpoint", described)


def test_configuration_model_and_data_may_go_while_they_are_in_use(running: Running) -> None:
    running.deploy("pinned")
    running.call("DeleteEndpointConfig", EndpointConfigName="pinned")
    running.call("DeleteModel", ModelName="pinned")
    running.platform.objects.delete(BUCKET, "models/pinned/model.tar.gz")
    running.platform.objects.sweep()
    assert running.front is not None
    (before,) = running.front.replicas("pinned")
    running.platform.compute.launcher.kill(running.shims()[0])
    eventually(lambda: running.front.replicas("pinned") not in ([], [before]))  # type: ignore[union-attr]
    eventually(lambda: running.log("pinned").count("serving with 2 workers: weights") == 2)
    assert running.describe("pinned")["EndpointConfigName"] == "pinned"
    running.deleted("pinned")
    assert running.platform.store.read(lambda conn: tables.all_routes(conn))[1] == {}
