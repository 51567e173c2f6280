"""What the default input_fn and output_fn understand: JSON, CSV and NumPy arrays, as SageMaker's inference toolkit."""

from __future__ import annotations

import io
import json
from typing import Any

JSON, CSV, NPY, NPZ, JSON_LINES = (
    "application/json",
    "text/csv",
    "application/x-npy",
    "application/x-npz",
    "application/jsonlines",
)
#: CSV from this length on is parsed by numpy's own reader: it starts slowly and is fast then.
_LONG_CSV = 1 << 16
_MISSING = frozenset({"", "na", "nan", "null", "none"})


class Refused(Exception):
    """A request that is not answered; the text says why, ``status`` whose fault it is."""

    status = 400


class Unreadable(Refused):
    """The request's content is not what its type says, or not what the model takes."""


class UnsupportedContentType(Refused):
    """The request's content is of a type that nobody here reads."""

    status = 415


class UnsupportedAccept(Refused):
    """The answer is wanted in a type that nobody here writes."""

    status = 406


def media_type(header: str) -> str:
    """A Content-Type or Accept without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()


def accepted(header: str) -> list[str]:
    """The media types that an Accept header lists."""
    return [media_type(part) for part in header.split(",")]


def decode(body: bytes, content_type: str) -> Any:
    """The request as a NumPy array, ``application/x-npz`` as a sparse matrix. Raises Refused.

    JSON is a list where there is no NumPy.
    """
    kind = media_type(content_type)
    if kind == CSV:
        return csv_table(text_of(body, content_type))
    try:
        if kind == JSON:
            return _array(json.loads(body))
        if kind == NPY:
            import numpy as np

            return np.load(io.BytesIO(body), allow_pickle=False)
        if kind == NPZ:
            import scipy.sparse

            return scipy.sparse.load_npz(io.BytesIO(body))
    except Refused:
        raise
    except Exception as error:
        # zipfile, zlib and numpy have as many exceptions as there are ways to be no array.
        raise Unreadable(f"The body is not {content_type}: {error}") from None
    raise UnsupportedContentType(
        f"Content type {content_type or '(none)'} is not supported; it may be {JSON}, {CSV}, {NPY} or {NPZ}."
    )


def text_of(body: bytes, content_type: str) -> str:
    """The body as text. Raises Unreadable."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not {content_type}: {error}") from None


def csv_table(text: str, mark: str = ",") -> Any:
    """Rows of numbers as a two-dimensional array of 64-bit floats; empty cells are NaN. Raises Unreadable."""
    import numpy as np

    try:
        if len(text) >= _LONG_CSV:
            return np.loadtxt(io.StringIO(text), delimiter=mark, comments=None, ndmin=2)
        rows = [line.split(mark) for line in text.splitlines() if line]
        if rows:
            return np.array(rows, np.float64)
    except ValueError:
        return np.array(_careful_rows(text, mark), np.float64)
    raise Unreadable("The body is empty: at least one line of CSV is needed.")


def _careful_rows(text: str, mark: str) -> list[list[float]]:
    """Cell by cell: with missing values and quotes, or an error that names line and column."""
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        row = [_number(cell, number, column) for column, cell in enumerate(line.split(mark), start=1)]
        if rows and len(row) != len(rows[0]):
            raise Unreadable(f"Line {number} of the CSV has {len(row)} columns, the first has {len(rows[0])}.")
        rows.append(row)
    return rows


def _number(cell: str, line: int, column: int) -> float:
    text = cell.strip().strip('"')
    if text.lower() in _MISSING:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise Unreadable(
            f"Line {line}, column {column} of the CSV is {text[:50]!r}, not a number. CSV has no header."
        ) from None


def _array(value: Any) -> Any:
    if isinstance(value, dict):
        raise Unreadable("The body is a JSON object where a list of rows is wanted.")
    try:
        import numpy as np
    except ModuleNotFoundError:
        return value
    array = np.array(value)
    if array.dtype == object:
        raise Unreadable("The rows of the JSON are not all lists of values of one kind.")
    return array


def encode(prediction: Any, accept: str) -> tuple[bytes, str]:
    """A prediction in the first type of ``accept`` that is known, and that type.

    Raises UnsupportedAccept, or TypeError and ValueError for what has no such form.
    """
    for kind in accepted(accept):
        if kind == JSON:
            return json.dumps(plain(prediction), default=plain).encode(), JSON
        if kind == CSV:
            return _csv(plain(prediction)), CSV
        if kind == NPY:
            import numpy as np

            buffer = io.BytesIO()
            np.save(buffer, np.asarray(prediction), allow_pickle=False)
            return buffer.getvalue(), NPY
    raise UnsupportedAccept(f"Accept {accept} is not supported; it may be {JSON}, {CSV} or {NPY}.")


def _csv(value: Any) -> bytes:
    """One row on each line; a vector has rows of one value."""
    if isinstance(value, dict | set):
        raise TypeError(f"Object of type {type(value).__name__} has no rows")
    rows = value if isinstance(value, list | tuple) else [value]
    lines = [",".join(map(str, row)) if isinstance(row, list | tuple) else str(plain(row)) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def plain(value: Any) -> Any:
    """Arrays, their scalars and data frames as Python's own lists and numbers. Raises TypeError for what is none."""
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, str | int | float | bool | list | tuple | dict | None):
        return value
    raise TypeError(f"Object of type {type(value).__name__} is neither an array nor of JSON")
