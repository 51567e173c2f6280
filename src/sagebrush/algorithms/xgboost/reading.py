"""Reading a channel's files into a matrix: label in the first column, or before the features in LibSVM.

All files of a channel are one data set, in the order of their names. Missing CSV and Parquet cells are missing values;
LibSVM numbers features from 0, as xgboost does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from sagebrush.algorithms.xgboost import content, libsvm
from sagebrush.runtime.outcome import UserError


def matrix(kind: str, files: list[Path], *, csv_weights: bool, nthread: int | None) -> xgb.DMatrix:
    """The data set in these files. Raises UserError for what cannot be read, naming the file."""
    threads = nthread or 0
    if kind == content.LIBSVM:
        return libsvm.matrix(files, threads)
    read = _csv_table if kind == content.CSV else _parquet_table
    tables = [read(path) for path in files]
    widths = {table.shape[1] for table in tables}
    if len(widths) > 1:
        told = ", ".join(f"{path.name}: {table.shape[1]}" for path, table in zip(files, tables, strict=True))
        raise UserError(f"The files of a channel have different numbers of columns ({told}).")
    table = tables[0] if len(tables) == 1 else np.concatenate(tables)
    weighted = csv_weights and kind == content.CSV
    if table.shape[1] < (3 if weighted else 2):
        needed = "a label, a weight and features" if weighted else "a label and features"
        raise UserError(f"File '{files[0].name}' has {table.shape[1]} column(s); it needs {needed}.")
    label = table[:, 0]
    if np.isnan(label).any():
        raise UserError(f"The label in row {int(np.isnan(label).argmax()) + 1} of the channel is missing.")
    weight = table[:, 1] if weighted else None
    features = table[:, 2:] if weighted else table[:, 1:]
    return xgb.DMatrix(features, label=label, weight=weight, nthread=threads or None)


def _csv_table(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    with path.open(encoding="utf-8", errors="replace") as file:
        line = file.readline()
    mark = content.delimiter(line)
    # Unnamed columns are called f0, f1 ...; stating their type also parses faster than inferring it.
    types = {f"f{index}": pa.float32() for index in range(line.count(mark) + 1)}
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(autogenerate_column_names=True),
            parse_options=csv.ParseOptions(delimiter=mark),
            convert_options=csv.ConvertOptions(column_types=types),
        )
    except pa.ArrowInvalid as error:
        raise UserError(f"Failed to load csv data with exception:\n{path.name}: {error}") from None
    return _to_numpy(table)


def _parquet_table(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return _to_numpy(parquet.read_table(path))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise UserError(f"Failed to load parquet data with exception:\n{path.name}: {error}") from None


def _to_numpy(table: Any) -> Any:
    """Columns side by side as 32-bit floats, nulls as NaN."""
    values = np.empty((table.num_rows, table.num_columns), dtype=np.float32)
    for index, column in enumerate(table.columns):
        values[:, index] = column.to_numpy(zero_copy_only=False).astype(np.float32)
    return values
