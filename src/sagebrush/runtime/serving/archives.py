"""Unpacking archives that may be hostile: nothing outside, nothing special, no more than there is room for."""

from __future__ import annotations

import errno
import tarfile
from pathlib import Path

from sagebrush.runtime.outcome import UserError

MOST_MEMBERS = 1_000_000
_PIECE = 1 << 20


def unpack(archive: str, target: str, most_bytes: int) -> None:
    """Unpack a tar file, compressed or not, into ``target``. Raises UserError naming archive and member."""
    Path(target).mkdir(parents=True, exist_ok=True)
    name = Path(archive).name
    total = 0
    try:
        with tarfile.open(archive, errorlevel=2) as tar:
            for count, member in enumerate(tar):
                if count >= MOST_MEMBERS:
                    raise UserError(f"{name} has more than {MOST_MEMBERS} members.")
                total += member.size
                if total > most_bytes:
                    raise UserError(f"{name} unpacks to more than {most_bytes} bytes.")
                tar.extract(member, target, filter="data")
    except tarfile.FilterError as error:
        raise UserError(f"{name} cannot be unpacked: {error}") from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"{name} is not a tar archive that can be read: {error or type(error).__name__}") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"{name} cannot be unpacked: the disk is full.") from None
        # gzip and zlib say what is wrong with their data as an OSError without a number.
        raise UserError(f"{name} cannot be unpacked: {error.strerror or error}") from None
