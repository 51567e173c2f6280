"""``python -m tests.faults.ledger FILE``: fails unless every declared fault point has killed a process.

``make test`` runs the suite with ``SAGEBRUSH_FAULT_LEDGER=FILE``, then this.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import sagebrush
from sagebrush.substrate import faultpoints

#: Packages whose code runs inside jobs, with libraries that are not here; they declare no points.
_APART = ("sagebrush.runtime", "sagebrush.algorithms")


def import_everything() -> None:
    """Let every module of the platform declare its points."""
    for module in pkgutil.walk_packages(sagebrush.__path__, "sagebrush."):
        if not module.name.startswith(_APART) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def main() -> int:
    """Print what is missing; the exit status."""
    import_everything()
    killed = set(Path(sys.argv[1]).read_text().split())
    missing = sorted(faultpoints.declared() - killed)
    for point in missing:
        print(f"No test has killed a process at the fault point {point}.", file=sys.stderr)
    print(f"{len(faultpoints.declared()) - len(missing)} of {len(faultpoints.declared())} fault points were hit.")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
