"""Training on several hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def rabit_run(
    exec_fun: Callable[..., Any],
    args: Mapping[str, Any],
    include_in_training: bool,
    hosts: Sequence[str],
    current_host: str,
    *more: Any,
    **named: Any,
) -> None:
    """Train where there is one host; xgboost itself has replaced Rabit. Raises NotImplementedError for several."""
    if len(hosts) > 1:
        raise NotImplementedError(
            "rabit_run is not there for several hosts: XGBoost has xgboost.collective in its place, and the built-in "
            "algorithm (no entry point) trains on several hosts by itself."
        )
    if include_in_training:
        exec_fun(**args, is_master=True)
