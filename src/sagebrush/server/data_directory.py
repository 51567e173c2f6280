"""The data directory: its layout, its VERSION, and the lock that keeps it to one platform."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sagebrush.substrate.errors import CallerError

#: Counted up when a directory written by this program can no longer be read by an older one.
LAYOUT: Final = 1

#: Socket paths are limited to about 107 bytes, so every process of the platform works in the data directory and
#: names its sockets relative to it.
CONTROL_SOCKET: Final = Path("run/control.sock")
OBJECTS_SOCKET: Final = Path("run/objects.sock")


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where the platform keeps everything. Relative socket names hold for processes that work in :attr:`root`."""

    root: Path

    @property
    def version_file(self) -> Path:
        return self.root / "VERSION"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def platform_file(self) -> Path:
        return self.run / "platform.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def key_file(self) -> Path:
        return self.keys / "platform.key"

    @property
    def ca_bundle(self) -> Path:
        """Public roots and the platform's own authority, made by the control plane at start."""
        return self.keys / "ca-bundle.pem"

    def prepare(self) -> None:
        """Create what is missing and check that this program may work here.

        Raises CallerError ``DataDirectoryUnusable`` or ``DataDirectoryTooNew``, each one clear line.
        """
        try:
            for directory in (self.root, self.run, self.logs, self.keys):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.check_version()
            if not self.version_file.exists():
                self.version_file.write_text(f"{LAYOUT}\n")
        except OSError as error:
            raise CallerError(
                "DataDirectoryUnusable", f"The data directory {self.root} is not usable: {error}"
            ) from None

    def check_version(self) -> None:
        """Raises CallerError when a newer program wrote this directory. A directory without VERSION is new."""
        try:
            text = self.version_file.read_text().strip()
        except FileNotFoundError:
            return
        if not text.isdigit():
            raise CallerError(
                "DataDirectoryUnusable", f"{self.version_file} should hold one number, not {text[:40]!r}."
            )
        if int(text) > LAYOUT:
            raise CallerError(
                "DataDirectoryTooNew",
                f"The data directory {self.root} was written by a newer Sagebrush (layout {text}; this one knows "
                f"layouts up to {LAYOUT}). Upgrade Sagebrush, or choose another --data-dir.",
            )

    def lock(self) -> int | None:
        """Take the directory's lock: the descriptor that holds it until it is closed, or None when it is taken."""
        return take_lock(self.lock_file)


def take_lock(path: Path) -> int | None:
    """An exclusive lock on ``path``: the descriptor that holds it, or None when another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
