"""JSON, CSV, npy and npz to arrays."""

from __future__ import annotations

import io
import json
from typing import Any

from sagebrush.runtime.serving import codecs
from sagebrush.runtime.toolkits import UnsupportedFormatError


def decode(obj: Any, content_type: str) -> Any:
    """The array; of npz the sparse matrix. CSV is guessed column by column. Raises UnsupportedFormatError."""
    import numpy as np

    kind = codecs.media_type(content_type)
    if kind == codecs.JSON:
        return np.array(json.loads(obj))
    if kind == codecs.CSV:
        text = obj.decode() if isinstance(obj, bytes | bytearray) else obj
        return np.genfromtxt(io.StringIO(text), dtype=None, delimiter=",", encoding=None)
    if kind in (codecs.NPY, codecs.NPZ):
        return codecs.decode(obj, kind)
    raise UnsupportedFormatError(content_type)
