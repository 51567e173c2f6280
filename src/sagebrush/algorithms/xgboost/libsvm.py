"""Reading LibSVM: ``label[:weight] [qid:group] index:value ...`` on each line, ``#`` begins a comment.

Plain files (no weights, groups or comments) are parsed by numpy in one go; whatever is not plain, or wrong, goes line
by line, so that a mistake is told with its line.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from sagebrush.runtime.outcome import UserError


@dataclass
class _Rows:
    """Sparse rows as they are collected; ``lengths`` counts the features of each row."""

    labels: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    groups: list[Any] = field(default_factory=list)
    lengths: list[Any] = field(default_factory=list)
    columns: list[Any] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


def matrix(files: list[Path], threads: int) -> xgb.DMatrix:
    """The data set in these files. Features are numbered from 0. Raises UserError with file and line."""
    from scipy.sparse import csr_matrix

    rows = _Rows()
    for path in files:
        text = path.read_bytes()
        if not _read_plain(text, rows):
            _read_lines(path.name, text, rows)
    labels, lengths = np.concatenate(rows.labels), np.concatenate(rows.lengths)
    columns, values = np.concatenate(rows.columns), np.concatenate(rows.values)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    width = int(columns.max()) + 1 if columns.size else 0
    weights, groups = np.concatenate(rows.weights), np.concatenate(rows.groups)
    if groups.size not in (0, labels.size):
        raise UserError("Some lines of the LIBSVM data have a qid and others have none.")
    return xgb.DMatrix(
        csr_matrix((values, columns, starts), shape=(labels.size, width)),
        label=labels,
        weight=None if (weights == 1).all() else weights,
        qid=groups if groups.size else None,
        nthread=threads or None,
    )


def _read_plain(text: bytes, rows: _Rows) -> bool:
    """Parse all lines at once; False, with nothing added, when they are not all plain."""
    if b"#" in text or b"qid" in text:
        return False
    lengths = array("q")
    for line in text.splitlines():
        fields = len(line.split())
        if fields:
            if line.count(b":") != fields - 1:
                return False
            lengths.append(fields - 1)
    counts = np.array(lengths, np.int64)
    try:
        numbers = np.array(text.replace(b":", b" ").split(), np.float64)
    except ValueError:
        return False
    if numbers.size != counts.size + 2 * counts.sum():
        return False
    at = np.concatenate([[0], np.cumsum(1 + 2 * counts)])[:-1].astype(np.int64)
    is_label = np.zeros(numbers.size, bool)
    is_label[at] = True
    pairs = numbers[~is_label]
    columns = pairs[0::2]
    if columns.size and (columns < 0).any() | (columns != np.floor(columns)).any():
        return False
    rows.labels.append(numbers[is_label].astype(np.float32))
    rows.weights.append(np.ones(counts.size, np.float32))
    rows.groups.append(np.empty(0, np.int64))
    rows.lengths.append(counts)
    rows.columns.append(columns.astype(np.int64))
    rows.values.append(pairs[1::2].astype(np.float32))
    return True


def _read_lines(name: str, text: bytes, rows: _Rows) -> None:
    labels, weights, groups = array("f"), array("f"), array("q")
    lengths, columns, values = array("q"), array("q"), array("f")
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines(), start=1):
        parts = line.split("#")[0].split()
        if not parts:
            continue
        try:
            label, _, weight = parts[0].partition(":")
            labels.append(float(label))
            weights.append(float(weight) if weight else 1.0)
            pairs = [pair.split(":") for pair in parts[1:]]
            if pairs and pairs[0][0] == "qid":
                groups.append(int(pairs.pop(0)[1]))
            for index, value in pairs:
                columns.append(_index(index))
                values.append(float(value))
            lengths.append(len(pairs))
        except (ValueError, IndexError, OverflowError) as error:
            raise UserError(f"Failed to load libsvm data with exception:\n{name}, line {number}: {error}") from None
    rows.labels.append(np.array(labels, np.float32))
    rows.weights.append(np.array(weights, np.float32))
    rows.groups.append(np.array(groups, np.int64))
    rows.lengths.append(np.array(lengths, np.int64))
    rows.columns.append(np.array(columns, np.int64))
    rows.values.append(np.array(values, np.float32))


def _index(text: str) -> int:
    index = int(text)
    if index < 0:
        raise ValueError(f"{text} is not a feature number")
    return index
