"""The files of a channel as a DMatrix, read as the built-in algorithm reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sagebrush.algorithms.xgboost import content

CSV, LIBSVM, PARQUET = content.CSV, content.LIBSVM, content.PARQUET


def get_content_type(content_type_cfg_val: str | None) -> str:
    """``csv``, ``libsvm`` or ``parquet``. Raises UserError."""
    return content.content_type("of the script", {"ContentType": content_type_cfg_val})[0]


def get_dmatrix(data_path: Any, content_type: str, csv_weights: int = 0, is_pipe: bool = False) -> Any:
    """The data set in these files or folders, label first; None where there are none. Raises UserError."""
    from sagebrush.algorithms.xgboost import reading

    paths = data_path if isinstance(data_path, list) else [data_path]
    files = [file for path in paths if path for file in content.data_files(Path(path))]
    if not files:
        return None
    return reading.matrix(get_content_type(content_type), files, csv_weights=bool(csv_weights), nthread=None)
