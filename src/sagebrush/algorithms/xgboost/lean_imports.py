"""Keeping scikit-learn and pandas out of a process of the built-in algorithm.

xgboost and pyarrow import them, where they are installed, only to recognise their objects. This algorithm never hands
them any, and without the two a job begins more than a second earlier.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from sagebrush.runtime import lean_imports as runtime


def lean_imports() -> AbstractContextManager[None]:
    """Within the block, scikit-learn and pandas cannot be imported, unless they were before."""
    return runtime.without("sklearn", "pandas")
