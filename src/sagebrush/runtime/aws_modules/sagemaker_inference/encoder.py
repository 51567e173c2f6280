"""Arrays to JSON, CSV and npy."""

from __future__ import annotations

from typing import Any

from sagebrush.runtime.serving import codecs
from sagebrush.runtime.toolkits import UnsupportedFormatError

SUPPORTED_CONTENT_TYPES = {codecs.NPY, codecs.CSV, codecs.JSON}


def encode(array_like: Any, content_type: str) -> str | bytes:
    """Text for JSON and CSV, bytes for npy. Raises UnsupportedFormatError."""
    kind = codecs.media_type(content_type)
    if kind == codecs.JSON:
        return codecs.to_json(array_like)
    if kind == codecs.CSV:
        return codecs.to_csv(array_like)
    if kind == codecs.NPY:
        return codecs.encode(array_like, kind)[0]
    raise UnsupportedFormatError(content_type, status=406)
