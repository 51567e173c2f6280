"""What the default input_fn and output_fn understand: JSON, CSV and NumPy arrays, as SageMaker's inference toolkit."""

from __future__ import annotations

import io
import json
from typing import Any

JSON, CSV, NPY, JSON_LINES = "application/json", "text/csv", "application/x-npy", "application/jsonlines"


class UnsupportedContentType(Exception):
    """The request's content is of a type nobody here reads: 415."""


class UnsupportedAccept(Exception):
    """The answer is wanted in a type nobody here writes: 406."""


class Unreadable(Exception):
    """The request's content is not what its type says: 400."""


def media_type(header: str) -> str:
    """A Content-Type or Accept without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()


def decode(body: bytes, content_type: str) -> Any:
    """The request as a NumPy array. Raises UnsupportedContentType or Unreadable."""
    import numpy as np

    kind = media_type(content_type)
    try:
        if kind == JSON:
            return np.array(json.loads(body))
        if kind == CSV:
            return np.array([[float(cell) for cell in line.split(",")] for line in body.decode().split()], np.float64)
        if kind == NPY:
            return np.load(io.BytesIO(body), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise Unreadable(f"the body is no {content_type}: {error}") from None
    raise UnsupportedContentType(f"Content type {content_type or '(none)'} is not supported: {JSON}, {CSV} or {NPY}.")


def encode(prediction: Any, accept: str) -> bytes:
    """A prediction in the type that is wanted. Raises UnsupportedAccept, TypeError for what has no such form."""
    kind = media_type(accept)
    if kind == JSON:
        return json.dumps(plain(prediction)).encode()
    if kind == CSV:
        rows = plain(prediction)
        return "\n".join(",".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows).encode()
    if kind == NPY:
        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, np.asarray(prediction), allow_pickle=False)
        return buffer.getvalue()
    raise UnsupportedAccept(f"Accept {accept} is not supported: {JSON}, {CSV} or {NPY}.")


def plain(value: Any) -> Any:
    """Arrays and their scalars as Python's own lists and numbers."""
    return value.tolist() if hasattr(value, "tolist") else value
