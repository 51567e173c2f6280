"""A zygote: an interpreter that has imported what jobs of its environment import, and forks the shims of such jobs.

Started as ``<environment's python> <this file> <socket> <modules>``. It must never have a second thread: a fork would
take along locks that nobody releases. On the socket (SEQPACKET) it says ``ready <KiB>`` or ``problem <text>``; then
each message, an attempt directory with the lock and log descriptors, is answered with the pid of the shim forked for
it. The end of the socket is the zygote's own; the shims it has forked go on.
"""

# ruff: noqa: PTH100, PTH120, PTH208

from __future__ import annotations

import array
import gc
import importlib
import os
import signal
import socket
import sys
import traceback

_LONGEST = 8192


def main(descriptor: int, modules: list[str]) -> None:
    """Import, then serve until the socket ends."""
    asked = socket.socket(fileno=descriptor)
    problem = _import(modules)
    gc.collect()
    # What is there now is never garbage: collections in the children would only copy its pages.
    gc.freeze()
    threads = len(os.listdir("/proc/self/task"))
    if not problem and threads != 1:
        problem = f"importing {', '.join(modules)} has started {threads - 1} threads"
    if problem:
        asked.send(f"problem {problem}".encode()[:_LONGEST])
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Shims are nobody's to wait for.
    asked.send(f"ready {_memory_kib()}".encode())
    while True:
        message, ancillary, _, _ = asked.recvmsg(_LONGEST, socket.CMSG_SPACE(8))
        if not message:
            return
        descriptors = array.array("i")
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        lock, log = descriptors
        pid = os.fork()
        if pid == 0:
            asked.close()
            _be_shim(message.decode("utf-8", "surrogateescape"), lock, log)
        os.close(lock)
        os.close(log)
        asked.send(b"%d" % pid)


def _import(modules: list[str]) -> str:
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            return f"{name} cannot be imported: {type(error).__name__}: {error}"
    return ""


def _memory_kib() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def _be_shim(directory: str, lock: int, log: int) -> None:
    """In the child: the shim of one attempt. Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        from shim import main as shim_main  # type: ignore[import-not-found]

        shim_main.main(directory, lock)
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _load_shim() -> None:
    """All of it now: inside a sandbox its files may be out of sight."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(os.path.dirname(folder))
    for name in os.listdir(folder):
        if name.endswith(".py") and not name.startswith("__"):
            importlib.import_module(f"shim.{name[:-3]}")
    sys.path.pop()


if __name__ == "__main__":
    _load_shim()
    main(int(sys.argv[1]), [name for name in sys.argv[2].split(",") if name])
