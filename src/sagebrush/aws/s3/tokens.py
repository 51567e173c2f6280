"""Continuation tokens of listings: where to go on. They hold nothing the caller does not know, so nothing is sealed."""

from __future__ import annotations

import base64
import binascii

from sagebrush.substrate.objects.errors import invalid_argument


def encode_token(position: str) -> str:
    """A position as an opaque token."""
    return base64.urlsafe_b64encode(b"1" + position.encode()).decode()


def decode_token(token: str) -> str:
    """The position of a token. Raises CallerError InvalidArgument for what is no token of ours."""
    try:
        decoded = base64.urlsafe_b64decode(token.encode())
        if decoded[:1] == b"1":
            return decoded[1:].decode()
    except (binascii.Error, UnicodeError, ValueError):
        pass
    raise invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
