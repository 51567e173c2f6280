"""The handful of Linux calls that Python 3.11's standard library does not offer, through ctypes."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGUSR1, SIGPIPE, SIGTERM, SIGCHLD, SIGXFSZ = 1, 2, 3, 9, 10, 13, 15, 17, 25
#: Signals whose default action leaves a core dump: the program crashed.
CORE_SIGNALS = frozenset({3, 4, 5, 6, 7, 8, 11, 24, 25, 31})

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    0x1,
    0x2,
    0x4,
    0x8,
    0x20,
    0x1000,
    0x4000,
    0x40000,
)

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = 1, 4, 22, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_SECCOMP_MODE_FILTER = 2
_SIG_SETMASK = 2
_LAST_CAPABILITY = 63


class _FilterProgram(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, value: int) -> int:
    return int(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def die_with_parent(signal: int = SIGKILL) -> None:
    """Have the kernel send ``signal`` to this process when its parent ends. Cleared by a change of user."""
    _check(_prctl(_PR_SET_PDEATHSIG, signal), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _check(_prctl(_PR_SET_CHILD_SUBREAPER, 1), "prctl(PR_SET_CHILD_SUBREAPER)")


def hide_from_peers() -> None:
    """Keep processes of the same user from tracing this one."""
    _check(_prctl(_PR_SET_DUMPABLE, 0), "prctl(PR_SET_DUMPABLE)")


def show_to_peers() -> None:
    """Undo :func:`hide_from_peers`, and what a change of user does alike."""
    _check(_prctl(_PR_SET_DUMPABLE, 1), "prctl(PR_SET_DUMPABLE)")


def no_new_privileges() -> None:
    """Set-user-id programs run as the caller from here on."""
    _check(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "prctl(PR_SET_NO_NEW_PRIVS)")


def filter_system_calls(program: bytes) -> None:
    """Have the kernel judge every system call from here on by this BPF program; needs no_new_privileges before."""
    instructions = ctypes.create_string_buffer(program, len(program))
    fields = _FilterProgram(len(program) // 8, ctypes.addressof(instructions))
    result = _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(fields), 0, 0)
    _check(result, "prctl(PR_SET_SECCOMP)")


def drop_capability_bounds() -> None:
    """Give up every capability for whatever is executed later; ends at the first number the kernel does not know."""
    for capability in range(_LAST_CAPABILITY + 1):
        if _prctl(_PR_CAPBSET_DROP, capability) < 0:
            return


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter_namespace(descriptor: int, kind: int) -> None:
    """Move this process into the namespace that ``descriptor`` (of /proc/PID/ns) is; ``kind`` is its CLONE_NEW*."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    result = _libc.mount(
        source and os.fsencode(source),
        os.fsencode(target),
        kind and os.fsencode(kind),
        ctypes.c_ulong(flags),
        data and os.fsencode(data),
    )
    _check(result, f"mount {kind or source} on {target}")


def set_host_name(name: str) -> None:
    raw = os.fsencode(name)
    _check(_libc.sethostname(raw, ctypes.c_size_t(len(raw))), "sethostname")


def _mask(signals: tuple[int, ...]) -> ctypes.Array[ctypes.c_ulong]:
    mask = (ctypes.c_ulong * 16)()
    for signal in signals:
        mask[0] |= 1 << (signal - 1)
    return mask


def block_signals(*signals: int) -> None:
    """Block exactly these signals (none: unblock all) so that they arrive only through :func:`signal_descriptor`."""
    _check(_libc.sigprocmask(_SIG_SETMASK, _mask(signals), None), "sigprocmask")


def signal_descriptor(*signals: int) -> int:
    """A close-on-exec, non-blocking descriptor that becomes readable when one of these blocked signals is pending."""
    return _check(_libc.signalfd(-1, _mask(signals), os.O_CLOEXEC | os.O_NONBLOCK), "signalfd")


def take_signals(descriptor: int) -> set[int]:
    """The signals that arrived since the last call."""
    taken: set[int] = set()
    while True:
        try:
            raw = os.read(descriptor, 128 * 16)
        except BlockingIOError:
            return taken
        # struct signalfd_siginfo is 128 bytes and begins with the signal's number.
        taken.update(int.from_bytes(raw[i : i + 4], "little") for i in range(0, len(raw), 128))


def default_signal(signal: int) -> None:
    """Restore the default action: the interpreter ignores SIGPIPE and SIGXFSZ, and exec would pass that on."""
    _libc.signal(ctypes.c_int(signal), None)
