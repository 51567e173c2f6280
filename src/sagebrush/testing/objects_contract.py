"""What every object store must do: subclass :class:`ObjectStoreContract` and give it a ``store``.

class TestLocalObjects(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path): ...
"""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import Attributes, CompletedPart, ObjectStore, PartInfo, UploadInfo, WriteCondition
from sagebrush.substrate.objects.checksums import combined, composite
from sagebrush.substrate.objects.inline import INLINE_BYTES

ACCOUNT = "123456789012"
SMALL = b"a few bytes"
BIG = os.urandom(INLINE_BYTES + 1)
PART = os.urandom(5 << 20)


def code_of(call: object, *arguments: object, **keywords: object) -> str:
    """The code of the CallerError that a call raises."""
    with pytest.raises(CallerError) as caught:
        call(*arguments, **keywords)  # type: ignore[operator]
    return caught.value.code


def content(store: ObjectStore, bucket: str, key: str) -> bytes:
    """An object's bytes as a reader gets them."""
    _, stream = store.open(bucket, key)
    with stream:
        return stream.read()


def completed(parts: list[PartInfo]) -> list[CompletedPart]:
    """Parts as a client lists them."""
    return [CompletedPart(part.number, part.etag) for part in parts]


class ObjectStoreContract:
    """The promises of :class:`ObjectStore`; ``store`` is an empty one."""

    @pytest.fixture
    def bucket(self, store: ObjectStore) -> str:
        return store.create_bucket("a-bucket", account=ACCOUNT, region="us-east-1").name

    @pytest.fixture
    def upload(self, store: ObjectStore, bucket: str) -> UploadInfo:
        return store.uploads.create(bucket, "assembled")

    # -- buckets

    def test_a_bucket_is_found_until_it_is_deleted(self, store: ObjectStore) -> None:
        made = store.create_bucket("some-bucket", account=ACCOUNT, region="eu-west-1")
        assert store.head_bucket("some-bucket") == made
        store.delete_bucket("some-bucket")
        assert code_of(store.head_bucket, "some-bucket") == "NoSuchBucket"

    def test_only_us_east_1_lets_the_owner_create_a_bucket_twice(self, store: ObjectStore) -> None:
        first = store.create_bucket("here", account=ACCOUNT, region="us-east-1")
        assert store.create_bucket("here", account=ACCOUNT, region="us-east-1") == first
        store.create_bucket("there", account=ACCOUNT, region="eu-west-1")
        assert code_of(store.create_bucket, "there", account=ACCOUNT, region="eu-west-1") == "BucketAlreadyOwnedByYou"
        assert code_of(store.create_bucket, "here", account="2" * 12, region="us-east-1") == "BucketAlreadyExists"

    @pytest.mark.parametrize("name", ["ab", "a" * 64, "Upper", "under_score", "a..b", "-a-b", "127.0.0.1", "xn--abc"])
    def test_a_name_that_breaks_the_rules_is_refused(self, store: ObjectStore, name: str) -> None:
        assert code_of(store.create_bucket, name, account=ACCOUNT, region="us-east-1") == "InvalidBucketName"

    def test_buckets_are_listed_by_name_and_account(self, store: ObjectStore) -> None:
        for name in ("bbb", "aaa", "abc"):
            store.create_bucket(name, account=ACCOUNT, region="us-east-1")
        store.create_bucket("zzz", account="2" * 12, region="us-east-1")
        assert [info.name for info in store.list_buckets(ACCOUNT)] == ["aaa", "abc", "bbb"]
        assert [info.name for info in store.list_buckets(ACCOUNT, prefix="a", start_after="aaa")] == ["abc"]

    def test_a_bucket_with_objects_or_uploads_cannot_be_deleted(self, store: ObjectStore, bucket: str) -> None:
        store.put(bucket, "key", SMALL)
        assert code_of(store.delete_bucket, bucket) == "BucketNotEmpty"
        store.delete(bucket, "key")
        upload = store.uploads.create(bucket, "key")
        assert code_of(store.delete_bucket, bucket) == "BucketNotEmpty"
        store.uploads.abort(bucket, "key", upload.upload_id)
        store.delete_bucket(bucket)

    # -- objects

    @pytest.mark.parametrize("data", [b"", SMALL, BIG, BIG * 64], ids=["empty", "small", "big", "huge"])
    def test_what_was_put_is_what_is_read(self, store: ObjectStore, bucket: str, data: bytes) -> None:
        attributes = Attributes("text/plain", {"cache-control": "no-store"}, {"colour": "grün"}, {"team": "red"})
        info = store.put(bucket, "key", data, attributes=attributes)
        assert info.size == len(data)
        assert info.etag == hashlib.md5(data).hexdigest()
        assert info.attributes == attributes
        assert store.head(bucket, "key") == info
        assert content(store, bucket, "key") == data
        assert store.path(info).read_bytes() == data

    def test_a_source_may_be_a_file_or_pieces(self, store: ObjectStore, bucket: str, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(BIG * 40)
        assert store.put(bucket, "file", source).etag == store.put(bucket, "pieces", iter([BIG] * 40)).etag

    def test_a_source_that_fails_leaves_nothing(self, store: ObjectStore, bucket: str) -> None:
        def failing() -> object:
            yield BIG
            raise RuntimeError("the source broke")

        with pytest.raises(RuntimeError):
            store.put(bucket, "key", failing())  # type: ignore[arg-type]
        assert code_of(store.head, bucket, "key") == "NoSuchKey"

    def test_the_last_put_wins_and_readers_keep_what_they_opened(self, store: ObjectStore, bucket: str) -> None:
        for first, second in ((SMALL, b"other"), (BIG, SMALL), (SMALL, BIG), (BIG, BIG[::-1])):
            before = store.put(bucket, "key", first)
            path = store.path(before)
            _, reader = store.open(bucket, "key")
            store.put(bucket, "key", second)
            assert content(store, bucket, "key") == second
            assert reader.read() == first
            reader.close()
            assert path.read_bytes() == first

    def test_missing_things_are_named(self, store: ObjectStore, bucket: str) -> None:
        assert code_of(store.head, bucket, "nothing") == "NoSuchKey"
        assert code_of(store.head, "no-bucket", "nothing") == "NoSuchBucket"
        assert code_of(store.put, "no-bucket", "key", SMALL) == "NoSuchBucket"
        assert code_of(store.list, "no-bucket") == "NoSuchBucket"
        assert code_of(store.delete, "no-bucket", "key") == "NoSuchBucket"
        assert store.delete(bucket, "nothing") is False

    @pytest.mark.parametrize("key", ["a//b/../c", " ", "\t\n", "ü/\U0001f600", "a" * 1024, "/", "%2F+&=?#", "\x01"])
    def test_every_legal_key_is_an_object_of_its_own(self, store: ObjectStore, bucket: str, key: str) -> None:
        store.put(bucket, key, SMALL)
        assert store.head(bucket, key).key == key
        assert [listed.key for listed in store.list(bucket).objects] == [key]

    def test_keys_are_at_most_1024_bytes(self, store: ObjectStore, bucket: str) -> None:
        assert code_of(store.put, bucket, "ü" * 513, SMALL) == "KeyTooLongError"
        assert code_of(store.put, bucket, "", SMALL) == "InvalidArgument"

    def test_conditional_writes_are_decided_when_they_become_visible(self, store: ObjectStore, bucket: str) -> None:
        free = WriteCondition(if_none_match="*")
        info = store.put(bucket, "key", BIG, condition=free)
        assert code_of(store.put, bucket, "key", SMALL, condition=free) == "PreconditionFailed"
        assert code_of(store.put, bucket, "key", BIG, condition=WriteCondition(if_match="x")) == "PreconditionFailed"
        assert code_of(store.put, bucket, "other", BIG, condition=WriteCondition(if_match="x")) == "NoSuchKey"
        assert store.head(bucket, "key") == info
        store.put(bucket, "key", SMALL, condition=WriteCondition(if_match=f'"{info.etag}"'))
        assert content(store, bucket, "key") == SMALL

    def test_of_many_conditional_writers_one_wins(self, store: ObjectStore, bucket: str) -> None:
        def attempt(number: int) -> bool:
            try:
                store.put(bucket, "key", b"%d" % number, condition=WriteCondition(if_none_match="*"))
            except CallerError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(attempt, range(24)))
        assert outcomes.count(True) == 1
        assert content(store, bucket, "key") == b"%d" % outcomes.index(True)

    @pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
    def test_a_copy_is_an_object_of_its_own(self, store: ObjectStore, bucket: str, data: bytes) -> None:
        source = store.put(bucket, "source", data, metadata={"a": "1"})
        copy = store.copy(source, bucket, "copy")
        changed = store.copy(source, bucket, "changed", attributes=Attributes(metadata={"b": "2"}))
        store.delete(bucket, "source")
        assert (copy.etag, copy.attributes) == (source.etag, source.attributes)
        assert changed.attributes.metadata == {"b": "2"}
        assert content(store, bucket, "copy") == content(store, bucket, "changed") == data

    def test_tags_change_without_touching_the_object(self, store: ObjectStore, bucket: str) -> None:
        info = store.put(bucket, "key", SMALL, metadata={"a": "1"})
        tagged = store.tag(bucket, "key", {"k": "v"})
        assert tagged.attributes.tags == {"k": "v"}
        assert (tagged.etag, tagged.modified_us, tagged.attributes.metadata) == (
            info.etag,
            info.modified_us,
            {"a": "1"},
        )

    def test_many_threads_put_at_once(self, store: ObjectStore, bucket: str) -> None:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: store.put(bucket, f"key-{n:03d}", BIG + b"%d" % n), range(64)))
        assert [info.key for info in store.iterate(bucket, "key-")] == [f"key-{n:03d}" for n in range(64)]
        assert all(content(store, bucket, f"key-{n:03d}") == BIG + b"%d" % n for n in range(64))

    # -- multipart uploads

    def test_parts_in_any_order_become_one_object(self, store: ObjectStore, bucket: str, upload: UploadInfo) -> None:
        pieces = {1: PART, 2: PART[::-1], 3: b"the tail"}
        parts = [
            store.uploads.put_part(
                bucket, "assembled", upload.upload_id, number, pieces[number], size=len(pieces[number])
            )
            for number in (2, 3, 1)
        ]
        parts.sort(key=lambda part: part.number)
        info = store.uploads.complete(bucket, "assembled", upload.upload_id, completed(parts))
        whole = b"".join(pieces.values())
        assert content(store, bucket, "assembled") == whole
        assert store.path(info).read_bytes() == whole
        etags = b"".join(hashlib.md5(piece).digest() for piece in pieces.values())
        assert info.etag == f"{hashlib.md5(etags).hexdigest()}-3"
        assert info.parts == (len(PART), len(PART), 8)
        assert store.head(bucket, "assembled") == info

    def test_only_the_listed_parts_are_taken(self, store: ObjectStore, bucket: str, upload: UploadInfo) -> None:
        parts = [
            store.uploads.put_part(bucket, "assembled", upload.upload_id, number, PART, size=len(PART))
            for number in (1, 2, 3)
        ]
        store.uploads.complete(bucket, "assembled", upload.upload_id, completed([parts[0], parts[2]]))
        assert content(store, bucket, "assembled") == PART + PART

    def test_a_part_sent_again_replaces_the_first(self, store: ObjectStore, bucket: str, upload: UploadInfo) -> None:
        put = store.uploads.put_part
        first = put(bucket, "assembled", upload.upload_id, 1, PART, size=len(PART))
        second = put(bucket, "assembled", upload.upload_id, 1, PART[::-1], size=len(PART))
        complete = store.uploads.complete
        assert code_of(complete, bucket, "assembled", upload.upload_id, completed([first])) == "InvalidPart"
        complete(bucket, "assembled", upload.upload_id, completed([second]))
        assert content(store, bucket, "assembled") == PART[::-1]

    def test_the_part_list_must_be_right(self, store: ObjectStore, bucket: str, upload: UploadInfo) -> None:
        put, complete = store.uploads.put_part, store.uploads.complete
        one = put(bucket, "assembled", upload.upload_id, 1, b"too small", size=9)
        two = put(bucket, "assembled", upload.upload_id, 2, PART, size=len(PART))
        where = (bucket, "assembled", upload.upload_id)
        assert code_of(complete, *where, completed([two, one])) == "InvalidPartOrder"
        assert code_of(complete, *where, [CompletedPart(3, one.etag)]) == "InvalidPart"
        assert code_of(complete, *where, [CompletedPart(1, two.etag)]) == "InvalidPart"
        assert code_of(complete, *where, completed([one, two])) == "EntityTooSmall"
        assert code_of(complete, bucket, "assembled", "no-upload", completed([one])) == "NoSuchUpload"
        assert code_of(complete, bucket, "another", upload.upload_id, completed([one])) == "NoSuchUpload"
        assert code_of(put, bucket, "assembled", upload.upload_id, 10_001, SMALL) == "InvalidArgument"

    def test_completing_again_answers_the_same(self, store: ObjectStore, bucket: str, upload: UploadInfo) -> None:
        part = store.uploads.put_part(bucket, "assembled", upload.upload_id, 1, PART, size=len(PART))
        first = store.uploads.complete(bucket, "assembled", upload.upload_id, completed([part]))
        assert store.uploads.complete(bucket, "assembled", upload.upload_id, completed([part])) == first
        store.put(bucket, "assembled", SMALL)
        again = code_of(store.uploads.complete, bucket, "assembled", upload.upload_id, completed([part]))
        assert again == "NoSuchUpload"

    def test_an_aborted_upload_is_gone(self, store: ObjectStore, bucket: str, upload: UploadInfo) -> None:
        store.uploads.put_part(bucket, "assembled", upload.upload_id, 1, PART, size=len(PART))
        late = store.uploads.incoming(upload, 2, size=len(PART))
        late.write(PART)
        store.uploads.abort(bucket, "assembled", upload.upload_id)
        assert code_of(store.uploads.abort, bucket, "assembled", upload.upload_id) == "NoSuchUpload"
        assert code_of(late.commit, late.finish()) == "NoSuchUpload"
        assert code_of(store.uploads.put_part, bucket, "assembled", upload.upload_id, 1, SMALL) == "NoSuchUpload"
        assert store.uploads.in_progress(bucket) == []

    def test_uploads_and_parts_are_listed_in_order(self, store: ObjectStore, bucket: str) -> None:
        ids = {store.uploads.create(bucket, key).upload_id: key for key in ("b", "a", "a", "c/d")}
        listed = store.uploads.in_progress(bucket)
        assert [(info.key, info.upload_id) for info in listed] == sorted((key, one) for one, key in ids.items())
        rest = store.uploads.in_progress(bucket, after_key="a", after_id=listed[0].upload_id)
        assert rest == listed[1:]
        assert [info.key for info in store.uploads.in_progress(bucket, after_key="a")] == ["b", "c/d"]
        assert [info.key for info in store.uploads.in_progress(bucket, "c/")] == ["c/d"]
        upload = listed[0]
        for number in (3, 1, 2):
            store.uploads.put_part(bucket, "a", upload.upload_id, number, SMALL)
        _, parts = store.uploads.parts_of(bucket, "a", upload.upload_id, after=1, limit=1)
        assert [part.number for part in parts] == [2]

    def test_concurrent_parts_of_every_size_never_mix(
        self, store: ObjectStore, bucket: str, upload: UploadInfo
    ) -> None:
        sizes = [len(PART), len(PART) + 7, len(PART), len(PART) * 2, len(PART), len(PART), 100]
        pieces = {number: bytes([number]) * size for number, size in enumerate(sizes, 1)}

        def send(number: int) -> PartInfo:
            piece = pieces[number]
            return store.uploads.put_part(bucket, "assembled", upload.upload_id, number, piece, size=len(piece))

        with ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(send, pieces))
        store.uploads.complete(bucket, "assembled", upload.upload_id, completed(parts))
        assert content(store, bucket, "assembled") == b"".join(pieces.values())

    def test_the_checksum_of_a_whole_upload_needs_no_second_reading(self, store: ObjectStore, bucket: str) -> None:
        def crc(data: bytes) -> str:
            return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()

        for kind, expected in (
            ("FULL_OBJECT", crc(PART + SMALL)),
            ("COMPOSITE", composite("CRC32", [crc(PART), crc(SMALL)])),
        ):
            upload = store.uploads.create(bucket, kind, algorithm="CRC32", checksum_type=kind)
            parts = [
                store.uploads.put_part(bucket, kind, upload.upload_id, number, data, size=len(data))
                for number, data in ((1, PART), (2, SMALL))
            ]
            listed = [CompletedPart(part.number, part.etag, part.checksums) for part in parts]
            info = store.uploads.complete(bucket, kind, upload.upload_id, listed)
            assert info.checksums.values == {"CRC32": expected}
            assert info.checksums.kind == kind
        assert combined("CRC32", [(crc(PART), len(PART)), (crc(SMALL), len(SMALL))]) == crc(PART + SMALL)

    # -- paths

    @pytest.mark.parametrize("data", [SMALL, BIG], ids=["small", "big"])
    def test_a_pinned_file_outlives_its_object(self, store: ObjectStore, bucket: str, data: bytes) -> None:
        info = store.put(bucket, "key", data)
        store.pin([info], "job-1")
        store.delete(bucket, "key")
        assert store.path(info).read_bytes() == data
        gone = store.put(bucket, "other", data)
        store.delete(bucket, "other")
        if data is SMALL:
            assert code_of(store.pin, [gone], "job-2") == "NoSuchKey"
        store.unpin("job-1")
