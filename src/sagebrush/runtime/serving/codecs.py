"""What the default input_fn and output_fn understand: JSON, CSV and NumPy arrays, as SageMaker's inference toolkit."""

from __future__ import annotations

import csv
import io
import json
from functools import lru_cache
from typing import Any

JSON, CSV, NPY, NPZ, JSON_LINES = (
    "application/json",
    "text/csv",
    "application/x-npy",
    "application/x-npz",
    "application/jsonlines",
)
RECORDIO = "application/x-recordio-protobuf"
#: CSV from this length on is parsed by numpy's own reader: it starts slowly and is fast then.
_LONG_CSV = 1 << 16
#: So many characters of an error's text are told.
_MOST_TOLD = 300
_MISSING = frozenset({"", "na", "nan", "null", "none"})


class Refused(Exception):
    """A request that is not answered; the text says why, ``status`` whose fault it is."""

    status = 400


class NoContent(Refused):
    """Nothing was asked, so nothing is answered, without any fault."""

    status = 204


class Unreadable(Refused):
    """The request's content is not what its type says, or not what the model takes."""


class UnsupportedContentType(Refused):
    """The request's content is of a type that nobody here reads."""

    status = 415


class UnsupportedAccept(Refused):
    """The answer is wanted in a type that nobody here writes."""

    status = 406


# Clients send the same few headers again and again.
@lru_cache(maxsize=256)
def media_type(header: str) -> str:
    """A Content-Type or Accept without its parameters, in lower case."""
    return header.partition(";")[0].strip().lower()


@lru_cache(maxsize=256)
def accepted(header: str) -> tuple[str, ...]:
    """The media types that an Accept header lists."""
    return tuple(media_type(part) for part in header.split(","))


def named(value: object) -> str:
    """The kind of a value with its article: ``an ndarray``, ``a set``, ``None``."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def one_line(told: object) -> str:
    """What an error says, in one line and not at length: some errors repeat the whole body that was sent."""
    text = " ".join(str(told).split())
    return text if len(text) <= _MOST_TOLD else f"{text[:_MOST_TOLD]} ..."


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
        raise Unreadable(f"The body is not {content_type}: {one_line(error)}") from None
    raise UnsupportedContentType(
        f"Content type {content_type or '(none)'} is not supported; it may be {JSON}, {CSV}, {NPY} or {NPZ}."
    )


def text_of(body: bytes, content_type: str) -> str:
    """The body as text. Raises Unreadable."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(f"The body is not {content_type}: {error}") from None


def csv_table(text: str, mark: str = ",", dtype: str = "float64") -> Any:
    """Rows of numbers as a two-dimensional array; empty cells are NaN. Raises Unreadable.

    There are as many rows as lines: one that is empty, but for those at the ends, is a row with one empty cell.
    """
    import numpy as np

    text = text.strip(" \r\n")
    if not text:
        raise Unreadable("The body is empty: at least one line of CSV is needed.")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    try:
        # numpy's reader would leave out empty lines, and take any line break for the end of a row.
        if len(text) >= _LONG_CSV and "\n\n" not in text and "\r" not in text:
            return np.loadtxt(io.StringIO(text), dtype, delimiter=mark, comments=None, ndmin=2)
        rows = [[float(cell or "nan") for cell in line.split(mark)] for line in text.split("\n")]
        return np.array(rows, dtype)
    except ValueError:
        return np.array(_careful_rows(text, mark), dtype)


def _careful_rows(text: str, mark: str) -> list[list[float]]:
    """Cell by cell: with quotes and words for missing values, or an error that names line and column."""
    rows: list[list[float]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        row = [_number(cell, number, column) for column, cell in enumerate(line.split(mark), start=1)]
        if rows and len(row) != len(rows[0]):
            told = "is empty" if not line.strip() else f"has {len(row)} columns, the first has {len(rows[0])}"
            raise Unreadable(f"Line {number} of the CSV {told}.")
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
        try:
            return array.astype(np.float64)  # null is a missing number
        except (TypeError, ValueError):
            raise Unreadable("The rows of the JSON are not all lists of values of one kind.") from None
    return array


def encode(prediction: Any, accept: str) -> tuple[bytes, str]:
    """A prediction in the first type of ``accept`` that is known, and that type.

    Raises UnsupportedAccept, or TypeError and ValueError for what has no such form.
    """
    for kind in accepted(accept):
        if kind == JSON:
            return to_json(prediction).encode(), JSON
        if kind == CSV:
            return to_csv(prediction).encode(), CSV
        if kind == NPY:
            import numpy as np

            buffer = io.BytesIO()
            np.save(buffer, np.asarray(prediction), allow_pickle=False)
            return buffer.getvalue(), NPY
    raise UnsupportedAccept(f"Accept {accept} is not supported; it may be {JSON}, {CSV} or {NPY}.")


def to_csv(value: Any) -> str:
    """One row on each line; a vector has rows of one value. Numbers of 32 bits have as few digits as tell them apart.

    Raises TypeError for what has no rows.
    """
    if isinstance(value, dict | set):
        raise TypeError(f"Object of type {type(value).__name__} has no rows")
    value = _cells(value)
    rows = value if isinstance(value, list | tuple) else [value]
    file = io.StringIO()
    rows = [row if isinstance(row, list | tuple) else (row,) for row in map(_cells, rows)]
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _cells(value: Any) -> Any:
    """An array or data frame as lists; other values as they are. Raises TypeError for what cannot be shown."""
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    dtype = getattr(value, "dtype", None)
    if dtype is not None and dtype.kind == "f" and dtype.itemsize < 8:
        # As lists they would show the digits of the next number of 64 bits: 0.1 as 0.10000000149011612.
        return value.astype(str).tolist()
    return plain(value)


def plain(value: Any) -> Any:
    """Arrays, their scalars and data frames as Python's own lists and numbers. Raises TypeError for what is none."""
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, str | int | float | bool | list | tuple | dict | None):
        return value
    raise TypeError(f"Object of type {type(value).__name__} is neither an array nor of JSON")


#: JSON of arrays, their scalars and data frames at any depth. Raises TypeError and ValueError.
to_json = json.JSONEncoder(default=plain).encode
