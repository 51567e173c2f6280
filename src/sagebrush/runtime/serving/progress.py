"""What the start of a model server is at, for the case that it is cut short."""

from __future__ import annotations

import time


class Progress:
    """Its text says what was being done, and for how long the start had taken."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._doing = "starting"

    def tell(self, doing: str) -> None:
        """The next step has begun."""
        self._doing = doing

    def __str__(self) -> str:
        return (
            f"The model server was stopped {time.monotonic() - self._since:.0f} s after its start, before it could "
            f"answer: it was {self._doing}."
        )
