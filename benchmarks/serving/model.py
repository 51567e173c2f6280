"""The model of the comparison: logistic regression on rows of twenty numbers, fitted in the platform's environment."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.journeys.running import ENVIRONMENTS
from tests.journeys.serving import SKLEARN_IMAGE, archive_of

from sagebrush.substrate.compute import Environments

_MAKE = """
import json, sys, joblib
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
X, y = make_classification(n_samples=2000, n_features=20, random_state=7)
model = LogisticRegression().fit(X, y)
joblib.dump(model, sys.argv[1])
print(json.dumps({"row": X[0].tolist(), "prediction": int(model.predict(X[:1])[0])}))
"""

#: The handlers a SageMaker user writes for this model; what they do is what every peer's own code does.
_HANDLERS = """
import json, os
import joblib, numpy

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))

def input_fn(body, content_type):
    return numpy.asarray([json.loads(body)])

def predict_fn(rows, model):
    return int(model.predict(rows)[0])

def output_fn(prediction, accept):
    return json.dumps({"prediction": prediction}), "application/json"
"""

#: The same work without a server: processor microseconds for one call. Arguments: model, JSON text, number of calls.
_BARE = """
import json, sys, time
import joblib, numpy
model, body, calls = joblib.load(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
def call():
    return json.dumps({"prediction": int(model.predict(numpy.asarray([json.loads(body)]))[0])})
for _ in range(calls // 10): call()
start = time.process_time()
for _ in range(calls): call()
print((time.process_time() - start) / calls * 1e6)
"""


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model in a file, a row, and what it predicts for the row."""

    python: Path
    path: Path
    row: list[float]
    prediction: int

    def artefact(self) -> bytes:
        """model.tar.gz with the handlers."""
        return archive_of({"model.joblib": self.path.read_bytes(), "code/inference.py": _HANDLERS})

    def bare_cpu_us(self, calls: int = 5000) -> float:
        """Processor time of one call without any server, measured now."""
        command = [str(self.python), "-c", _BARE, str(self.path), json.dumps(self.row), str(calls)]
        environ = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return float(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)


def make(folder: Path) -> Model:
    """Fit it; builds the environment where it is missing."""
    environments = Environments(ENVIRONMENTS)
    spec = environments.resolve(SKLEARN_IMAGE)
    assert spec is not None
    python = environments.ensure(spec, lambda line: print(line, flush=True)).python
    path = folder / "model.joblib"
    printed = subprocess.run([str(python), "-c", _MAKE, str(path)], capture_output=True, text=True, check=True).stdout
    return Model(python, path, **json.loads(printed))
