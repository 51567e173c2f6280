"""Channels against a real object store: what goes where, and what the failure says when it cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.compute import placing
from sagebrush.substrate.errors import Cancelled, Refused, access_denied
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.store import OBJECTS
from sagebrush.training.engine.channels import ChannelPlanner, Plan, channels_of, relative_path
from sagebrush.training.engine.placing import BIND_FROM, place
from sagebrush.training.model.cluster import Cluster, cluster_of
from tests.databases import open_at
from tests.training.requests import ROLE, channel

BUCKET = "channel-tests"
ONE = cluster_of({"InstanceType": "ml.m5.large", "InstanceCount": 1})


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[ObjectStore]:
    index = open_at(OBJECTS, tmp_path / "index.db", SystemClock())
    store = ObjectStore(tmp_path / "objects", index, SystemClock())
    store.create_bucket(BUCKET, account="123456789012", region="us-east-1")
    yield store
    store.close()
    index.close()


def plan(objects: ObjectStore, *config: dict[str, Any], cluster: Cluster = ONE, denied: str = "") -> Plan:
    def allowed(action: str, resource_arn: str) -> None:
        if denied and f"{action} {resource_arn}".startswith(denied):
            raise access_denied("no policy allows it", code="AccessDenied")

    planner = ChannelPlanner(objects, allowed, role_arn=ROLE, region="us-east-1")
    return planner.plan(channels_of(config), cluster)


def refusal(objects: ObjectStore, *config: dict[str, Any], denied: str = "") -> str:
    with pytest.raises(Refused) as caught:
        plan(objects, *config, denied=denied)
    return caught.value.failure.reason()


def paths(planned: Plan, host: str = "algo-1", name: str = "train") -> list[str]:
    return [placement.path for placement in planned[host][name]]


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("data/", ["a.csv", "deep/b.csv", "part-1"]),
        ("data", ["a.csv", "deep/b.csv", "part-1"]),
        ("data/a.csv", ["a.csv"]),
        ("data/pa", ["part-1"]),
        ("data/deep/", ["b.csv"]),
        ("", ["data/a.csv", "data/deep/b.csv", "data/part-1"]),
    ],
)
def test_a_prefix_is_left_out_of_the_paths_below_the_channel(
    objects: ObjectStore, prefix: str, expected: list[str]
) -> None:
    for key in ("data/a.csv", "data/deep/b.csv", "data/part-1"):
        objects.put(BUCKET, key, b"x")
    objects.put(BUCKET, "data/", b"")
    assert paths(plan(objects, channel(f"s3://{BUCKET}/{prefix}"))) == expected


def test_the_folder_of_a_prefix_is_kept_only_beyond_it() -> None:
    assert relative_path("x/train/a", "x/train") == "a"
    assert relative_path("x/train/a", "x/tr") == "train/a"
    assert relative_path("x/train2/a", "x/train") == "train2/a"


def test_shards_are_disjoint_and_together_the_whole_in_key_order(objects: ObjectStore) -> None:
    for number in range(5):
        objects.put(BUCKET, f"d/{number}", b"x")
    three = cluster_of({"InstanceType": "ml.m5.large", "InstanceCount": 3})
    planned = plan(objects, channel(f"s3://{BUCKET}/d/", S3DataDistributionType="ShardedByS3Key"), cluster=three)
    assert [paths(planned, host) for host in three.names] == [["0", "3"], ["1", "4"], ["2"]]


def test_replicated_channels_are_whole_on_every_host_of_their_groups(objects: ObjectStore) -> None:
    objects.put(BUCKET, "d/1", b"x")
    cluster = cluster_of(
        {
            "InstanceGroups": [
                {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 2},
                {"InstanceGroupName": "b", "InstanceType": "ml.m5.large", "InstanceCount": 1},
            ]
        }
    )
    planned = plan(
        objects,
        channel(f"s3://{BUCKET}/d/"),
        channel(f"s3://{BUCKET}/d/", "only-b", InstanceGroupNames=["b"]),
        cluster=cluster,
    )
    assert [paths(planned, host) for host in cluster.names] == [["1"], ["1"], ["1"]]
    assert [sorted(planned[host]) for host in cluster.names] == [["train"], ["train"], ["only-b", "train"]]


def manifest(objects: ObjectStore, content: object) -> dict[str, Any]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    objects.put(BUCKET, "m/list.manifest", data)
    return channel(f"s3://{BUCKET}/m/list.manifest", S3DataType="ManifestFile")


def test_a_manifest_names_objects_under_its_prefix(objects: ObjectStore) -> None:
    for key in ("d/one", "d/deep/two", "d/not-named"):
        objects.put(BUCKET, key, b"x")
    planned = plan(objects, manifest(objects, [{"prefix": f"s3://{BUCKET}/d/"}, "one", "deep/two"]))
    assert sorted(paths(planned)) == ["deep/two", "one"]


@pytest.mark.parametrize("content", [b"no json", {}, [], [{"prefix": "s3://b/x/"}], [{"prefix": "x"}, "a"], ["a", "b"]])
def test_a_manifest_that_is_none_is_refused_with_its_uri(objects: ObjectStore, content: object) -> None:
    reason = refusal(objects, manifest(objects, content))
    assert reason.startswith("ClientError: Data download failed: the manifest s3://channel-tests/m/list.manifest")


def test_an_object_that_a_manifest_names_in_vain_is_named(objects: ObjectStore) -> None:
    reason = refusal(objects, manifest(objects, [{"prefix": f"s3://{BUCKET}/d/"}, "gone"]))
    assert "NoSuchKey" in reason
    assert f"s3://{BUCKET}/d/gone" in reason


@pytest.mark.parametrize("uri", ["s3://no-such-bucket/data", f"s3://{BUCKET}/no/such/prefix"])
def test_missing_data_is_told_in_sagemakers_words(objects: ObjectStore, uri: str) -> None:
    bucket = uri.split("/")[2]
    assert refusal(objects, channel(uri)) == (
        f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data source. '
        "Please ensure that the bucket exists in the selected region (us-east-1), that objects exist under that S3 "
        f'prefix, and that the role "{ROLE}" has "s3:ListBucket" permissions on bucket "{bucket}".'
    )


@pytest.mark.parametrize(
    "action", ["s3:ListBucket arn:aws:s3:::channel-tests", "s3:GetObject arn:aws:s3:::channel-tests/d/1"]
)
def test_data_the_role_may_not_read_is_refused_with_role_and_action(objects: ObjectStore, action: str) -> None:
    objects.put(BUCKET, "d/1", b"x")
    reason = refusal(objects, channel(f"s3://{BUCKET}/d/"), denied=action)
    assert ROLE in reason
    assert all(f'"{word}"' in reason for word in action.split())


@pytest.mark.parametrize("key", ["d/../../etc/passwd", "d/./x", "d//x", "d/a\0b", "d/" + "x" * 300])
def test_keys_that_no_file_of_the_channel_can_have_are_refused_by_name(objects: ObjectStore, key: str) -> None:
    objects.put(BUCKET, key, b"x")
    assert key in refusal(objects, channel(f"s3://{BUCKET}/d/"))


def test_keys_that_need_the_same_path_are_refused(objects: ObjectStore) -> None:
    objects.put(BUCKET, "d/a", b"x")
    objects.put(BUCKET, "d/a/b", b"x")
    reason = refusal(objects, channel(f"s3://{BUCKET}/d/"))
    assert '"d/a" and "d/a/b" need the same path' in reason


def test_big_files_are_bound_read_only_and_small_ones_are_the_jobs_own_copies(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.put(BUCKET, "d/big", b"b" * BIND_FROM)
    objects.put(BUCKET, "d/empty", b"")
    objects.put(BUCKET, "d/run.sh", b"echo small")
    planned = plan(objects, channel(f"s3://{BUCKET}/d/"))["algo-1"]
    (bind,) = place(objects, planned, tmp_path, sandboxed=True)
    assert (bind.read_only, bind.target) == (True, "/opt/ml/input/data/train/big")
    assert bind.source.stat().st_size == BIND_FROM
    copied = tmp_path / "input/data/train"
    assert sorted(file.name for file in copied.iterdir()) == ["empty", "run.sh"]
    assert (copied / "run.sh").stat().st_nlink == 1
    (copied / "run.sh").write_bytes(b"changed by the job")
    _, stream = objects.open(BUCKET, "d/run.sh")
    with stream:
        assert stream.read() == b"echo small"


def test_the_biggest_are_bound_where_there_are_more_than_the_host_should_mount(
    objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "MOST_BINDS", 2)
    for more in range(4):
        objects.put(BUCKET, f"d/{more}", b"b" * (BIND_FROM + more))
    planned = plan(objects, channel(f"s3://{BUCKET}/d/"))["algo-1"]
    binds = place(objects, planned, tmp_path, sandboxed=True)
    assert [bind.target[-1] for bind in binds] == ["3", "2"]
    assert sorted(file.name for file in (tmp_path / "input/data/train").iterdir()) == ["0", "1"]


def test_without_a_sandbox_files_are_copies_that_do_not_touch_the_store(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put(BUCKET, "d/deep/1", b"kept" * 100_000)
    planned = plan(objects, channel(f"s3://{BUCKET}/d/"))["algo-1"]
    assert place(objects, planned, tmp_path, sandboxed=False) == ()
    copy = tmp_path / "input/data/train/deep/1"
    copy.write_bytes(b"scribbled over")
    _, stream = objects.open(BUCKET, "d/deep/1")
    with stream:
        assert stream.read() == b"kept" * 100_000


def test_a_stop_breaks_placing_off(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put(BUCKET, "d/1", b"x")
    planned = plan(objects, channel(f"s3://{BUCKET}/d/"))["algo-1"]
    with pytest.raises(Cancelled):
        place(objects, planned, tmp_path, sandboxed=False, cancelled=lambda: True)


@pytest.mark.parametrize("manifest", [b"[" * 100_000, b'[{"prefix": "s3://channel-tests/"}, "\\ud800"]'])
def test_a_manifest_that_no_parser_takes_is_refused(objects: ObjectStore, manifest: bytes) -> None:
    objects.put(BUCKET, "m.json", manifest)
    source = channel(f"s3://{BUCKET}/m.json", S3DataType="ManifestFile")
    assert refusal(objects, source).startswith("ClientError: Data download failed: the manifest")
