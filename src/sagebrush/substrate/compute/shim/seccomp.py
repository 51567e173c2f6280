"""System calls that a sandboxed job does without: the ways into new namespaces, and the kernel's keyrings.

In a namespace of its own making a job would have every capability there, and with them the parts of the kernel in
which most holes have been found. ``clone3`` cannot be looked into (its flags are behind a pointer): it is said not to
exist, and the C library takes ``clone``. Source: seccomp(2), the kernel's syscall tables.
"""

from __future__ import annotations

import os

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38
#: CLONE_NEW* of namespaces: TIME, NS, CGROUP, UTS, IPC, USER, PID, NET.
_NAMESPACES = 0x00000080 | 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
#: Numbers from here on are those of the x32 ABI, which repeats every call.
_X32 = 0x40000000

#: Machine -> (AUDIT_ARCH, clone, unshare, setns, clone3, add_key, request_key, keyctl).
_MACHINES = {
    "x86_64": (0xC000003E, 56, 272, 308, 435, 248, 249, 250),
    "aarch64": (0xC00000B7, 220, 97, 268, 435, 217, 218, 219),
}


def program() -> bytes:
    """The filter as the kernel takes it, empty on a machine whose numbers are not known here."""
    numbers = _MACHINES.get(os.uname().machine)
    if numbers is None:
        return b""
    architecture, clone, unshare, setns, clone3, *keys = numbers
    refused, absent = _ERRNO | _EPERM, _ERRNO | _ENOSYS
    return b"".join(
        [
            _instruction(_LOAD, _ARCHITECTURE),
            _instruction(_JUMP_EQUAL, architecture, 1, 0),
            _instruction(_RETURN, absent),
            _instruction(_LOAD, _NUMBER),
            _instruction(_JUMP_LEAST, _X32, 0, 1),
            _instruction(_RETURN, absent),
            _instruction(_JUMP_EQUAL, clone3, 0, 1),
            _instruction(_RETURN, absent),
            *[_instruction(*part) for number in (setns, *keys) for part in _returning(number, refused)],
            _instruction(_JUMP_EQUAL, clone, 1, 0),
            _instruction(_JUMP_EQUAL, unshare, 0, 3),
            _instruction(_LOAD, _FIRST_ARGUMENT),
            _instruction(_JUMP_SET, _NAMESPACES, 0, 1),
            _instruction(_RETURN, refused),
            _instruction(_RETURN, _ALLOW),
        ]
    )


def _returning(number: int, answer: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (_JUMP_EQUAL, number, 0, 1), (_RETURN, answer)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One ``struct sock_filter``."""
    return code.to_bytes(2, "little") + bytes((if_true, if_false)) + value.to_bytes(4, "little")
