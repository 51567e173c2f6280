"""What a worker tells its parent through shared memory: since when it has been answering, and how often it did."""

from __future__ import annotations

import mmap
import time

_WORDS = 3


class Stamp:
    """The words of one worker's place; written by the worker, read by the parent. A word is written at once."""

    def __init__(self, words: memoryview):
        self._words = words

    @property
    def busy_since_ns(self) -> int:
        """Monotonic time; 0 while idle."""
        return int(self._words[0])

    @property
    def answered(self) -> int:
        """How many requests were answered in this place, by all its workers together."""
        return int(self._words[1])

    @property
    def ready(self) -> bool:
        """Whether the worker that is there now can predict."""
        return bool(self._words[2])

    def clear(self) -> None:
        """For a new worker."""
        self._words[0] = self._words[2] = 0

    def set_ready(self) -> None:
        self._words[2] = 1

    def begin(self) -> None:
        """A request, or the next part of its answer, is worked on from now on."""
        self._words[0] = time.monotonic_ns()

    def rest(self) -> None:
        """The client is waited for, which nobody holds against the model."""
        self._words[0] = 0

    def end(self) -> None:
        self._words[0] = 0
        self._words[1] += 1


def stamps(count: int) -> list[Stamp]:
    """Places for so many workers, in memory that forked processes share."""
    words = memoryview(mmap.mmap(-1, count * _WORDS * 8)).cast("q")
    return [Stamp(words[i * _WORDS : (i + 1) * _WORDS]) for i in range(count)]
