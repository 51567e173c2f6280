"""Packages by the names that code written for SageMaker's images imports: stand-ins, small, and their own work.

They hold what published handlers and scripts use. They are found by those names, not as parts of this package, after
everything else: where a model's requirements.txt brings the real package, that one is imported.
"""

from __future__ import annotations

import os
import sys

_DIRECTORY = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib takes milliseconds to import


def make_importable() -> None:
    """From here on this process, and every Python that it starts, can import them."""
    if _DIRECTORY not in sys.path:
        sys.path.append(_DIRECTORY)
        # There they come before what an environment holds; but ours hold none of these packages.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), _DIRECTORY]))
