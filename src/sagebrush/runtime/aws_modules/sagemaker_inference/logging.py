"""The toolkit's logger."""

from __future__ import annotations

import logging


def get_logger() -> logging.Logger:
    """The logger by its name."""
    return logging.getLogger("sagemaker-inference")
