"""The parent of a replica's workers: prepares what they need, starts one per socket, replaces those that end.

Single-threaded, and free of user code: what it imports before it forks, its workers share.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from sagebrush.runtime import outcome, warm_start
from sagebrush.runtime.directories import Directories
from sagebrush.runtime.serving import handlers, preparing, shared_libs
from sagebrush.runtime.serving.place import Place
from sagebrush.runtime.serving.platform_relay import PlatformRelay
from sagebrush.runtime.serving.preparing import Prepared
from sagebrush.runtime.serving.progress import Progress
from sagebrush.runtime.serving.stamp import stamps

_FIRST_DESCRIPTOR = 3
_LOOK_SECONDS = 1.0
#: So many workers ended one after the other without an answer: something is wrong for good.
_MOST_DEATHS = 5
_STOP_SECONDS = 30.0
_TIMEOUT_SECONDS = 60.0


class Stopped(BaseException):
    """SIGTERM before anything serves."""


def main() -> int:
    """Serve until SIGTERM (0), or until it is clear that this model cannot serve (1, with the reason left)."""
    directories = Directories.of(os.environ)
    progress = Progress()
    signal.signal(signal.SIGTERM, _stop_start)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        return _serve(directories, progress)
    except Stopped:
        outcome.write_failure(directories.output, str(progress))
        return 0
    except BaseException as error:
        outcome.write_failure(directories.output, outcome.describe(error))
        tell_log(error)
        return 1


def _stop_start(number: int, frame: FrameType | None) -> None:
    raise Stopped


def _serve(directories: Directories, progress: Progress) -> int:
    listeners = _inherited(os.environ)
    with PlatformRelay.of(os.environ) as relay:
        prepared = preparing.prepare(directories, os.environ, progress.tell)
        if modules := warm_start.hidden([prepared.code] if prepared.program else []):
            relay.end()
            warm_start.start_again(modules, keep=[listener.fileno() for listener in listeners])
        return _run(directories, prepared, listeners, relay, progress)


def _run(
    directories: Directories,
    prepared: Prepared,
    listeners: list[socket.socket],
    relay: PlatformRelay,
    progress: Progress,
) -> int:
    if prepared.is_server:
        from sagebrush.runtime.serving import own_server

        assert prepared.program is not None
        return own_server.run(prepared.program, listeners, directories, relay, progress)
    return Server(directories, prepared, listeners, relay, progress).run()


def _inherited(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that the platform listens on for this replica."""
    count = environ.get("SAGEBRUSH_LISTEN_FDS", "")
    if not count.isdigit() or not int(count):
        raise outcome.UserError("SAGEBRUSH_LISTEN_FDS is not set: the model server runs on sockets that it inherits.")
    listeners = [socket.socket(fileno=_FIRST_DESCRIPTOR + i) for i in range(int(count))]
    for listener in listeners:
        listener.set_inheritable(False)
    return listeners


def tell_log(error: BaseException) -> None:
    """The traceback, or one line where the traceback would say nothing."""
    if isinstance(error, outcome.UserError):
        print(f"ClientError: {error}", file=sys.stderr, flush=True)
    else:
        outcome.print_traceback(error)


