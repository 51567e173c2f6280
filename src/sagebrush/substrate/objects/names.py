"""Which bucket names and keys are legal."""

from __future__ import annotations

import re

from sagebrush.substrate.objects import errors

MAX_KEY_BYTES = 1024

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def check_bucket(name: str) -> str:
    """The name itself, or CallerError InvalidBucketName ("Bucket naming rules", Amazon S3 User Guide)."""
    legal = (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and _ADDRESS.fullmatch(name) is None
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )
    if not legal:
        raise errors.invalid_bucket_name(name)
    return name


def encode_key(key: str) -> bytes:
    """The key as it is stored and ordered: UTF-8. Raises CallerError for keys that are empty, too long or no text."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        raise errors.invalid_argument("The key is not valid UTF-8.", "Key", ascii(key)) from None
    if not encoded:
        raise errors.invalid_argument("A key must not be empty.", "Key", "")
    if len(encoded) > MAX_KEY_BYTES:
        raise errors.key_too_long(len(encoded))
    return encoded
