"""The aws-chunked encoding: framing, chunk signatures and trailers, however the network cuts the body."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire.chunked import ChunkDecoder
from sagebrush.substrate.wire.sigv4 import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    ChunkSigning,
    Verified,
    signing_key,
)

#: The worked example of Amazon's "Signature calculations for the authorization header: transferring payload in
#: multiple chunks": 65 KiB and 1 KiB of "a", with these signatures.
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
FIRST = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
SECOND = "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
LAST = "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
EXAMPLE = ChunkSigning(
    signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3"),
    "20130524T000000Z",
    "20130524/us-east-1/s3/aws4_request",
    SEED,
)
SIGNED = Verified("p", "AKIAIOSFODNN7EXAMPLE", STREAMING_SIGNED, chunks=EXAMPLE)
UNSIGNED = Verified("p", "AKIAIOSFODNN7EXAMPLE", STREAMING_UNSIGNED_TRAILER)
BODY = (
    f"10000;chunk-signature={FIRST}\r\n".encode()
    + b"a" * 65536
    + f"\r\n400;chunk-signature={SECOND}\r\n".encode()
    + b"a" * 1024
    + f"\r\n0;chunk-signature={LAST}\r\n\r\n".encode()
)


def decoded(
    verified: Verified, body: bytes, size: int = 10**9, length: int | None = None
) -> tuple[bytes, dict[str, str]]:
    decoder = ChunkDecoder(verified, decoded_length=length)
    data = b"".join(decoder.feed(body[at : at + size]) for at in range(0, len(body), size))
    decoder.close()
    return data, decoder.trailers


def refused(verified: Verified, body: bytes, length: int | None = None) -> str:
    with pytest.raises(CallerError) as caught:
        decoded(verified, body, length=length)
    return caught.value.code


def with_trailers(pairs: Sequence[tuple[str, str]], signature: str | None = None) -> bytes:
    """The example's body with trailers, signed as the documentation says."""
    text = "".join(f"{name}:{value}\n" for name, value in pairs)
    to_sign = (
        f"AWS4-HMAC-SHA256-TRAILER\n{EXAMPLE.timestamp}\n{EXAMPLE.scope}\n{LAST}\n"
        f"{hashlib.sha256(text.encode()).hexdigest()}"
    )
    signed = hmac.new(EXAMPLE.signing_key, to_sign.encode(), "sha256").hexdigest()
    lines = "".join(f"{name}:{value}\r\n" for name, value in pairs)
    return BODY[:-2] + f"{lines}x-amz-trailer-signature:{signature or signed}\r\n\r\n".encode()


@pytest.mark.parametrize("size", [1, 7, 1000, 65537, 10**9])
def test_amazons_own_example_is_accepted_however_it_is_cut(size: int) -> None:
    data, trailers = decoded(SIGNED, BODY, size, length=66560)
    assert data == b"a" * 66560
    assert trailers == {}


def test_a_changed_byte_a_missing_chunk_or_another_order_breaks_the_chain() -> None:
    first_end = BODY.index(b"\r\n400;")
    second_end = BODY.index(b"\r\n0;")
    assert refused(SIGNED, BODY.replace(b"aaaa", b"aaab", 1)) == "SignatureDoesNotMatch"
    assert refused(SIGNED, BODY[first_end + 2 :]) == "SignatureDoesNotMatch"
    assert refused(SIGNED, BODY[: first_end + 2] + BODY[second_end + 2 :]) == "SignatureDoesNotMatch"
    assert refused(SIGNED, BODY.replace(LAST.encode(), SECOND.encode())) == "SignatureDoesNotMatch"
    other = replace(SIGNED, chunks=replace(EXAMPLE, seed=FIRST))
    assert refused(other, BODY) == "SignatureDoesNotMatch"


def test_signed_chunks_without_signatures_are_refused() -> None:
    assert refused(SIGNED, b"3\r\nabc\r\n0\r\n\r\n") == "InvalidRequest"


def test_signed_trailers_are_given_out_and_checked() -> None:
    verified = replace(SIGNED, payload=STREAMING_SIGNED_TRAILER)
    pairs = [("x-amz-checksum-crc32c", "wdBDMA==")]
    data, trailers = decoded(verified, with_trailers(pairs))
    assert (len(data), trailers) == (66560, dict(pairs))
    assert refused(verified, with_trailers(pairs).replace(b"wdBDMA==", b"xdBDMA==")) == "SignatureDoesNotMatch"
    assert refused(verified, with_trailers(pairs, "0" * 64)) == "SignatureDoesNotMatch"
    assert refused(verified, BODY) == "SignatureDoesNotMatch"


def test_trailers_belong_to_forms_that_announce_them() -> None:
    assert refused(SIGNED, BODY[:-2] + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n") == "InvalidRequest"


@pytest.mark.parametrize("size", [1, 3, 10**9])
def test_unsigned_chunks_carry_trailers(size: int) -> None:
    body = b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Amz-Checksum-CRC32: hYfY8A==\r\n\r\n"
    assert decoded(UNSIGNED, body, size) == (b"abcde", {"x-amz-checksum-crc32": "hYfY8A=="})


def test_framing_of_signed_chunks_is_read_without_checking_where_no_key_is_known() -> None:
    assert decoded(UNSIGNED, BODY)[0] == b"a" * 66560


@pytest.mark.parametrize(
    "body",
    [b"", b"3", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n", b"3\r\nabc\r\n0", b"3\r\nabc\r\n0\r\n", b"0\r\na:b\r\n"],
)
def test_a_body_that_ends_too_early_is_incomplete(body: bytes) -> None:
    assert refused(UNSIGNED, body) == "IncompleteBody"


@pytest.mark.parametrize(
    "body",
    [
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"0x1\r\na\r\n",
        b"1 \r\na\r\n",
        b"11111111111111111\r\n",
        b"3\r\nabcd\r\n",
        b"0\r\n\r\nmore",
        b"0\r\nno colon\r\n\r\n",
        b"a" * 9000,
        b"0\r\na:b\r\na:c\r\n\r\n",
        b"0\r\n" + b"".join(b"t%d:b\r\n" % number for number in range(40)),
        b"3;chunk-signature=zz\r\nabc\r\n",
    ],
)
def test_framing_that_is_none_is_refused(body: bytes) -> None:
    assert refused(UNSIGNED, body) == "InvalidRequest"


def test_the_announced_length_must_come_and_no_more() -> None:
    body = b"3\r\nabc\r\n0\r\n\r\n"
    assert decoded(UNSIGNED, body, length=3)[0] == b"abc"
    assert refused(UNSIGNED, body, length=2) == "IncompleteBody"
    assert refused(UNSIGNED, body, length=4) == "IncompleteBody"


def test_memory_does_not_grow_with_the_size_of_a_chunk() -> None:
    decoder = ChunkDecoder(UNSIGNED)
    decoder.feed(b"ffffffff\r\n")
    for _ in range(10):
        assert len(decoder.feed(b"x" * 100_000)) == 100_000
    assert len(decoder._buffer) == 0


def test_signed_chunks_cannot_be_read_without_their_key() -> None:
    with pytest.raises(ValueError, match="without their key"):
        ChunkDecoder(Verified("p", "a", STREAMING_SIGNED))
