"""``torchrun`` as a job finds it on its PATH: torch's own, but meeting on the job's own addresses.

Left to itself its first host listens at port 29500, or the one that is given, on every address of the machine, where
only one job at a time could have it. Whoever names a rendezvous backend gets that one.
"""

from __future__ import annotations

import sys
from argparse import Namespace

from torch.distributed import run as launcher
from torch.distributed.elastic.multiprocessing.errors import record

from sagebrush.runtime import hosts
from sagebrush.runtime.distributed import rendezvous


@record  # type: ignore[untyped-decorator]
def main(arguments: list[str] | None = None) -> None:
    """Run the script as torchrun does. Raises what it raises."""
    options = launcher.parse_args(sys.argv[1:] if arguments is None else arguments)
    meet_at_home(options)
    launcher.run(options)


def meet_at_home(options: Namespace) -> None:
    """Turn the static rendezvous into the same on the first host's own address; on one host, to any free port."""
    if options.rdzv_backend != "static" or options.standalone:
        return
    if str(options.nnodes) in ("1", "1:1"):
        options.standalone = True
        return
    rendezvous.register()
    options.rdzv_backend = rendezvous.BACKEND
    first = hosts.reachable_name(options.master_addr)
    options.rdzv_endpoint = options.rdzv_endpoint or f"{first}:{options.master_port}"
    rank = f"rank={options.node_rank}"
    options.rdzv_conf = f"{options.rdzv_conf},{rank}" if options.rdzv_conf else rank


if __name__ == "__main__":
    main()
