"""What clients send as a DMatrix: CSV, LibSVM and records of protobuf, read as the built-in algorithm reads them."""

from __future__ import annotations

import json
from typing import Any

from sagebrush.algorithms.xgboost import serving
from sagebrush.runtime.serving import codecs
from sagebrush.runtime.toolkits import UnsupportedFormatError


def csv_to_dmatrix(input: str | bytes, dtype: Any = None) -> Any:
    """Rows of numbers without a label; empty cells are missing values."""
    return _dmatrix(input, codecs.CSV)


def libsvm_to_dmatrix(string_like: str | bytes) -> Any:
    """Rows with or without a label, which is not looked at."""
    return _dmatrix(string_like, "text/libsvm")


def recordio_protobuf_to_dmatrix(string_like: bytes) -> Any:
    """Records without regard to their labels."""
    return _dmatrix(string_like, codecs.RECORDIO)


def json_to_jsonlines(json_data: Any) -> bytes:
    """The items of the only member of an object, a line each."""
    value = json_data if isinstance(json_data, dict) else json.loads(json_data)
    if len(value) != 1:
        raise ValueError("JSON response is not compatible for conversion to jsonlines.")
    (items,) = value.values()
    return "".join(json.dumps(item) + "\n" for item in items).encode()


def decode(obj: str | bytes, content_type: str) -> Any:
    """A DMatrix of what was sent. Raises UnsupportedFormatError, and Unreadable for what is not of that type."""
    kind = codecs.media_type(content_type)
    if kind not in (codecs.CSV, "text/libsvm", "text/x-libsvm", codecs.RECORDIO):
        raise UnsupportedFormatError(kind)
    return _dmatrix(obj, kind)


def _dmatrix(sent: str | bytes, kind: str) -> Any:
    return serving.script_input_fn(sent.encode() if isinstance(sent, str) else bytes(sent), kind)
