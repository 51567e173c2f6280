"""Unpacking archives that may be hostile: nothing outside, nothing special, no more than there is room for.

Python has filters for this from 3.11.4 on (PEP 706); before, and Debian 12 has such a one, the rules are kept here.
"""

from __future__ import annotations

import errno
import os
import tarfile
import zlib
from pathlib import Path

from sagebrush.runtime.outcome import UserError

try:
    from lzma import LZMAError
except ImportError:  # A Python that was built without it says EOFError, or that it cannot read such an archive.
    LZMAError = EOFError  # type: ignore[assignment,misc]

MOST_MEMBERS = 1_000_000
#: More than any tar program fills up its last record with.
_TRAILER = 1 << 20


class _Refused(Exception):
    """A member that an archive of data does not have."""


def unpack(archive: str, target: str, most_bytes: int = 1 << 62) -> None:
    """Unpack a tar file, compressed or not, into ``target``. Raises UserError naming archive and member."""
    Path(target).mkdir(parents=True, exist_ok=True)
    name = Path(archive).name
    total, last = 0, ""
    try:
        with tarfile.open(archive, errorlevel=2) as tar:
            for count, member in enumerate(tar):
                if count >= MOST_MEMBERS:
                    raise UserError(f"{name} has more than {MOST_MEMBERS} members.")
                total += member.size
                if total > most_bytes:
                    raise UserError(f"{name} unpacks to more than {most_bytes} bytes.")
                last = member.name
                _extract(tar, member, target)
            _check_sum(tar)
    except _Refused as error:
        raise UserError(f"{name} cannot be unpacked: {error}") from None
    except (KeyError, RecursionError) as error:
        # A hard link to what is not there, and directories too deep for Python to make.
        told = error.args[0] if isinstance(error, KeyError) else "its path is too deep"
        raise UserError(f"{name} cannot be unpacked: member {last[:200]!r}: {told}") from None
    except (tarfile.TarError, EOFError, ValueError, zlib.error, LZMAError) as error:
        raise UserError(f"{name} is not a tar archive that can be read: {error or type(error).__name__}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{name} cannot be unpacked: the disk is full.") from None
        # gzip and zlib say what is wrong with their data as an OSError without a number.
        where = f" at member {last[:200]!r}" if last and error.strerror else ""
        raise UserError(f"{name} cannot be unpacked{where}: {error.strerror or error}") from None


def _check_sum(tar: tarfile.TarFile) -> None:
    """Read what is left, blocks of zeros: gzip compares its checksum at its end, which tar would not look for."""
    if tar.fileobj is not None:
        tar.fileobj.read(_TRAILER)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: str) -> None:
    if not hasattr(tarfile, "data_filter"):
        _check(member, target)
        member.mode = (member.mode | 0o600) & 0o755
        tar.extract(member, target, set_attrs=not member.issym())
        return
    try:
        kept = tarfile.data_filter(member, target)
    except tarfile.FilterError as error:
        raise _Refused(str(error)) from None
    if kept is not None:
        tar.extract(kept, target, filter="fully_trusted")


def _check(member: tarfile.TarInfo, target: str) -> None:
    """The rules of ``data_filter``. Raises _Refused."""
    root = os.path.realpath(target)

    def inside(path: str) -> bool:
        return os.path.commonpath([root, os.path.realpath(path)]) == root

    place = f"{root}/{member.name}"
    if Path(member.name).is_absolute():
        raise _Refused(f"member {member.name!r} has an absolute path")
    if not inside(place):
        raise _Refused(f"{member.name!r} would be extracted to {os.path.realpath(place)!r}, outside of the destination")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise _Refused(f"{member.name!r} is a special file")
    if member.issym() or member.islnk():
        if Path(member.linkname).is_absolute():
            raise _Refused(f"{member.name!r} is a link to an absolute path")
        beside = f"{Path(place).parent}/{member.linkname}" if member.issym() else f"{root}/{member.linkname}"
        if not inside(beside):
            raise _Refused(f"{member.name!r} would link to {os.path.realpath(beside)!r}, outside of the destination")
    member.uid = member.gid = os.getuid()
    member.uname = member.gname = ""