class Server:
    """The workers of a replica."""

    def __init__(
        self,
        directories: Directories,
        prepared: Prepared,
        listeners: list[socket.socket],
        relay: PlatformRelay,
        progress: Progress,
    ):
        self._directories = directories
        self._prepared = prepared
        self._relay = relay
        self._progress = progress
        self._threads = _share_processors(os.environ, len(listeners))
        self._places = [Place(i, *pair) for i, pair in enumerate(zip(listeners, stamps(len(listeners)), strict=True))]
        self._timeout = preparing.seconds(
            os.environ, ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "SAGEMAKER_MODEL_SERVER_TIMEOUT"), _TIMEOUT_SECONDS
        )
        self._start_timeout = preparing.start_seconds(os.environ)
        self._stopping = False
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        #: Workers see the end of this pipe, which is theirs too: when the parent is told to stop, and when it dies.
        self._lifeline, self._lifeline_end = os.pipe2(os.O_CLOEXEC)

    def run(self) -> int:
        framework = os.environ.get("SAGEBRUSH_FRAMEWORK", "")
        os.environ.setdefault("SM_MODEL_DIR", self._prepared.model)
        self._progress.tell("importing the framework")
        with _no_threads():
            handlers.preload(framework, with_code=self._prepared.program is not None)
        self._progress.tell("loading the model")
        shared_libs.load(Path(self._prepared.model))
        # What is there now is never garbage: not looked at by the collector, its memory stays shared.
        gc.collect()
        gc.freeze()
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGCHLD, _heard)
        try:
            while not self._stopping:
                told = self._look()
                if told is not None:
                    outcome.write_failure(self._directories.output, told)
                    return 1
                self._wait()
            if not any(place.ever_ready for place in self._places):
                outcome.write_failure(self._directories.output, str(self._progress))
            return 0
        finally:
            self._end()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _wait(self) -> None:
        """Until a signal arrives, a worker is to be started, or it is time to look at the clock again."""
        pause = min(
            [max(0.0, place.start_at - time.monotonic()) for place in self._places if not place.pid],
            default=min(_LOOK_SECONDS, self._timeout / 4),
        )
        if select.select([self._wake], [], [], min(pause, _LOOK_SECONDS))[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 4096)

    def _look(self) -> str | None:
        """See to every worker; the reason to give up, if there is one."""
        self._relay.look()
        for place in self._places:
            if place.pid:
                ended = place.look(self._timeout, self._start_timeout)
                if ended is not None and (told := self._verdict(place, ended)):
                    return told
            if not place.pid and time.monotonic() >= place.start_at:
                self._fork(place)
        return None

    def _verdict(self, place: Place, ending: str) -> str | None:
        """Whether the end of a worker is that of the server; then why."""
        if place.reported and not any(other.ever_ready for other in self._places):
            print(place.reported_log, file=sys.stderr, end="", flush=True)
            return place.reported
        if place.deaths >= _MOST_DEATHS:
            told = f"A worker ended {place.deaths} times in a row without an answer, lastly {ending}."
            return f"{told} {place.reported}" if place.reported else told
        if place.reported_log:
            print(place.reported_log, file=sys.stderr, end="", flush=True)
        who = f"worker {place.number} (pid {place.ended_pid})"
        when = f"in {place.pause:g} s" if place.pause else "now"
        print(f"[sagebrush] {who} ended {ending}; another one is started {when}.", flush=True)
        return None

    def _fork(self, place: Place) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        place.stamp.clear()
        # A signal in between would run the parent's handler in the child.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD))
        pid = os.fork()
        if pid == 0:
            self._become_worker(place, writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))
        os.close(writing)
        place.started(pid, reading)

    def _become_worker(self, place: Place, report: int) -> None:
        """Serve, and end the process whatever happens."""
        from sagebrush.runtime.serving import birth

        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGCHLD))
            for descriptor in (self._lifeline_end, self._wake, self._waker, *self._relay.descriptors):
                os.close(descriptor)
            for other in self._places:
                if other is not place:
                    other.listener.close()
            code = birth.serve(self._prepared, place, self._lifeline, report, self._threads)
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _end(self) -> None:
        """Workers that serve end after the request in hand, others at once."""
        os.close(self._lifeline_end)
        until = time.monotonic() + _STOP_SECONDS
        for place in self._places:
            if not place.stamp.ready:
                place.kill(signal.SIGKILL)
        while any(place.is_there() for place in self._places):
            if time.monotonic() > until:
                for place in self._places:
                    place.kill(signal.SIGKILL)
            select.select([self._wake], [], [], 0.05)


def _heard(number: int, frame: FrameType | None) -> None:
    """A signal handler is all it takes to wake the parent."""


def _share_processors(environ: Mapping[str, str], workers: int) -> int:
    """Threads of numerical libraries for each worker: together they use what the replica has, unless told otherwise."""
    cpus = environ.get("SM_NUM_CPUS", "")
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, (int(cpus) if cpus.isdigit() else own) // workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    given = os.environ["OMP_NUM_THREADS"]
    return int(given) if given.isdigit() and int(given) else threads


@contextlib.contextmanager
def _no_threads() -> Iterator[None]:
    """Within the block libraries begin without threads of their own, which a fork would not take along.

    OpenBLAS starts its threads when it is loaded; pyarrow's allocator has one that tidies up.
    """
    quiet = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
    added = [name for name in quiet if name not in os.environ]
    os.environ.update({name: quiet[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
