"""One thread that tells others when an attempt changed, so that nobody polls: inotify on directories, pidfds."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sagebrush.substrate.compute import observing
from sagebrush.substrate.compute.shim import record

_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)
_IN_MOVED_TO = 0x80
_EVENT = struct.Struct("iIII")
#: How often to look where no event can come: a shim of an ended platform before its record, or remains of a job.
_LOOK_AGAIN_S = 0.05


@dataclass(slots=True)
class _Watch:
    directory: Path
    callback: Callable[[], None]
    inotify_id: int
    told: str = ""
    pidfds: list[int] = field(default_factory=list)


class Watcher:
    """Callbacks for directories; also collects this process's own dead shims. The thread starts when needed."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._watches: dict[Path, _Watch] = {}
        self._children: dict[int, tuple[int, Path]] = {}
        self._uncertain: set[Path] = set()
        self._thread: threading.Thread | None = None
        self._closed = False

    def reap(self, pid: int, directory: Path) -> None:
        """Collect this child, the shim of ``directory``, when it ends; it may be a zygote's child, and gone already."""
        with self._lock:
            self._start()
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                self._changed.add(directory.absolute())
                self._wake()
                return
            self._children[descriptor] = (pid, directory.absolute())
            self._poll.register(descriptor, select.EPOLLIN)

    def watch(self, directory: Path, callback: Callable[[], None]) -> None:
        directory = directory.absolute()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock:
            self._start()
            self.unwatch(directory)
            mark = _libc.inotify_add_watch(self._inotify, os.fsencode(directory), _IN_MOVED_TO)
            if mark < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(directory))
            self._watches[directory] = _Watch(directory, callback, mark)
            self._changed.add(directory)
        self._wake()

    def unwatch(self, directory: Path) -> None:
        with self._lock:
            watch = self._watches.pop(directory.absolute(), None)
            if watch is not None:
                self._release(watch)
                _libc.inotify_rm_watch(self._inotify, watch.inotify_id)

    def close(self) -> None:
        with self._lock:
            thread, self._closed = self._thread, True
            if thread is None:
                return
        self._wake()
        thread.join()
        with self._lock:
            for directory in list(self._watches):
                self.unwatch(directory)
            for descriptor in (*self._children, self._inotify, self._wake_read, self._wake_write):
                os.close(descriptor)
            self._children.clear()
            self._poll.close()

    def _start(self) -> None:
        if self._thread is not None:
            return
        self._changed: set[Path] = set()
        self._inotify = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._inotify < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"inotify: {os.strerror(number)}")
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.epoll()
        self._poll.register(self._inotify, select.EPOLLIN)
        self._poll.register(self._wake_read, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="launch-watcher", daemon=True)
        self._thread.start()

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            return  # The pipe is full of wake-ups.

    def _run(self) -> None:
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll(_LOOK_AGAIN_S if self._uncertain else None)]
            with self._lock:
                if self._closed:
                    return
                for descriptor in ready:
                    self._hear(descriptor)
                changed, self._changed, self._uncertain = self._changed | self._uncertain, set(), set()
                watches = [w for w in map(self._watches.get, changed) if w is not None]
            for watch in watches:
                try:
                    self._tell(watch)
                except Exception:
                    # One directory that cannot be read must not make the others unheard; who waits also looks himself.
                    _log.exception("%s is not watched any more", watch.directory)
                    self.unwatch(watch.directory)

    def _hear(self, descriptor: int) -> None:
        if descriptor == self._wake_read:
            os.read(descriptor, 4096)
        elif descriptor == self._inotify:
            self._read_inotify()
        elif descriptor in self._children:
            pid, directory = self._children[descriptor]
            if not _is_over(descriptor):
                return  # The event was of another descriptor with this number, closed since.
            del self._children[descriptor]
            with contextlib.suppress(ChildProcessError):  # Forked by a zygote: not our child.
                os.waitpid(pid, os.WNOHANG)
            os.close(descriptor)
            self._changed.add(directory)
        else:
            for watch in self._watches.values():
                if descriptor in watch.pidfds:
                    self._changed.add(watch.directory)
                    watch.pidfds.remove(descriptor)
                    os.close(descriptor)

    def _read_inotify(self) -> None:
        try:
            data = os.read(self._inotify, 65536)
        except BlockingIOError:
            return
        marks: set[int] = set()
        position = 0
        while position < len(data):
            mark, _, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size
            name = data[position : position + length].rstrip(b"\0")
            position += length
            if name == record.NAME.encode():
                marks.add(mark)
        self._changed.update(w.directory for w in self._watches.values() if w.inotify_id in marks)

    def _release(self, watch: _Watch) -> None:
        for descriptor in watch.pidfds:
            os.close(descriptor)
        watch.pidfds.clear()

    def _tell(self, watch: _Watch) -> None:
        """Watch the processes that can still change the phase, then call: in this order nothing is missed."""
        with self._lock:
            if self._watches.get(watch.directory) is not watch:
                return
            state = observing.read_state(watch.directory)
            if state is not None and state["phase"] != "exited":
                self._release(watch)
                for who in ("shim", "keeper"):
                    descriptor = observing.open_process(state, who)
                    if descriptor is not None:
                        watch.pidfds.append(descriptor)
                        self._poll.register(descriptor, select.EPOLLIN)
        phase = observing.observe(watch.directory).phase
        with self._lock:
            if phase == "starting" or (phase == "running" and not watch.pidfds):
                self._uncertain.add(watch.directory)
        if phase != watch.told:
            watch.told = phase
            try:
                watch.callback()
            except Exception:
                _log.exception("a callback for %s failed", watch.directory)
        if phase in ("exited", "lost"):
            with self._lock:
                if self._watches.get(watch.directory) is watch:
                    self.unwatch(watch.directory)


def _is_over(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
