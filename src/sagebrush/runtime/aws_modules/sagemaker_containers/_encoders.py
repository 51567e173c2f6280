"""Arrays to JSON, CSV and npy, and back. CSV may hold words; what is squeezed and guessed is as handlers expect it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from sagebrush.runtime.serving import codecs
from sagebrush.runtime.toolkits import ClientError, UnsupportedFormatError


def array_to_json(array_like: Any) -> str:
    """JSON of lists, numbers and arrays at any depth."""
    return codecs.to_json(array_like)


def array_to_csv(array_like: Any) -> str:
    """A row on each line; a vector has one value on each."""
    return codecs.to_csv(array_like)


def array_to_npy(array_like: Any) -> bytes:
    """NumPy's own format."""
    return codecs.encode(array_like, codecs.NPY)[0]


def json_to_numpy(string_like: str | bytes, dtype: Any = None) -> Any:
    """The array of a JSON list."""
    import numpy as np

    return np.array(json.loads(string_like), dtype=dtype)


def npy_to_numpy(npy_array: bytes) -> Any:
    """The array of an npy file; not of one with pickled objects, which would run what its sender likes."""
    return codecs.decode(npy_array, codecs.NPY)


def csv_to_numpy(string_like: str | bytes, dtype: Any = None) -> Any:
    """Numbers, or text where not all are; one row or one column is a vector. Raises ClientError."""
    import numpy as np

    text = string_like.decode() if isinstance(string_like, bytes) else string_like
    try:
        array = np.array(list(csv.reader(io.StringIO(text.strip("\r\n")), strict=True))).squeeze()
    except (ValueError, csv.Error) as error:
        raise ClientError(f"Error while decoding csv: {error}") from None
    try:
        return array.astype(dtype or np.float64)
    except ValueError as error:
        if dtype is None:
            return array
        raise ClientError(f"Error while writing numpy array: {error}. dtype is: {dtype}") from None


_ENCODERS = {codecs.JSON: array_to_json, codecs.CSV: array_to_csv, codecs.NPY: array_to_npy}
_DECODERS = {codecs.JSON: json_to_numpy, codecs.CSV: csv_to_numpy, codecs.NPY: npy_to_numpy}


def encode(array_like: Any, content_type: str) -> str | bytes:
    """Text for JSON and CSV, bytes for npy. Raises UnsupportedFormatError."""
    encoder: Any = _ENCODERS.get(codecs.media_type(content_type))
    if encoder is None:
        raise UnsupportedFormatError(content_type, status=406)
    encoded: str | bytes = encoder(array_like)
    return encoded


def decode(obj: Any, content_type: str) -> Any:
    """The array. Raises UnsupportedFormatError."""
    decoder: Any = _DECODERS.get(codecs.media_type(content_type))
    if decoder is None:
        raise UnsupportedFormatError(content_type)
    return decoder(obj)
