"""The first steps of a worker after its fork: the user's module, the model, and then the requests."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import signal
import sys
from types import FrameType

from sagebrush.runtime import outcome, warm_start
from sagebrush.runtime.serving import handlers
from sagebrush.runtime.serving.place import Place
from sagebrush.runtime.serving.preparing import Prepared
from sagebrush.runtime.serving.worker import Worker

#: What a pipe takes at once.
_MOST_REPORTED = 1 << 16
_OOM_SCORE = "/proc/self/oom_score_adj"


def serve(prepared: Prepared, place: Place, lifeline: int, report: int, threads: int) -> int:
    """Load the model and answer requests; the exit code. Why a model could not be loaded goes into ``report``."""
    _be_the_one_to_go()
    _renew_randomness()
    _let_blas_have(threads)
    try:
        module = handlers.load_module(prepared.program) if prepared.program else None
        defaults = handlers.defaults_of(os.environ.get("SAGEBRUSH_FRAMEWORK", ""), with_code=module is not None)
        accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "")
        made = handlers.Handlers(module, defaults, prepared.model, accept)
    except BaseException as error:
        _report(report, error)
        return 1
    os.close(report)
    # From here on the end of the lifeline says when to stop. A handler, not SIG_IGN: programs that the user's code
    # starts would inherit that.
    signal.signal(signal.SIGTERM, _heard)
    place.stamp.set_ready()
    Worker(place.listener, made, place.stamp, lifeline).run()
    return 0


def _heard(number: int, frame: FrameType | None) -> None:
    """Nothing is to be done."""


def _report(pipe: int, error: BaseException) -> None:
    """Leave the failure's text and what belongs in the log to the parent: of several workers that fail one tells."""
    log = io.StringIO()
    with contextlib.redirect_stderr(log):
        if isinstance(error, outcome.UserError):
            print(f"ClientError: {error}", file=sys.stderr)
        else:
            outcome.print_traceback(error)
    told = log.getvalue()
    content = json.dumps([outcome.describe(error), told[-_MOST_REPORTED // 8 :]]).encode()
    with contextlib.suppress(OSError):
        os.write(pipe, content)


def _be_the_one_to_go() -> None:
    """When memory runs out, let it be a worker that the kernel ends: it is replaced."""
    with contextlib.suppress(OSError), open(_OOM_SCORE, "w") as file:  # noqa: PTH123 - as short as it can be
        file.write("600")  # jobs of the platform have 500


def _renew_randomness() -> None:
    """Workers must not draw the same numbers; Python's own generator sees to that itself."""
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _let_blas_have(threads: int) -> None:
    """OpenBLAS was loaded with one thread, so that the parent could fork; a zygote has loaded OpenMP before, too."""
    if warm_start.is_warm():
        warm_start.allow_threads(threads, user_api=None)
        return
    if threads > 1 and "numpy" in sys.modules and "OPENBLAS_NUM_THREADS" not in os.environ:
        with contextlib.suppress(ImportError):
            threadpoolctl = importlib.import_module("threadpoolctl")
            threadpoolctl.threadpool_limits(limits=threads, user_api="blas")
