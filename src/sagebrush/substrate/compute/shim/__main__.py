"""What the launcher starts: ``python -I -S <this file> <attempt directory> <lock descriptor>``.

The shim's modules are imported as a package of their own, so that nothing else of the platform is loaded.
"""

# pathlib takes longer to load than all of the shim.
# ruff: noqa: PTH100, PTH120

import os
import sys

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from shim.main import main  # type: ignore[import-not-found]

    main(sys.argv[1], int(sys.argv[2]))
