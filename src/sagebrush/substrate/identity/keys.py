"""The platform's key: what sessions, page tokens and stored secrets are authenticated or encrypted with.

One file, ``keys/platform.key`` (JSON, mode 0600), holds one or more 32-byte keys, each with an id, and says which is
current. Everything made names the id it was made with, so that the current key can be exchanged (:meth:`rotate`)
while what the former ones made stays valid until they are dropped (:meth:`retire`). No key is used directly: each
purpose has its own, derived with HMAC-SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sagebrush.substrate.errors import CallerError, Fault
from sagebrush.substrate.identity.private_files import locked, replace_file

KEY_BYTES = 32
#: Length of a key id at the end of a signature, in bytes; twice that in hexadecimal in the file.
ID_BYTES = 4
MAC_BYTES = 32
SIGNATURE_BYTES = MAC_BYTES + ID_BYTES


@dataclass(frozen=True, slots=True)
class _Ring:
    """The file as it was read last."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)
    seen: tuple[int, int, int]
    derived: dict[tuple[str, str], bytes] = field(default_factory=dict, repr=False)


class PlatformKeys:
    """The key file, made when missing and read again when it changed.

    Raises CallerError ``PlatformKeyExposed`` when anyone but its owner may read it, ``PlatformKeyUnreadable`` when it
    is not a key file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with locked(path.with_name(f"{path.name}.lock")):
            if not path.exists():
                key_id = _new_id()
                self._save(key_id, {key_id: secrets.token_bytes(KEY_BYTES)})
        self._ring = self._read()

    @property
    def current(self) -> str:
        """The id of the key that new things are made with."""
        return self._fresh().current

    @property
    def generation(self) -> object:
        """Equal as long as the file has not changed; what was verified under another may have to be verified again."""
        return self._fresh().seen

    def knows(self, key_id: str) -> bool:
        """Whether what this key made is still accepted."""
        return key_id in self._fresh().keys

    def derive(self, purpose: str, key_id: str) -> bytes:
        """The 32-byte key of one purpose. Raises KeyError when ``key_id`` is unknown or retired."""
        ring = self._fresh()
        found = ring.derived.get((key_id, purpose))
        if found is None:
            found = hmac.digest(ring.keys[key_id], b"sagebrush/1/" + purpose.encode(), hashlib.sha256)
            ring.derived[key_id, purpose] = found
        return found

    def sign(self, purpose: str, payload: bytes) -> bytes:
        """HMAC of ``payload`` and key id: 36 bytes. A signature made for one purpose is worthless for another."""
        key_id = self.current
        return hmac.digest(self.derive(purpose, key_id), payload, hashlib.sha256) + bytes.fromhex(key_id)

    def verify(self, purpose: str, payload: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is ours for exactly this purpose and payload."""
        mac, key_id = signature[:MAC_BYTES], key_of(signature)
        if not self.knows(key_id):
            return False
        return hmac.compare_digest(hmac.digest(self.derive(purpose, key_id), payload, hashlib.sha256), mac)

    def rotate(self) -> str:
        """Make a new current key, keeping the former ones for what they signed; the new id."""
        with locked(self._path.with_name(f"{self._path.name}.lock")):
            ring = self._read()
            key_id = _new_id()
            while key_id in ring.keys:
                key_id = _new_id()
            self._save(key_id, {**ring.keys, key_id: secrets.token_bytes(KEY_BYTES)})
        return key_id

    def retire(self, key_id: str) -> None:
        """Drop a former key: every session and token that it made is void from now on. Raises Fault for the current."""
        with locked(self._path.with_name(f"{self._path.name}.lock")):
            ring = self._read()
            if key_id == ring.current:
                raise Fault("the current platform key cannot be retired: rotate first")
            self._save(ring.current, {name: key for name, key in ring.keys.items() if name != key_id})

    def former(self) -> tuple[str, ...]:
        """Ids of the keys that are kept only for what they made."""
        ring = self._fresh()
        return tuple(name for name in ring.keys if name != ring.current)

    def _fresh(self) -> _Ring:
        # One stat per use (about 2 µs): a key that was retired by another process is void here at once.
        try:
            if _seen(self._path) != self._ring.seen:
                self._ring = self._read()
        except FileNotFoundError:
            raise Fault(f"the platform key {self._path} is gone") from None
        return self._ring

    def _read(self) -> _Ring:
        found = self._path.stat()
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise CallerError(
                "PlatformKeyExposed",
                f"{self._path} can be read by others (mode {stat.S_IMODE(found.st_mode):o}), and whoever reads it owns "
                f"the platform. Run `chmod 600 {self._path}`; if others did read it, delete it: a new one is made.",
            )
        try:
            document = json.loads(self._path.read_bytes())
            keys = {str(name): base64.b64decode(key, validate=True) for name, key in document["keys"].items()}
            current = str(document["current"])
            sound = current in keys and all(
                len(key) == KEY_BYTES and len(bytes.fromhex(name)) == ID_BYTES for name, key in keys.items()
            )
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            sound = False
        if not sound:
            raise CallerError(
                "PlatformKeyUnreadable", f"{self._path} is not a key file of Sagebrush, or it is damaged."
            )
        return _Ring(current, keys, (found.st_mtime_ns, found.st_ino, found.st_size))

    def _save(self, current: str, keys: Mapping[str, bytes]) -> None:
        document = {"current": current, "keys": {name: base64.b64encode(key).decode() for name, key in keys.items()}}
        replace_file(self._path, json.dumps(document, indent=1).encode() + b"\n", mode=0o600)


def key_of(signature: bytes) -> str:
    """The id of the key that a signature says it was made with."""
    return signature[MAC_BYTES:].hex()


def _seen(path: Path) -> tuple[int, int, int]:
    found = os.stat(path)  # noqa: PTH116 - on the path of every request
    return found.st_mtime_ns, found.st_ino, found.st_size


def _new_id() -> str:
    return secrets.token_hex(ID_BYTES)
