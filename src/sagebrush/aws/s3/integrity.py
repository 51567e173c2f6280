"""What a client says about its payload, and whether it holds.

Content-MD5, one flexible checksum (header or trailer) and the signed SHA-256 are compared with what arrived; see
"Checking object integrity in Amazon S3", Amazon S3 User Guide.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sagebrush.aws.s3.numbers import whole_number
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects import checksums
from sagebrush.substrate.objects.errors import bad_digest, incomplete_body, invalid_request

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_HEADER = "x-amz-checksum-"
_BY_HEADER = {f"{_HEADER}{name.lower()}": name for name in checksums.ALGORITHMS}


@dataclass(frozen=True, slots=True)
class Claims:
    """What the client says its payload is.

    ``checksum`` is empty while it is to come in a trailer. ``sha256`` is the hexadecimal digest that was signed;
    empty when none was. ``length`` is in bytes, without the transfer's own framing.
    """

    length: int | None = None
    md5: bytes | None = None
    algorithm: str = ""
    checksum: str = ""
    trailing: bool = False
    sha256: str = ""

    @property
    def needed(self) -> set[str]:
        """The digests to compute while the payload arrives."""
        return ({self.algorithm} if self.algorithm else set()) | ({"SHA256"} if self.sha256 else set())


def read_claims(headers: Mapping[str, str], *, sha256: str = "", chunked: bool = False) -> Claims:
    """The claims of a request. Raises CallerError InvalidDigest or InvalidRequest for claims that cannot be true."""
    found = {name: headers[header] for header, name in _BY_HEADER.items() if header in headers}
    if len(found) > 1:
        raise invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    algorithm, checksum = next(iter(found.items()), ("", ""))
    if checksum and not checksums.well_formed(algorithm, checksum):
        raise invalid_request(f"Value for {_HEADER}{algorithm.lower()} header is invalid.")
    named = headers.get("x-amz-sdk-checksum-algorithm", "").upper()
    trailer = _BY_HEADER.get(headers.get("x-amz-trailer", "").strip().lower(), "") if chunked else ""
    if named and named not in checksums.ALGORITHMS:
        raise invalid_request("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    return Claims(
        length=_length(headers, decoded=chunked),
        md5=_md5(headers.get("content-md5")),
        algorithm=algorithm or trailer or named,
        checksum=checksum,
        trailing=bool(trailer) and not checksum,
        sha256=sha256,
    )


def verify(claims: Claims, size: int, digests: Mapping[str, bytes], trailers: Mapping[str, str]) -> None:
    """Compare the claims with what arrived. Raises CallerError IncompleteBody, BadDigest or the like."""
    if claims.length is not None and claims.length != size:
        raise incomplete_body()
    if claims.md5 is not None and claims.md5 != digests["MD5"]:
        raise bad_digest("Content-MD5")
    expected = claims.checksum
    if claims.trailing:
        expected = trailers.get(f"{_HEADER}{claims.algorithm.lower()}", "")
        if not expected:
            raise CallerError("MalformedTrailerError", "The request contained trailing data that was not well-formed.")
    if expected and expected != checksums.encode(digests[claims.algorithm]):
        raise bad_digest(claims.algorithm)
    if claims.sha256 and claims.sha256 != digests["SHA256"].hex():
        raise CallerError(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            members={
                "ClientComputedContentSHA256": claims.sha256,
                "S3ComputedContentSHA256": digests["SHA256"].hex(),
            },
        )


def verify_body(claims: Claims, body: bytes, trailers: Mapping[str, str]) -> None:
    """The same for a payload that is all in memory. An empty one that only says so is not worth hashing."""
    if not body and claims.sha256 in ("", EMPTY_SHA256) and claims.md5 is None and not claims.algorithm:
        return
    hashes = checksums.Hashes(claims.needed)
    hashes.update(body)
    verify(claims, len(body), hashes.finish(), trailers)


def _length(headers: Mapping[str, str], *, decoded: bool) -> int | None:
    text = headers.get("x-amz-decoded-content-length" if decoded else "content-length")
    if text is None:
        return None
    length = whole_number(text)
    if length is None:
        raise CallerError("InvalidArgument", "The content length is not a number.")
    return length


def _md5(header: str | None) -> bytes | None:
    if header is None:
        return None
    try:
        digest = base64.b64decode(header, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != 16:
        raise CallerError(
            "InvalidDigest", "The Content-MD5 you specified was invalid.", members={"Content-MD5": header}
        )
    return digest
