"""What is launched, and what can be observed of it: the values that cross the Launcher seam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Phase = Literal["absent", "starting", "running", "exited", "lost"]


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the host shown to the job, in a sandbox only: elsewhere the caller copies.

    The job's user must be able to read ``source`` itself (mode o+r); the directories above it do not matter.
    """

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """What one host of a job may use; 0 means no limit."""

    memory_bytes: int = 0
    cpus: float = 0.0
    pids: int = 0
    #: What /opt/ml and /tmp may take of the disk.
    disk_bytes: int = 0
    #: What must stay free on that disk while the host writes.
    disk_reserve_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Environment:
    """A built Python environment, ready to run jobs.

    ``read_only_paths`` must stay visible to the job even where a masked directory covers them (the environment itself,
    the interpreter it was made from, the platform's runtime). ``asked`` and ``got`` are the framework versions.
    ``overlays`` are layers of further packages over it, the topmost first (``environments.layers``).
    """

    name: str
    python: Path
    prefix: Path
    asked: str = ""
    got: str = ""
    algorithm: str | None = None
    notices: tuple[str, ...] = ()
    read_only_paths: tuple[Path, ...] = ()
    python_path: tuple[Path, ...] = ()
    overlays: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """One host of one attempt of a job.

    ``directory`` is the attempt's own directory: the launcher keeps lock, state and output there. ``opt_ml`` is the
    directory shown as ``/opt/ml`` in a sandbox; it should lie in the attempt's directory, and belongs to the job's user
    once launched. ``hosts`` maps every host name of the job to a loopback address. ``env`` goes to the job as it is,
    over a few defaults (PATH, HOME, LANG, PYTHONUNBUFFERED ...). ``cwd`` empty means ``/opt/ml``. ``faults`` names
    points at which the shim kills itself, for tests.

    ``listen`` names Unix sockets that the shim binds in ``directory``: the job inherits them, listening, as descriptors
    3, 4, ... and finds their number in ``SAGEBRUSH_LISTEN_FDS``. ``private_network`` gives the job a network of its own
    (only loopback) where the host allows; without a sandbox it means nothing. ``isolated`` insists on such a network:
    launching is refused where there can be none. Launches that name the same ``network_file``, in a folder that only
    the platform writes, share theirs.
    """

    directory: Path
    argv: tuple[str, ...]
    opt_ml: Path
    environment: Environment
    host_name: str = "algo-1"
    env: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Bind, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    masked: tuple[Path, ...] = ()
    term_grace_seconds: float = 120.0
    cwd: str = ""
    faults: tuple[str, ...] = ()
    listen: tuple[str, ...] = ()
    private_network: bool = False
    isolated: bool = False
    network_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of one attempt directory.

    absent    nothing ran here; launching is right, also after a shim that died before its first record
    starting  a shim holds the directory and has not yet recorded itself
    running   recorded and alive, or not yet entirely dead
    exited    the record of the end is durable: ``exit_code``, or ``signal`` when a signal ended the job; neither when
              the job could not be started, and then ``problem`` says why (the platform's or the host's doing)
    lost      the shim died (kill, power) without a record of the end; no process of the job is left

    Times are Unix microseconds. ``oom_killed``: the kernel killed for the memory limit and the job did not end well.
    ``crashed``: the signal is one that dumps core. ``pid`` is the job's process while it runs.
    ``lost_output_bytes`` of output could not be written to output.log because of ``output_problem`` (a full disk);
    ``lost_output_tail`` is the end of them. ``disk_exceeded``: the job was killed because of the disk: 'volume' (more
    than its limit, at ``disk_used_bytes``), 'reserve' (it wrote while too little was free), 'nesting' (its folders are
    too deep to be measured). ``start`` says why the job started cold; empty for a warm start.
    """

    phase: Phase
    exit_code: int | None = None
    signal: int | None = None
    oom_killed: bool = False
    crashed: bool = False
    peak_memory_bytes: int = 0
    started_us: int | None = None
    first_output_us: int | None = None
    ended_us: int | None = None
    pid: int | None = None
    isolation: str = ""
    lost_output_bytes: int = 0
    output_problem: str = ""
    lost_output_tail: str = ""
    disk_exceeded: str = ""
    disk_used_bytes: int = 0
    problem: str = ""
    start: str = ""

    @property
    def succeeded(self) -> bool:
        return self.phase == "exited" and self.exit_code == 0

    @property
    def status_code(self) -> int | None:
        """The exit code as a container runtime reports it: 128 + n for signal n."""
        return self.exit_code if self.signal is None else 128 + self.signal
