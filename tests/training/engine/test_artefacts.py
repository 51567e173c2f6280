"""Artefacts and checkpoints with real folders and a real object store."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.errors import access_denied
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.store import OBJECTS, open_store
from sagebrush.training.engine.archive import Folder, contents_of, read_beginning, tar_gz
from sagebrush.training.engine.artefacts import ArtefactUploader
from sagebrush.training.engine.checkpoints import Checkpoints
from sagebrush.training.engine.refusals import Refused
from sagebrush.training.engine.submit_directory import ARCHIVE, place_code, source_of
from sagebrush.training.model.locations import S3Location
from tests.training.requests import ROLE

BUCKET = "artefact-tests"


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[ObjectStore]:
    index = open_store(OBJECTS, path=tmp_path / "index.db", clock=SystemClock())
    store = ObjectStore(tmp_path / "objects", index, SystemClock())
    store.create_bucket(BUCKET, account="123456789012", region="us-east-1")
    yield store
    store.close()
    index.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "opt" / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(range(256)) * 5000)
    (folder / "deep" / "script.sh").write_text("#!/bin/sh\n")
    (folder / "deep" / "script.sh").chmod(0o755)
    return folder


def anything(action: str, resource_arn: str) -> None:
    assert action.startswith("s3:")


def nothing(action: str, resource_arn: str) -> None:
    raise access_denied(f"{action} on {resource_arn} is not allowed", code="AccessDenied")


def content(objects: ObjectStore, key: str) -> bytes:
    _, stream = objects.open(BUCKET, key)
    with stream:
        return stream.read()


def keys(objects: ObjectStore) -> list[str]:
    return [info.key for info in objects.iterate(BUCKET)]


def archive_of(*folders: Path) -> bytes:
    return b"".join(tar_gz(contents_of([Folder(folder.parent, folder.name) for folder in folders])))


def unpacked(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]


def test_an_archive_has_every_file_with_its_mode(model: Path) -> None:
    data = archive_of(model)
    assert unpacked(data) == {"weights": bytes(range(256)) * 5000, "deep/script.sh": b"#!/bin/sh\n"}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getmember("deep/script.sh").mode == 0o755
        assert archive.getmember("weights").uid == 0


def test_equal_folders_give_equal_bytes_whenever_they_were_written(model: Path) -> None:
    before = archive_of(model)
    for path in [model, *model.rglob("*")]:
        os.utime(path, (1, 1))
    assert archive_of(model) == before


def test_of_several_hosts_the_first_ones_file_counts(model: Path, tmp_path: Path) -> None:
    second = tmp_path / "second" / "model"
    second.mkdir(parents=True)
    (second / "weights").write_bytes(b"of the second")
    (second / "extra").write_bytes(b"only here")
    found = unpacked(archive_of(model, second))
    assert (found["weights"][:4], found["extra"]) == (b"\0\1\2\3", b"only here")


def test_links_stay_links_inside_and_are_left_out_when_they_lead_outside(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the platform")
    (model / "inside").symlink_to("weights")
    (model / "deep" / "up").symlink_to("../weights")
    (model / "outside").symlink_to("../../secret")
    (model / "absolute").symlink_to(tmp_path / "secret")
    os.mkfifo(model / "pipe")
    contents = contents_of([Folder(model.parent, "model")])
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_gz(contents)))) as archive:
        assert sorted(archive.getnames()) == ["deep", "deep/script.sh", "deep/up", "inside", "weights"]
        assert archive.getmember("deep/up").linkname == "../weights"
    assert [line.partition(":")[0] for line in sorted(contents.skipped)] == ["absolute", "outside", "pipe"]


def test_a_folder_exchanged_for_a_link_gives_nothing_of_where_it_leads(tmp_path: Path) -> None:
    secrets, root = tmp_path / "secrets", tmp_path / "opt"
    (secrets / "data").mkdir(parents=True)
    (secrets / "data" / "key").write_text("secret")
    (secrets / "failure").write_text("secret")
    root.mkdir()
    (root / "model").symlink_to(secrets)
    (root / "output").symlink_to(secrets)
    assert contents_of([Folder(root, "model"), Folder(root, "output/data")]).entries == []
    assert read_beginning(Folder(root, "output"), "failure", 100) is None


def test_a_file_exchanged_for_a_link_after_it_was_found_is_not_read(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the platform")
    contents = contents_of([Folder(model.parent, "model")])
    (model / "weights").unlink()
    (model / "weights").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        b"".join(tar_gz(contents))


def test_the_failure_file_is_read_to_its_limit_and_only_as_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    folder = Folder(tmp_path, "output")
    assert read_beginning(folder, "failure", 3) is None
    (tmp_path / "output" / "failure").write_text("üüüü")
    assert read_beginning(folder, "failure", 3) == "üüü"
    (tmp_path / "output" / "failure").unlink()
    os.mkfifo(tmp_path / "output" / "failure")
    assert read_beginning(folder, "failure", 3) is None


def uploader(objects: ObjectStore, allowed: object = anything) -> ArtefactUploader:
    return ArtefactUploader(objects, allowed, role_arn=ROLE)  # type: ignore[arg-type]


def test_the_model_is_one_archive_or_single_files(objects: ObjectStore, model: Path) -> None:
    folders = [Folder(model.parent, "model")]
    uploader(objects).model(folders, S3Location(BUCKET, "out/job/output/model.tar.gz"))
    assert unpacked(content(objects, "out/job/output/model.tar.gz"))["deep/script.sh"] == b"#!/bin/sh\n"
    uploader(objects).model(folders, S3Location(BUCKET, "plain/model/"))
    assert content(objects, "plain/model/deep/script.sh") == b"#!/bin/sh\n"


def test_an_empty_output_folder_gives_no_object_but_an_empty_model_does(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folders = [Folder(tmp_path, "empty")]
    assert uploader(objects).output_data(folders, S3Location(BUCKET, "out"), "GZIP").locations == ()
    uploader(objects).model(folders, S3Location(BUCKET, "model.tar.gz"))
    assert keys(objects) == ["model.tar.gz"]
    assert unpacked(content(objects, "model.tar.gz")) == {}


def test_an_upload_that_is_refused_says_where_to_and_what_to_do(objects: ObjectStore, model: Path) -> None:
    folders = [Folder(model.parent, "model")]
    with pytest.raises(Refused) as caught:
        uploader(objects).model(folders, S3Location("no-such-bucket", "model.tar.gz"))
    reason = caught.value.failure.reason()
    assert reason.startswith("ClientError: Artifact upload failed: NoSuchBucket")
    assert "s3://no-such-bucket/model.tar.gz" in reason
    with pytest.raises(Refused, match="s3:PutObject"):
        uploader(objects, nothing).model(folders, S3Location(BUCKET, "model.tar.gz"))
    assert keys(objects) == []


def checkpoints(objects: ObjectStore, root: Path) -> Checkpoints:
    return Checkpoints(objects, anything, S3Location(BUCKET, "ck/"), Folder(root, "checkpoints"))


def test_checkpoints_come_back_in_the_next_attempt(objects: ObjectStore, tmp_path: Path) -> None:
    first = checkpoints(objects, tmp_path / "1")
    assert first.restore() == 0
    folder = tmp_path / "1" / "checkpoints"
    (folder / "deep").mkdir()
    (folder / "deep" / "step-1").write_text("one")
    (folder / "latest").write_text("one")
    assert first.upload(everything=True) == 2
    assert keys(objects) == ["ck/deep/step-1", "ck/latest"]
    assert checkpoints(objects, tmp_path / "2").restore() == 2
    assert (tmp_path / "2" / "checkpoints" / "deep" / "step-1").read_text() == "one"


def test_only_changes_are_uploaded_and_what_the_job_removed_is_removed(objects: ObjectStore, tmp_path: Path) -> None:
    syncing = checkpoints(objects, tmp_path)
    syncing.restore()
    folder = tmp_path / "checkpoints"
    (folder / "a").write_text("one")
    (folder / "b").write_text("one")
    assert syncing.upload(everything=True) == 2
    objects.put(BUCKET, "ck/of-somebody-else", b"x")
    assert syncing.upload(everything=True) == 0
    (folder / "a").unlink()
    (folder / "b").write_text("two!")
    assert syncing.upload(everything=True) == 2
    assert keys(objects) == ["ck/b", "ck/of-somebody-else"]
    assert content(objects, "ck/b") == b"two!"
    assert not (folder / "of-somebody-else").exists()


def test_a_checkpoint_that_is_still_growing_waits_for_the_next_look(objects: ObjectStore, tmp_path: Path) -> None:
    syncing = checkpoints(objects, tmp_path)
    syncing.restore()
    file = tmp_path / "checkpoints" / "a"
    file.write_text("half")
    assert syncing.upload() == 0
    file.write_text("half and more")
    assert syncing.upload() == 0
    assert syncing.upload() == 1
    assert content(objects, "ck/a") == b"half and more"


def test_a_checkpoint_key_that_would_leave_its_folder_is_refused(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put(BUCKET, "ck/../../escaped", b"x")
    with pytest.raises(Refused, match="escaped"):
        checkpoints(objects, tmp_path / "root").restore()
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"HyperParameters": {"sagemaker_submit_directory": '"s3://b/sourcedir.tar.gz"'}}, "s3://b/sourcedir.tar.gz"),
        ({"HyperParameters": {"sagemaker_submit_directory": "s3://b/sourcedir.tar.gz"}}, "s3://b/sourcedir.tar.gz"),
        ({"Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://b/x"}}, "s3://b/x"),
        ({"HyperParameters": {"sagemaker_submit_directory": '"/opt/ml/code"'}}, None),
        ({}, None),
    ],
)
def test_code_comes_from_s3_where_the_request_says_so(request_: dict[str, object], expected: str | None) -> None:
    assert source_of(request_) == expected


def test_code_is_bound_in_a_sandbox_and_copied_without_one(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put(BUCKET, "code.tar.gz", b"an archive")
    uri = f"s3://{BUCKET}/code.tar.gz"
    (bind,) = place_code(objects, anything, uri, tmp_path / "a", sandboxed=True)
    assert (bind.source.read_bytes(), bind.target) == (b"an archive", f"/opt/ml/{ARCHIVE}")
    assert place_code(objects, anything, uri, tmp_path / "b", sandboxed=False) == ()
    assert (tmp_path / "b" / ARCHIVE).read_bytes() == b"an archive"
    with pytest.raises(Refused, match="sagemaker_submit_directory"):
        place_code(objects, anything, f"s3://{BUCKET}/gone.tar.gz", tmp_path / "c", sandboxed=True)
