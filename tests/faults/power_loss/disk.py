"""The state of a disk at any moment of a recorded program, with or without what was not synced."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = struct.Struct("<cQQQII")
#: What a disk writes as one; a write that was not synced may be there in any of its pages.
PAGE = 4096


@dataclass(frozen=True, slots=True)
class Operation:
    """One record of ``recorder.c``. ``kind``: create, write, truncate, Sync, Directory sync, mkdir, unlink, rename,
    link. Of a sync ``began`` is the number of operations recorded before it was asked for."""

    kind: str
    began: int
    inode: int
    offset: int
    path: str
    data: bytes


def read_log(path: Path) -> Iterator[Operation]:
    """The records of a log; a last one that the program's end cut off is left out."""
    raw = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(raw):
        kind, began, inode, offset, path_size, data_size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        if at + path_size + data_size > len(raw):
            return
        name, data = raw[at : at + path_size], raw[at + path_size : at + path_size + data_size]
        at += path_size + data_size
        yield Operation(kind.decode(), began, inode, offset, os.fsdecode(name), data)


@dataclass
class _File:
    """One file: what was done to its content, and up to which operation that is synced."""

    changes: list[tuple[int, Operation]] = field(default_factory=list)
    synced: int = 0

    def content(self, until: int, luck: random.Random | None) -> bytes:
        """The bytes a power loss after operation ``until`` leaves; without ``luck`` only what was synced."""
        found = bytearray()
        for number, change in self.changes:
            if number >= until:
                break
            sure = number < self.synced
            if change.kind == "t":
                if sure or (luck and luck.random() < 0.5):
                    del found[change.offset :]
                    found.extend(bytes(change.offset - len(found)))
                continue
            for start in range(0, len(change.data), PAGE):
                if sure or (luck and luck.random() < 0.5):
                    _overwrite(found, change.offset + start, change.data[start : start + PAGE])
        return bytes(found)


def _overwrite(found: bytearray, offset: int, data: bytes) -> None:
    if len(found) < offset:
        found.extend(bytes(offset - len(found)))
    found[offset : offset + len(data)] = data


class Disk:
    """A recorded directory ``root`` at the moment when ``until`` operations had been done."""

    def __init__(self, operations: list[Operation], root: Path, until: int):
        self._root = root
        self._until = until
        self._files: dict[int, _File] = {}
        #: (number, operation, the file concerned) of each change of a name, in order.
        self._names: list[tuple[int, Operation, _File | None]] = []
        self._sure_names = 0
        for number, operation in enumerate(operations[:until]):
            self._take(number, operation)

    def leave(self, target: Path, luck: random.Random | None) -> None:
        """Make in ``target`` what the power loss leaves: of what was not synced nothing, or by ``luck`` any part."""
        names = self._sure_names
        if luck:
            names = luck.randint(names, len(self._names))
        files, directories = self._tree(names)
        for directory in sorted(directories):
            self._at(target, directory).mkdir(parents=True, exist_ok=True)
        placed: dict[int, Path] = {}
        for path, file in files.items():
            place = self._at(target, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            if id(file) in placed:
                os.link(placed[id(file)], place)
            else:
                place.write_bytes(file.content(self._until, luck))
                placed[id(file)] = place

    def _take(self, number: int, operation: Operation) -> None:
        match operation.kind:
            case "c":
                # An inode's number may be used again: it is another file then.
                self._files[operation.inode] = file = _File()
                self._names.append((number, operation, file))
            case "w" | "t":
                self._files[operation.inode].changes.append((number, operation))
            case "S":
                if (found := self._files.get(operation.inode)) is not None:
                    found.synced = max(found.synced, operation.began)
            case "D":
                self._sync_names(operation)
            case _:
                self._names.append((number, operation, None))

    def _sync_names(self, sync: Operation) -> None:
        for position in range(len(self._names) - 1, self._sure_names - 1, -1):
            number, operation, _ = self._names[position]
            if number < sync.began and sync.path in _directories_of(operation):
                self._sure_names = position + 1
                return

    def _tree(self, names: int) -> tuple[dict[str, _File], set[str]]:
        files: dict[str, _File] = {}
        directories: set[str] = set()
        for _, operation, file in self._names[:names]:
            other = os.fsdecode(operation.data)
            match operation.kind:
                case "c":
                    assert file is not None
                    files[operation.path] = file
                case "m":
                    directories.add(operation.path)
                case "u":
                    files.pop(operation.path, None)
                    directories.discard(operation.path)
                case "l":
                    files[other] = files[operation.path]
                case "r":
                    files[other] = files.pop(operation.path)
        # SQLite makes this one anew: it is an index into the log that lives in shared memory.
        return {path: file for path, file in files.items() if not path.endswith("-shm")}, directories

    def _at(self, target: Path, path: str) -> Path:
        return target / Path(path).relative_to(self._root)


def _directories_of(operation: Operation) -> set[str]:
    """The directories whose sync makes a change of names durable."""
    found = {str(Path(operation.path).parent)}
    if operation.kind in ("r", "l"):
        found.add(str(Path(os.fsdecode(operation.data)).parent))
    return found
