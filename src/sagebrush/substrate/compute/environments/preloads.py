"""What a zygote imports for the jobs of an environment: what takes long, is used by most, and starts no thread."""

from __future__ import annotations

from typing import Final

_RUNTIME: Final = (
    "sagebrush.runtime.script",
    "sagebrush.runtime.serving.server",
    "sagebrush.runtime.serving.birth",
    "sagebrush.runtime.serving.worker",
    "runpy",
    "argparse",
    "json",
    "logging",
    "subprocess",
    "shlex",
    "tempfile",
)
#: What is loaded when all the rest is.
_LAST: Final = ("sagebrush.runtime.thread_pools",)
_TABLES: Final = ("numpy", "numpy.random", "pandas", "pyarrow", "scipy.sparse", "scipy.stats", "boto3")
_SKLEARN: Final = (
    "joblib",
    "sklearn",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
)
_MODULES: Final = {
    "python": _TABLES,
    "sklearn": (*_TABLES, *_SKLEARN, "sagebrush.algorithms.sklearn.serving"),
    "pytorch": (*_TABLES, "torch", "torch.distributed", "torch.nn", "torch.utils.data"),
    "xgboost": (
        *_TABLES,
        *_SKLEARN,
        "xgboost",
        "sagebrush.algorithms.xgboost.training",
        "sagebrush.algorithms.xgboost.serving",
    ),
}


def modules_of(environment: str) -> tuple[str, ...]:
    """The modules, in the order of their import; empty where jobs of the environment always start cold."""
    modules = _MODULES.get(environment, ())
    return (*_RUNTIME, *modules, *_LAST) if modules else ()
