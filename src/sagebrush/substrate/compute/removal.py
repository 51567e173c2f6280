"""Removing what user code left, however deep: shutil.rmtree and os.fwalk recurse, and a job can nest what it likes.

Folders found within a folder are moved up beside it before it is removed, so that nothing is ever deep. Needs two
descriptors and no stack, follows no link, and goes on where it was when it was broken off.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: Path) -> None:
    """Remove a folder with everything in it; nothing there is fine.

    Raises OSError (the first one) for what could not be removed, after removing everything else.
    """
    try:
        parent = os.open(path.parent, os.O_RDONLY | _DIRECTORY & ~os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        if _unlink(path.name, parent):
            return
        top = _open(path.name, parent)
        try:
            failures = _empty(top)
        finally:
            os.close(top)
        if failures:
            raise failures[0]
        os.rmdir(path.name, dir_fd=parent)
    finally:
        os.close(parent)


def _empty(top: int) -> list[OSError]:
    """Remove everything in an open folder; what went wrong."""
    failures: list[OSError] = []
    token, count = os.urandom(8).hex(), 0
    waiting = _names(top)
    while waiting:
        name = waiting.pop()
        try:
            if _unlink(name, top):
                continue
            folder = _open(name, top)
            try:
                for child in _names(folder):
                    if not _unlink(child, folder):
                        count += 1
                        raised = f"{token}-{count}"
                        _move(child, folder, raised, top)
                        waiting.append(raised)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
        except OSError as error:
            failures.append(error)
    return failures


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as scan:
        return [entry.name for entry in scan]


def _unlink(name: str, folder: int) -> bool:
    """Remove what is no folder; False where it is one."""
    try:
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return False
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass  # Somebody else removed it.
    return True


def _move(name: str, folder: int, target: str, top: int) -> None:
    try:
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=top)
    except PermissionError:
        # A folder that moves gets another "..": that needs the right to write into it.
        os.close(_open(name, folder))
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=top)


def _open(name: str, parent: int) -> int:
    """Open a folder to remove what is in it, whatever rights user code left on it."""
    handle = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=parent)
    try:
        if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            Path(f"/proc/self/fd/{handle}").chmod(stat.S_IRWXU)
        return os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=handle)
    finally:
        os.close(handle)
