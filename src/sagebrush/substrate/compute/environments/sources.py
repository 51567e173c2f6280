"""Sources of packages that a lock names itself, for pins that are in no index which pip asks by itself.

pip's own configuration comes first, always: a wheelhouse has what it has, and an index that cannot be reached costs
minutes. A lock names a source in a comment: ``# from <URL of an index>: <package>``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"# from (?P<index>https?://\S+): (?P<package>[\w.-]+)")


@dataclass(frozen=True, slots=True)
class Source:
    """``pin`` (``name==version``) can be had from the package index at ``index``."""

    pin: str
    index: str

    def install(self, pip: Sequence[str]) -> list[str]:
        """The command that takes the pin from there and nowhere else; it gives up soon where that is out of reach."""
        return [*pip, "--retries", "1", "--index-url", self.index, self.pin]


def sources(lock_text: str) -> list[Source]:
    """What a lock says of sources, in its order."""
    lines = lock_text.splitlines()
    pins = {line.partition("==")[0]: line for line in lines if "==" in line and not line.startswith("#")}
    found = [match for match in map(_LINE.fullmatch, lines) if match]
    return [Source(pins[match["package"]], match["index"]) for match in found]
