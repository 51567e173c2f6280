"""One rank: ``python -m sagebrush.runtime.distributed.rank SCRIPT ARGUMENTS``, started by torchrun.

The user's script runs in this very process as ``__main__``. The failure that counts is told where the job looks for it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time

from sagebrush.runtime import outcome, script
from sagebrush.runtime.directories import Directories
from sagebrush.runtime.distributed.choice import SMDDP

#: What libraries say when another rank has gone: the other's failure is the job's, and this one's follows from it.
_LOST_PEER = re.compile(
    r"gloo|Connection (closed|reset|refused)|[Ss]ocket (closed|timeout)|Broken pipe|NCCL|"
    r"failed to recv|[Rr]emote process exited"
)
#: Seconds in which the platform hears of the other's failure and ends this host; longer than its looks are apart.
_PATIENCE = 15.0
#: Names that mpirun gives, and with it SageMaker's launcher of its data parallel library.
_MPI_NAMES = {
    "OMPI_COMM_WORLD_RANK": "RANK",
    "OMPI_COMM_WORLD_SIZE": "WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK": "LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "LOCAL_WORLD_SIZE",
}


def main(arguments: list[str]) -> int:
    """Run the script; the exit code of this rank. The first rank of a host that fails leaves the failure."""
    path, *rest = arguments
    if json.loads(os.environ.get("SM_FRAMEWORK_PARAMS") or "{}").get(SMDDP):
        os.environ.update({name: os.environ[of] for name, of in _MPI_NAMES.items()})
    try:
        return script.run_python(path, os.getcwd(), rest)  # noqa: PTH109 - pathlib takes milliseconds to import
    except Exception as error:
        outcome.print_traceback(error)
        if _lost_peer(error) and os.environ["WORLD_SIZE"] != "1":
            time.sleep(_PATIENCE)
        outcome.write_failure(Directories.of(os.environ).output, outcome.describe(error))
        return outcome.exit_code_of(error)


def _lost_peer(error: BaseException) -> bool:
    import torch.distributed

    if isinstance(error, torch.distributed.DistError | ConnectionError):
        return True
    return isinstance(error, RuntimeError) and bool(_LOST_PEER.search(str(error)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
