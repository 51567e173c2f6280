"""The platform's key file: private, whole, exchangeable."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sagebrush.substrate.errors import CallerError, Fault
from sagebrush.substrate.identity.keys import PlatformKeys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "platform.key"


def test_the_key_file_is_made_once_and_private(path: Path) -> None:
    first = PlatformKeys(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert PlatformKeys(path).current == first.current


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    PlatformKeys(path)
    path.chmod(mode)
    with pytest.raises(CallerError) as caught:
        PlatformKeys(path)
    assert caught.value.code == "PlatformKeyExposed"
    assert str(path) in caught.value.message
    assert "chmod 600" in caught.value.message


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", '{"current": "00000000", "keys": {}}', '{"current": "00000000", "keys": {"00000000": "AAAA"}}'],
)
def test_a_damaged_key_file_is_refused_and_kept(path: Path, content: str) -> None:
    PlatformKeys(path)
    path.write_text(content)
    with pytest.raises(CallerError) as caught:
        PlatformKeys(path)
    assert caught.value.code == "PlatformKeyUnreadable"
    assert path.read_text() == content


def test_processes_that_start_at_once_agree_on_one_key(path: Path) -> None:
    program = (
        "import sys, pathlib; from sagebrush.substrate.identity.keys import PlatformKeys;"
        "sys.stdin.read(1); print(PlatformKeys(pathlib.Path(sys.argv[1])).current)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    found = {process.communicate("x")[0].strip() for process in started}
    assert found == {PlatformKeys(path).current}


def test_a_signature_holds_for_its_purpose_and_payload_only(path: Path) -> None:
    keys = PlatformKeys(path)
    signature = keys.sign("page", b"payload")
    assert keys.verify("page", b"payload", signature)
    assert not keys.verify("job", b"payload", signature)
    assert not keys.verify("page", b"payloae", signature)
    for index in range(len(signature)):
        forged = bytearray(signature)
        forged[index] ^= 1
        assert not keys.verify("page", b"payload", bytes(forged))
    assert not keys.verify("page", b"payload", b"")


def test_after_a_rotation_former_signatures_hold_until_their_key_is_retired(path: Path) -> None:
    keys, other_process = PlatformKeys(path), PlatformKeys(path)
    former, signature = keys.current, keys.sign("page", b"payload")
    new = keys.rotate()
    assert keys.current == other_process.current == new != former
    assert keys.former() == (former,)
    assert other_process.verify("page", b"payload", signature)
    keys.retire(former)
    assert not keys.verify("page", b"payload", signature)
    assert not other_process.verify("page", b"payload", signature)
    assert keys.verify("page", b"payload", other_process.sign("page", b"payload"))


def test_the_current_key_cannot_be_retired(path: Path) -> None:
    keys = PlatformKeys(path)
    with pytest.raises(Fault, match="rotate first"):
        keys.retire(keys.current)


def test_a_key_that_vanishes_is_a_fault_and_not_replaced(path: Path) -> None:
    keys = PlatformKeys(path)
    path.unlink()
    with pytest.raises(Fault, match="is gone"):
        keys.sign("page", b"payload")
    assert not path.exists()


def test_no_secret_is_shown_where_objects_are_printed(path: Path) -> None:
    keys = PlatformKeys(path)
    secret = json.loads(path.read_text())["keys"][keys.current]
    assert secret not in repr(vars(keys))
