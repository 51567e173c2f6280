"""What a completed upload becomes: the rules, without files or rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import checksums, errors
from sagebrush.substrate.objects.info import Checksums, CompletedPart, ObjectInfo, PartInfo, UploadInfo

MIN_PART_BYTES = 5 << 20


def choose_parts(
    listed: Sequence[CompletedPart], present: Mapping[int, PartInfo], upload: UploadInfo
) -> list[PartInfo]:
    """The uploaded parts that the client's list names, in its order.

    Raises CallerError InvalidPartOrder, InvalidPart (missing, or another ETag or checksum) or EntityTooSmall.
    """
    numbers = [part.number for part in listed]
    if numbers != sorted(set(numbers)):
        raise errors.invalid_part_order()
    chosen = [_match(part, present.get(part.number)) for part in listed]
    for part in chosen[:-1]:
        if part.size < MIN_PART_BYTES:
            raise errors.entity_too_small(part.size, MIN_PART_BYTES, part.number, part.etag)
    if upload.algorithm and upload.checksum_type == checksums.COMPOSITE:
        _require_checksums(listed, upload.algorithm)
    return chosen


def _match(wanted: CompletedPart, part: PartInfo | None) -> PartInfo:
    if part is None or wanted.etag.strip('"') != part.etag:
        raise errors.invalid_part()
    for algorithm, value in wanted.checksums.items():
        if part.checksums.get(algorithm, value) != value:
            raise errors.invalid_part()
    return part


def _require_checksums(listed: Sequence[CompletedPart], algorithm: str) -> None:
    for part in listed:
        if algorithm not in part.checksums:
            raise errors.invalid_request(
                f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {part.number} in the request."
            )


def describe(upload: UploadInfo, chosen: Sequence[PartInfo], file: str, now_us: int) -> ObjectInfo:
    """The object that the chosen parts make: ETag of ETags, checksum of the upload's type, sizes of the parts."""
    algorithm = upload.algorithm or checksums.DEFAULT
    values = [(part.checksums[algorithm], part.size) for part in chosen]
    if upload.checksum_type == checksums.FULL_OBJECT:
        value = checksums.combined(algorithm, values)
    else:
        value = checksums.composite(algorithm, [checksum for checksum, _ in values])
    etags = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in chosen), usedforsecurity=False)
    return ObjectInfo(
        bucket=upload.bucket,
        key=upload.key,
        size=sum(part.size for part in chosen),
        etag=f"{etags.hexdigest()}-{len(chosen)}",
        modified_us=now_us,
        file=file,
        attributes=upload.attributes,
        checksums=Checksums({algorithm: value}, upload.checksum_type),
        parts=tuple(part.size for part in chosen),
        upload_id=upload.upload_id,
    )


def check_whole(info: ObjectInfo, expected: Checksums, size: int | None) -> None:
    """Compare the object with what the client says it must be. Raises CallerError BadDigest or InvalidRequest."""
    if size is not None and size != info.size:
        raise errors.invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {size} does not match what was computed: {info.size}"
        )
    for algorithm, value in expected.values.items():
        computed = info.checksums.values.get(algorithm)
        if computed is None:
            raise CallerError("BadDigest", f"The upload was not created with a {algorithm} checksum.")
        if value not in (computed, computed.partition("-")[0]):
            raise errors.bad_digest(algorithm)
