"""The byte store's side of a backup: nothing is swept meanwhile, and what the index names is copied.

Object files are immutable and have random names: one that an earlier backup holds is never copied again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, delete, insert

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.objects.tables import EVERY_FILE, pins
from sagebrush.substrate.store import Store

#: A hold that its backup does not renew ends by itself: that process is gone.
HOLD_US = 600_000_000
_RENEW_US = HOLD_US // 4

#: What the index remembers of work in progress: no object's bytes, and of no use elsewhere.
_PASSING = ("uploads", "parts", "trash", "pins")


@contextmanager
def held(index: Store, clock: Clock) -> Iterator[Callable[[], None]]:
    """No file is removed until the block ends; call what is yielded now and then, so that it stays so."""
    name = f"backup-{os.getpid()}-{clock.now_us()}"
    renewed = 0

    def renew() -> None:
        nonlocal renewed
        now = clock.now_us()
        if now - renewed >= _RENEW_US:
            renewed = now
            index.write(lambda tx: _hold(tx, name, now + HOLD_US))

    renew()
    try:
        yield renew
    finally:
        index.write(lambda tx: tx.execute(delete(pins).where(pins.c.file == EVERY_FILE, pins.c.holder.endswith(name))))


def _hold(tx: Connection, name: str, until_us: int) -> None:
    tx.execute(delete(pins).where(pins.c.file == EVERY_FILE, pins.c.holder.endswith(name)))
    # Readers compare holders with the time: the number leads, in as many digits as any.
    tx.execute(insert(pins).values(holder=f"{until_us:020d} {name}", file=EVERY_FILE))


def forget_work_in_progress(index_file: Path) -> None:
    """Take out of a copied index what only concerns processes of its time: uploads in progress, trash, pins."""
    with closing(sqlite3.connect(index_file)) as index:
        for table in _PASSING:
            index.execute(f"DELETE FROM {table}")
        index.commit()


def files_named(index_file: Path) -> Iterator[tuple[str, int]]:
    """(file, bytes) of every file that a copied index names, each once."""
    with closing(sqlite3.connect(f"file:{index_file}?mode=ro", uri=True)) as index:
        yield from index.execute("SELECT file, max(size) FROM objects WHERE content IS NULL GROUP BY file")


def copy_files(
    files: Sequence[tuple[str, int]], source: Path, target: Path, *, tick: Callable[[int], None]
) -> tuple[int, int]:
    """Copy files between ``files`` folders; returns how many, and their bytes. ``tick`` gets each file's bytes.

    Not durable before a sync of the file system. Raises CallerError ``FileMissing`` for one that is not there or not
    of its size: the store it comes from is damaged.
    """
    copied = size = 0
    for file, expected in files:
        place = target / file
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}")
        try:
            shutil.copyfile(source / file, draft)
        except FileNotFoundError:
            raise CallerError("FileMissing", f"The file {source / file}, which the index names, is missing.") from None
        if (found := draft.stat().st_size) != expected:
            draft.unlink()
            raise CallerError("FileMissing", f"The file {source / file} has {found} bytes instead of {expected}.")
        draft.chmod(0o444)
        draft.replace(place)
        copied += 1
        size += expected
        tick(expected)
    return copied, size


def remove_unnamed(target: Path, named: set[str]) -> int:
    """Remove the files below ``target`` that no backup names any more; how many."""
    removed = 0
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(path.relative_to(target)) not in named:
            path.unlink()
            removed += 1
    return removed
