"""S3's errors with S3's codes, words and status ("Error responses", Amazon S3 API Reference)."""

from __future__ import annotations

from sagebrush.substrate.errors import CallerError


def no_such_bucket(bucket: str) -> CallerError:
    """There is no bucket of that name."""
    return CallerError(
        "NoSuchBucket", "The specified bucket does not exist", status=404, members={"BucketName": bucket}
    )


def no_such_key(key: str) -> CallerError:
    """There is no object under that key."""
    return CallerError("NoSuchKey", "The specified key does not exist.", status=404, members={"Key": key})


def no_such_upload(upload_id: str) -> CallerError:
    """There is no multipart upload of that id: never was, completed or aborted."""
    return CallerError(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
        status=404,
        members={"UploadId": upload_id},
    )


def bucket_not_empty(bucket: str) -> CallerError:
    """Only empty buckets can be deleted."""
    return CallerError(
        "BucketNotEmpty", "The bucket you tried to delete is not empty", status=409, members={"BucketName": bucket}
    )


def invalid_bucket_name(bucket: str) -> CallerError:
    """The name breaks S3's naming rules."""
    return CallerError("InvalidBucketName", "The specified bucket is not valid.", members={"BucketName": bucket})


def bucket_already_owned(bucket: str) -> CallerError:
    """The caller's own bucket, created again outside us-east-1."""
    return CallerError(
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
        status=409,
        members={"BucketName": bucket},
    )


def bucket_already_exists(bucket: str) -> CallerError:
    """Somebody else's bucket: names are shared by all accounts."""
    return CallerError(
        "BucketAlreadyExists",
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again.",
        status=409,
        members={"BucketName": bucket},
    )


def key_too_long(size: int) -> CallerError:
    """Keys are at most 1024 bytes of UTF-8."""
    return CallerError("KeyTooLongError", "Your key is too long", members={"Size": str(size), "MaxSizeAllowed": "1024"})


def precondition_failed(condition: str) -> CallerError:
    """A condition of the request does not hold; ``condition`` is the header's name."""
    return CallerError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        status=412,
        members={"Condition": condition},
    )


def invalid_argument(message: str, name: str, value: str) -> CallerError:
    """An argument is not what it may be."""
    return CallerError("InvalidArgument", message, members={"ArgumentName": name, "ArgumentValue": value})


def invalid_request(message: str) -> CallerError:
    """The parts of the request do not go together."""
    return CallerError("InvalidRequest", message)


def bad_digest(algorithm: str) -> CallerError:
    """What arrived is not what the client's checksum was made of."""
    name = "Content-MD5" if algorithm == "Content-MD5" else algorithm
    return CallerError("BadDigest", f"The {name} you specified did not match the calculated checksum.")


def invalid_part() -> CallerError:
    """A part named in the completing call is missing or another one."""
    return CallerError(
        "InvalidPart",
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
        "specified entity tag may not match the part's entity tag.",
    )


def invalid_part_order() -> CallerError:
    """The part list is not in ascending order."""
    return CallerError(
        "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."
    )


def entity_too_small(size: int, minimum: int, number: int, etag: str) -> CallerError:
    """A part other than the last is smaller than S3's minimum."""
    return CallerError(
        "EntityTooSmall",
        "Your proposed upload is smaller than the minimum allowed size",
        members={
            "ProposedSize": str(size),
            "MinSizeAllowed": str(minimum),
            "PartNumber": str(number),
            "ETag": etag,
        },
    )


def entity_too_large(size: int, maximum: int) -> CallerError:
    """More bytes than one object or part may have."""
    return CallerError(
        "EntityTooLarge",
        "Your proposed upload exceeds the maximum allowed size",
        members={"ProposedSize": str(size), "MaxSizeAllowed": str(maximum)},
    )


def incomplete_body() -> CallerError:
    """The connection ended before the announced number of bytes."""
    return CallerError(
        "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header"
    )


def disk_full() -> CallerError:
    """No room for more objects. Nothing of the request was kept; it can be repeated once there is room again."""
    return CallerError(
        "InsufficientStorage",
        "The disk that holds the objects is full. Nothing of this request was kept; free some space and try again.",
        status=507,
    )
