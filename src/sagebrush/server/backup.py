"""Backups: a folder with any number of them, taken while the platform runs, and a data directory made from one.

    <folder>/files/...                 object files, shared by all backups in the folder; an old one is not copied again
    <folder>/backups/<time>/           backup.json (written last: without it there is no backup), state.db, index.db,
                                       sagebrush.toml, and keys/platform.key where that was asked for

The state is copied before the objects' index, so that every object which the state names is in the index. Not in a
backup: environments (built anew), processes (jobs that ran count as lost), multipart uploads in progress, logs of the
platform itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sagebrush import __version__
from sagebrush.server.data_directory import LAYOUT, DataDirectory, take_lock
from sagebrush.substrate.clock import Clock, to_datetime
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.identity.private_files import replace_file
from sagebrush.substrate.objects import backup as object_backup
from sagebrush.substrate.reconcile.leases import release_all
from sagebrush.substrate.settings import CONFIG_FILE, Settings
from sagebrush.substrate.store import OBJECTS, STATE, open_store
from sagebrush.substrate.store.copying import load, snapshot

MANIFEST: Final = "backup.json"
_FORMAT: Final = 1
_STATE, _INDEX = "state.db", "index.db"
_BATCH = 200

#: Gets what is being done, for people to read.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup of a folder. Times are microseconds, ``files`` and ``file_bytes`` count the objects' files it names;
    ``copied`` and ``copied_bytes`` those that no earlier backup had."""

    name: str
    taken_us: int
    version: str
    account: str
    region: str
    files: int
    file_bytes: int
    copied: int
    copied_bytes: int
    with_keys: bool
    digests: Mapping[str, str] = field(default_factory=dict)
    format: int = _FORMAT


def backups_in(folder: Path) -> list[Backup]:
    """The whole backups of a folder, oldest first. Raises CallerError ``BackupUnreadable``."""
    return [_read(manifest) for manifest in sorted((folder / "backups").glob(f"*/{MANIFEST}"))]


