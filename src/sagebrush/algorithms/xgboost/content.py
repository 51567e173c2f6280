"""Content types and files of a channel: what they are, which count, and whether they look like what they claim to be.

The messages are those of aws/sagemaker-xgboost-container (``data_utils.py``) where it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagebrush.runtime.outcome import UserError

CSV, LIBSVM, PARQUET = "csv", "libsvm", "parquet"
_TYPES = {
    "csv": CSV,
    "text/csv": CSV,
    "libsvm": LIBSVM,
    "text/libsvm": LIBSVM,
    "text/x-libsvm": LIBSVM,
    "parquet": PARQUET,
    "application/x-parquet": PARQUET,
}
_RECORDIO = ("recordio-protobuf", "application/x-recordio-protobuf")
_DEPTH = 3
_SNIPPET = 50


def content_type(channel: str, config: Mapping[str, Any]) -> tuple[str, bool]:
    """(csv, libsvm or parquet; whether it was stated). LibSVM is the container's default. Raises UserError."""
    stated = config.get("ContentType")
    if not stated:
        return LIBSVM, False
    name, *parameters = (part.strip() for part in str(stated).lower().split(";"))
    if name in _RECORDIO:
        raise UserError(f"Channel {channel}: ContentType {stated} is not supported yet; use text/csv or parquet.")
    if name not in _TYPES:
        raise UserError(f"{stated} is not an accepted ContentType: {', '.join(_TYPES)}.")
    kind = _TYPES[name]
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if kind == CSV and key.strip() == "label_size" and value.strip() != "1":
            raise UserError(
                f"{stated} is not an accepted csv ContentType. Optional parameter label_size must be equal to 1"
            )
    return kind, True


def check_input_mode(channel: str, config: Mapping[str, Any]) -> None:
    """Raise UserError for Pipe mode, which current containers have given up too."""
    if config.get("TrainingInputMode") == "Pipe":
        raise UserError(
            f"Channel {channel}: Pipe mode is no longer supported. Please use Fast File mode or File mode instead: set "
            "input_mode='File' in your SageMaker Estimator or TrainingInput."
        )


def data_files(directory: Path) -> list[Path]:
    """The data files of a channel, at most three folders deep, in the order of their names; no hidden ones."""
    if directory.is_file():
        return [directory]
    if not directory.is_dir():
        return []
    found = []
    for path in sorted(directory.rglob("*")):
        inner = path.relative_to(directory).parts
        if len(inner) <= _DEPTH and path.is_file() and not path.name.startswith((".", "_")) and path.stat().st_size:
            found.append(path)
    return found


def check_looks(kind: str, stated: bool, files: list[Path]) -> None:
    """Raise UserError when the first line of a file cannot be of that kind; says so when it is plainly another."""
    for path in files:
        with path.open("rb") as file:
            head = file.read(4)
            line = (head + file.readline(1 << 20)).decode("utf-8", "replace").splitlines()[0]
        is_parquet = head == b"PAR1"
        if kind == PARQUET:
            if not is_parquet:
                raise UserError(f"File '{path.name}' is not 'PARQUET' format: it does not begin with PAR1.")
        elif is_parquet:
            raise UserError(_wrong(path, line, kind) + " It is a Parquet file: set ContentType application/x-parquet.")
        elif kind == CSV:
            _check_csv(path, line)
        elif not _is_libsvm(line):
            raise UserError(_wrong(path, line, kind) + _csv_hint(line, stated))


def _check_csv(path: Path, line: str) -> None:
    if _is_libsvm(line) and ":" in line and "," not in line:
        raise UserError(_wrong(path, line, CSV) + " It looks like LIBSVM: set ContentType text/libsvm.")
    bad = next((cell for cell in _cells(line) if cell and not _is_number(cell)), None)
    if bad is not None:
        raise UserError(
            f"{_wrong(path, line, CSV)} '{bad}' is not a number: CSV for XGBoost has no header, the label in its first "
            "column, and numbers only."
        )


def _csv_hint(line: str, stated: bool) -> str:
    cells = _cells(line)
    if len(cells) < 2:
        return ""
    missing = "" if stated else " No ContentType was given, which means LIBSVM."
    return f"{missing} It looks like CSV: set ContentType text/csv, e.g. TrainingInput(..., content_type='text/csv')."


def _wrong(path: Path, line: str, kind: str) -> str:
    return (
        f"First line '{line[:_SNIPPET]}...' of file '{path.name}' is not '{kind.upper()}' format. Please ensure the "
        f"file is in '{kind.upper()}' format."
    )


def delimiter(line: str) -> str:
    """What separates the cells of a CSV line: comma, semicolon, tab, bar or, failing those, blank."""
    return next((mark for mark in ",;\t|" if mark in line), " " if " " in line.strip() else ",")


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.strip().split(delimiter(line))]


def _is_libsvm(line: str) -> bool:
    """``label[:weight] [qid:n] index:value ...``"""
    parts = line.split("#")[0].split()
    if not parts:
        return True
    label, *features = parts
    if not all(_is_number(part) for part in label.split(":")) or label.count(":") > 1:
        return False
    pairs = [feature.split(":") for feature in features]
    return all(len(pair) == 2 and (pair[0] == "qid" or pair[0].isdigit()) and _is_number(pair[1]) for pair in pairs)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in ("na", "null")
    return True
