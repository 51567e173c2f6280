from __future__ import annotations

from pathlib import Path

import pytest

from tests.algorithms import environment


@pytest.fixture(scope="session")
def algorithm_environment() -> environment.AlgorithmEnvironment:
    return environment.ensure()


_EXPORT = """
import sys, json, pathlib, numpy as np
from sklearn import datasets
target = pathlib.Path(sys.argv[1])
for name in ("breast_cancer", "diabetes", "digits"):
    x, y = getattr(datasets, "load_" + name)(return_X_y=True)
    order = np.random.default_rng(7).permutation(len(y))
    table = np.column_stack([y, x])[order].astype(np.float32)
    cut = int(len(y) * 0.8)
    for part, rows in (("train", table[:cut]), ("validation", table[cut:])):
        np.savetxt(target / f"{name}-{part}.csv", rows, delimiter=",", fmt="%.9g")
        with open(target / f"{name}-{part}.libsvm", "w") as file:
            for row in rows:
                cells = " ".join(f"{i}:{v:.9g}" for i, v in enumerate(row[1:]) if v)
                file.write(f"{row[0]:g} {cells}\\n")
        import pyarrow as pa, pyarrow.parquet as pq
        pq.write_table(pa.table({f"c{i}": rows[:, i] for i in range(rows.shape[1])}), target / f"{name}-{part}.parquet")
print(json.dumps("done"))
"""


@pytest.fixture(scope="session")
def datasets(algorithm_environment: environment.AlgorithmEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``<data set>-<train|validation>.<csv|libsvm|parquet>`` of scikit-learn's real data sets, 32-bit exact."""
    target = tmp_path_factory.mktemp("datasets")
    assert algorithm_environment.compute(_EXPORT, target) == "done"
    return target