def take(settings: Settings, folder: Path, clock: Clock, *, with_keys: bool, keep: int, progress: Progress) -> Backup:
    """Add a backup of the data directory to ``folder``; older ones than the last ``keep`` are removed.

    The platform may run. Raises CallerError ``BackupRunning``, ``NothingToCopy``, ``FileMissing``.
    """
    data = DataDirectory(settings.data_dir)
    if not data.version_file.exists():
        raise CallerError("NothingToCopy", f"There is no data directory {data.root}.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder):
        _remove_unfinished(folder)
        have = {file for backup in backups_in(folder) for file, _ in _files(folder, backup)}
        taken_us = clock.now_us()
        draft = folder / "backups" / to_datetime(taken_us).astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        draft.mkdir(mode=0o700, parents=True)
        index_path = data.root / "objects" / _INDEX
        where: dict[str, Any] = {"url": settings.database_url, "clock": clock}
        with (
            closing(open_store(OBJECTS, path=index_path, **where)) as index,
            object_backup.held(index, clock) as renew,
        ):
            progress("copying the databases")
            snapshot(STATE, draft / _STATE, path=data.root / _STATE, **where)
            snapshot(OBJECTS, draft / _INDEX, path=index_path, **where)
            object_backup.forget_work_in_progress(draft / _INDEX)
            files, size, copied, copied_bytes = _copy_files(data, folder, draft, have, renew, progress)
        _copy_small_files(data, draft, with_keys=with_keys)
        os.sync()
        backup = Backup(
            name=draft.name,
            taken_us=taken_us,
            version=__version__,
            account=settings.account,
            region=settings.region,
            files=files,
            file_bytes=size,
            copied=copied,
            copied_bytes=copied_bytes,
            with_keys=with_keys,
            digests={name: _digest(draft / name) for name in (_STATE, _INDEX)},
        )
        replace_file(draft / MANIFEST, json.dumps(asdict(backup), indent=1).encode(), mode=0o600)
        _remove_old(folder, keep)
    return backup


def restore(
    settings: Settings, folder: Path, clock: Clock, *, name: str, key_file: Path | None, progress: Progress
) -> Backup:
    """Make the data directory (and the database, where ``database_url`` is set) from a backup; the newest without
    ``name``.

    Whatever goes wrong, an unfinished data directory is never started: its VERSION is written last. Raises CallerError
    ``NotEmpty``, ``NoSuchBackup``, ``KeyMissing``, ``BackupDamaged``, ``FileMissing``.
    """
    backup = _choose(folder, name)
    place = folder / "backups" / backup.name
    key = place / "keys" / "platform.key" if backup.with_keys else key_file
    if key is None:
        raise CallerError(
            "KeyMissing",
            f"The backup {backup.name} was taken without the platform's key, without which the secrets in it cannot be "
            "read. Give it: --key-file FILE (keys/platform.key of the data directory it was taken of).",
        )
    data = DataDirectory(settings.data_dir)
    if data.root.exists() and any(data.root.iterdir()):
        raise CallerError("NotEmpty", f"{data.root} is not empty. Restore to a new --data-dir.")
    progress("checking the databases")
    for file, digest in backup.digests.items():
        if _digest(place / file) != digest:
            raise CallerError("BackupDamaged", f"{place / file} is not what the backup wrote there: it is damaged.")
    for directory in (data.root, data.keys, data.root / "objects", data.root / "objects" / "files"):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(data.key_file, _read_key(key), mode=0o600)
    files = list(object_backup.files_named(place / _INDEX))
    done = _Counting(len(files), progress)
    object_backup.copy_files(files, folder / "files", data.root / "objects" / "files", tick=done.tick)
    progress("loading the databases")
    for schema, file, path in (
        (STATE, _STATE, data.root / _STATE),
        (OBJECTS, _INDEX, data.root / "objects" / _INDEX),
    ):
        copy = path.with_name(f".{file}.restoring")
        shutil.copyfile(place / file, copy)
        copy.chmod(0o600)
        load(schema, copy, path=path, url=settings.database_url, clock=clock)
        copy.unlink(missing_ok=True)
    with closing(open_store(STATE, path=data.root / _STATE, url=settings.database_url, clock=clock)) as store:
        store.write(release_all)
    if (place / CONFIG_FILE).exists():
        shutil.copyfile(place / CONFIG_FILE, data.root / CONFIG_FILE)
    os.sync()
    replace_file(data.version_file, f"{LAYOUT}\n".encode(), mode=0o600)
    return backup


def _copy_files(
    data: DataDirectory, folder: Path, draft: Path, have: set[str], renew: Callable[[], None], progress: Progress
) -> tuple[int, int, int, int]:
    """Copy what the new index names and no earlier backup has: (files, bytes, copied files, copied bytes)."""
    named = files = size = 0
    new: list[tuple[str, int]] = []
    for file, length in object_backup.files_named(draft / _INDEX):
        files += 1
        size += length
        if file not in have:
            new.append((file, length))
    counting = _Counting(len(new), progress)
    copied_bytes = 0
    waiting = iter(new)
    while batch := list(islice(waiting, _BATCH)):
        renew()
        count, length = object_backup.copy_files(
            batch, data.root / "objects" / "files", folder / "files", tick=counting.tick
        )
        named += count
        copied_bytes += length
    return files, size, named, copied_bytes


def _copy_small_files(data: DataDirectory, draft: Path, *, with_keys: bool) -> None:
    config = data.root / CONFIG_FILE
    if config.exists():
        replace_file(draft / CONFIG_FILE, config.read_bytes(), mode=0o600)
    if with_keys:
        (draft / "keys").mkdir(mode=0o700)
        replace_file(draft / "keys" / "platform.key", data.key_file.read_bytes(), mode=0o600)


@dataclass(slots=True)
class _Counting:
    """Says how far the files are, at every twentieth of them."""

    files: int
    progress: Progress
    done: int = 0
    size: int = 0

    def tick(self, size: int) -> None:
        self.done += 1
        self.size += size
        if self.done % max(1, self.files // 20) == 0 or self.done == self.files:
            self.progress(f"{self.done} of {self.files} files, {self.size / 2**20:.0f} MiB")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = take_lock(folder / "lock")
    if descriptor is None:
        raise CallerError("BackupRunning", f"Another backup to {folder} is running.")
    try:
        yield
    finally:
        os.close(descriptor)


def _remove_unfinished(folder: Path) -> None:
    for place in (folder / "backups").glob("*"):
        if not (place / MANIFEST).exists():
            shutil.rmtree(place)


def _remove_old(folder: Path, keep: int) -> None:
    kept = backups_in(folder)
    for backup in kept[:-keep]:
        # Without its manifest it is none, should the removal be cut off.
        (folder / "backups" / backup.name / MANIFEST).unlink()
        shutil.rmtree(folder / "backups" / backup.name)
    named = {file for backup in kept[-keep:] for file, _ in _files(folder, backup)}
    object_backup.remove_unnamed(folder / "files", named)


def _files(folder: Path, backup: Backup) -> Iterator[tuple[str, int]]:
    return object_backup.files_named(folder / "backups" / backup.name / _INDEX)


def _choose(folder: Path, name: str) -> Backup:
    found = backups_in(folder)
    if not found:
        raise CallerError("NoSuchBackup", f"There is no backup in {folder}.")
    if not name:
        return found[-1]
    for backup in found:
        if backup.name == name:
            return backup
    raise CallerError(
        "NoSuchBackup", f"There is no backup {name} in {folder}; there are: {', '.join(b.name for b in found)}."
    )


def _read(manifest: Path) -> Backup:
    try:
        content = json.loads(manifest.read_bytes())
        if content["format"] > _FORMAT:
            raise CallerError("BackupUnreadable", f"{manifest} was written by a newer Sagebrush. Upgrade Sagebrush.")
        return Backup(**content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CallerError("BackupUnreadable", f"{manifest} cannot be read: {error}") from None


def _read_key(key: Path) -> bytes:
    try:
        return key.read_bytes()
    except OSError as error:
        raise CallerError("KeyMissing", f"The key {key} cannot be read: {error.strerror}") from None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
