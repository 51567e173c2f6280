"""The entry point inside a training job: ``python -m sagebrush.runtime.training [ALGORITHM]``.

With a user's program (``sagemaker_program``) it runs script mode; otherwise the built-in algorithm that the argument
or ``SAGEBRUSH_ALGORITHM`` names. Start-up time counts: standard library only, and what is not always needed is
imported where it is.
"""

from __future__ import annotations

import os
import sys

from sagebrush.runtime import outcome, training_environment, warm_start
from sagebrush.runtime.directories import Directories
from sagebrush.runtime.training_environment import TrainingEnvironment

#: Name of a built-in algorithm -> the module whose ``train(environment)`` trains it.
ALGORITHMS = {"xgboost": "sagebrush.algorithms.xgboost.training"}


def main(arguments: list[str]) -> int:
    """Run the job and leave ``success`` or ``failure``; the exit code of the process."""
    output = Directories.of(os.environ).output
    warm_start.allow_threads(os.cpu_count() or 1)
    try:
        environment = training_environment.load(dict(os.environ))
        code = _run(environment, arguments)
    except Exception as error:
        outcome.write_failure(output, outcome.describe(error))
        if isinstance(error, outcome.UserError):
            print(f"ClientError: {error}", file=sys.stderr, flush=True)
        else:
            outcome.print_traceback(error)
        return outcome.exit_code_of(error)
    if code == 0:
        outcome.write_success(output)
    else:
        outcome.write_failure(output, f"{environment.entry_point or 'the algorithm'} ended with exit code {code}")
    return code


def _run(environment: TrainingEnvironment, arguments: list[str]) -> int:
    if environment.entry_point is not None:
        from sagebrush.runtime import script

        return script.run(environment)
    name = arguments[0] if arguments else os.environ.get("SAGEBRUSH_ALGORITHM", "")
    if not name:
        raise outcome.UserError(
            "Nothing to run: this image has no built-in algorithm, and no sagemaker_program hyperparameter was given."
        )
    if name not in ALGORITHMS:
        raise outcome.UserError(f"There is no built-in algorithm '{name}'; there are: {', '.join(sorted(ALGORITHMS))}.")
    import importlib

    os.environ.update(environment.variables())
    importlib.import_module(ALGORITHMS[name]).train(environment)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
