"""Artefacts and checkpoints with real folders and a real object store."""

from __future__ import annotations

import errno
import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagebrush.substrate.clock import SystemClock
from sagebrush.substrate.compute.removal import remove_tree
from sagebrush.substrate.compute.user_files import Folder, read_beginning
from sagebrush.substrate.errors import Cancelled, Refused, access_denied
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.objects.locations import S3Location
from sagebrush.substrate.store import OBJECTS
from sagebrush.training.engine.archive import MOST_LEVELS, contents_of, tar_gz
from sagebrush.training.engine.artefacts import ArtefactUploader
from sagebrush.training.engine.checkpoints import Checkpoints
from sagebrush.training.engine.submit_directory import ARCHIVE, place_code, source_of
from tests.databases import open_at
from tests.training.requests import ROLE

BUCKET = "artefact-tests"


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[ObjectStore]:
    index = open_at(OBJECTS, tmp_path / "index.db", SystemClock())
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
        ({"HyperParameters": {"sagemaker_submit_directory": "[" * 2400}}, None),
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


def nest(folder: Path, levels: int) -> None:
    """Folders in folders, deeper than any path can say; ``here`` in each."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.close(os.open("here", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
        os.mkdir("d", dir_fd=descriptor)
        following = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = following
    os.close(descriptor)


def test_folders_of_any_depth_are_archived_to_a_depth_that_can_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    nest(tmp_path / "model", 2000)
    contents = contents_of([Folder(tmp_path, "model")])
    assert len(contents.files) == MOST_LEVELS + 1
    assert [line.rpartition(": ")[2] for line in contents.skipped] == [f"more than {MOST_LEVELS} folders deep"]
    assert len(unpacked(b"".join(tar_gz(contents)))) == MOST_LEVELS + 1
    remove_tree(tmp_path / "model")


def test_a_tree_of_any_depth_is_removed_and_nothing_that_its_links_lead_to(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    nest(tree, 3000)
    (tree / "link").symlink_to(tmp_path / "kept")
    (tree / os.fsdecode(b"\xff")).mkdir()
    (tree / "locked" / "deep").mkdir(parents=True)
    (tree / "locked" / "deep" / "file").touch()
    (tree / "locked" / "deep").chmod(0)
    (tree / "locked").chmod(0o500)
    os.mkfifo(tree / "pipe")
    remove_tree(tree)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").exists()
    remove_tree(tree)


def test_a_job_can_leave_a_link_where_its_tree_was(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "tree")
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_an_upload_ends_when_it_is_cancelled(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with (tmp_path / "model" / "big").open("wb") as file:
        file.truncate(64 << 20)
    asked = iter([False] * 5)
    uploading = ArtefactUploader(objects, anything, role_arn=ROLE, cancelled=lambda: next(asked, True))
    for location in ("model.tar.gz", "model/"):
        with pytest.raises(Cancelled):
            uploading.model([Folder(tmp_path, "model")], S3Location(BUCKET, location))
    assert keys(objects) == []


def test_what_would_not_have_fitted_on_the_volume_is_refused(objects: ObjectStore, tmp_path: Path) -> None:
    for name in ("model", "data", "checkpoints"):
        (tmp_path / name).mkdir()
        with (tmp_path / name / "sparse").open("wb") as file:
            file.truncate(600 << 20)
    limited = ArtefactUploader(objects, lambda *_: None, role_arn=ROLE, volume_bytes=1 << 30, cancelled=lambda: False)
    limited.model([Folder(tmp_path, "model")], S3Location(BUCKET, "model.tar.gz"))
    with pytest.raises(Refused, match="VolumeSizeInGB of 1 GB: SageMaker's volume would be full"):
        limited.output_data([Folder(tmp_path, "data")], S3Location(BUCKET, "out"), "GZIP")
    folder = Folder(tmp_path, "checkpoints")
    with pytest.raises(Refused, match="volume would be full"):
        Checkpoints(objects, anything, S3Location(BUCKET, "ck"), folder, 500 << 20).upload(everything=True)


def test_names_that_cannot_be_keys_are_left_out_with_the_reason(objects: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    long = folder.joinpath(*["n" * 200] * 6)
    long.mkdir(parents=True)
    (long / "file").touch()
    (folder / os.fsdecode(b"\xff")).touch()
    (folder / "good").touch()
    stored = uploader(objects).model([Folder(tmp_path, "checkpoints")], S3Location(BUCKET, "m/"))
    assert stored.locations == (f"s3://{BUCKET}/m/good",)
    syncing = checkpoints(objects, tmp_path)
    assert syncing.upload(everything=True) == 1
    for skipped in (stored.skipped, syncing.skipped):
        assert sorted(line.rpartition(": ")[2][:10] for line in skipped) == ["its key ha", "its name i"]
    archived = unpacked(archive_of(folder))
    assert os.fsdecode(b"\xff") in archived


def test_a_key_that_is_too_long_does_not_blame_permissions(objects: ObjectStore, model: Path) -> None:
    with pytest.raises(Refused, match="KeyTooLongError") as caught:
        uploader(objects).model([Folder(model.parent, "model")], S3Location(BUCKET, "k" * 1025))
    assert "permissions" not in caught.value.failure.reason()


@pytest.mark.parametrize(
    ("names", "told"),
    [(["a", "a/b"], "need the same path"), (["n" * 256], "too long"), (["a\0b"], "NUL"), (["a//b"], "empty name")],
)
def test_checkpoints_that_no_folder_can_hold_are_refused(
    objects: ObjectStore, tmp_path: Path, names: list[str], told: str
) -> None:
    for name in names:
        objects.put(BUCKET, f"ck/{name}", b"x")
    with pytest.raises(Refused, match=told) as caught:
        checkpoints(objects, tmp_path).restore()
    assert caught.value.failure.reason().startswith("ClientError: Data download failed")


def test_a_folder_that_cannot_be_written_fails_as_a_download_does(
    objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put(BUCKET, "ck/a", b"x")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a")

    monkeypatch.setattr("sagebrush.training.engine.checkpoints.copy_file", full)
    with pytest.raises(Refused, match="No space left on device while restoring the checkpoints"):
        checkpoints(objects, tmp_path).restore()
