"""Jobs that may start warm: an environment with something to preload, and programs that look at themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sagebrush.substrate.compute import Environment, LaunchSpec, Observation
from sagebrush.substrate.compute.environments import layers
from sagebrush.testing.launcher_contract import Rig, eventually

_ROOT = Path(__file__).parents[3]
#: The module that jobs run: ``python3 -m probe_job <program>``.
JOB = """
import sys
if __name__ == "__main__":
    exec(compile(sys.argv[1], "<job>", "exec"), {"__name__": "__main__"})
"""

#: What a program can find out about how it was started.
FACTS = """
import json, os, resource, signal, stat, sys, threading
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({
    "prefix": sys.prefix, "executable": sys.executable, "base": sys.base_prefix, "argv": sys.argv[2:], "path": sys.path,
    "original": sys.orig_argv[1:3], "environ": {k: v for k, v in os.environ.items() if k != "SAGEBRUSH_WARM_START"},
    "cwd": os.getcwd(), "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "descriptors": [os.path.basename(os.path.realpath(f"/proc/self/fd/{d}")).split(":")[0] for d in range(99)],
    "signals": {str(s): str(signal.getsignal(s)) for s in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    **{k: status[k] for k in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Threads", "SigBlk", "SigIgn")},
    "leads": os.getpgrp() == os.getpid() == os.getsid(0), "own_files": os.access("/proc/self/environ", os.R_OK),
    "umask": os.umask(0), "core": resource.getrlimit(resource.RLIMIT_CORE), "threads": threading.active_count(),
    "streams": [[s.encoding, s.errors, s.line_buffering, s.write_through] for s in (sys.stdout, sys.stderr)],
    "stdin": sys.stdin.read(), "bytecode": sys.dont_write_bytecode,
}, default=str))
"""


THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=[600], daemon=True).start()
"""


class Jobs:
    """Runs programs in the environment, cold or warm."""

    def __init__(self, rig: Rig, environment: Environment):
        self.rig = rig
        self.environment = environment
        self.zygotes = rig.launcher._zygotes
        self.count = 0

    def spec(self, program: str, *arguments: str, **changes: Any) -> LaunchSpec:
        self.count += 1
        # As where the platform is installed below a home: a sandbox does not show its own files.
        changes = {"masked": (_ROOT / "src",), **changes}
        spec = self.rig.spec("", name=f"a{self.count}", environment=self.environment, **changes)
        root = "/opt/ml" if self.rig.mode == "sandbox" else str(spec.opt_ml.absolute())
        return replace(spec, argv=(layers.python_of(root), "-m", "probe_job", program, *arguments))

    def warmed(self) -> Jobs:
        """With a zygote that is ready."""
        self.run("pass")
        eventually(lambda: self.zygotes.memory_bytes())
        return self

    def run(self, program: str, *arguments: str, **changes: Any) -> tuple[Observation, list[str]]:
        spec = self.spec(program, *arguments, **changes)
        self.rig.launcher.launch(spec)
        return self.rig.finish(spec), self.rig.printed(spec)


def comparable(facts: dict[str, Any], name: str) -> dict[str, Any]:
    """Without what differs between any two attempts: their directory and, as root, their user."""
    text = json.dumps(facts).replace(f"/{name}/", "/attempt/")
    comparable: dict[str, Any] = json.loads(text)
    comparable["uid"] = comparable["gid"] = len(set(comparable["uid"]))
    # The C library's own two signals: nobody else can send or handle them.
    comparable["SigIgn"] = int(comparable["SigIgn"], 16) & ~(0b11 << 31)
    return comparable


class WarmRig(Rig):
    """A rig whose programs are scripts, forked from a zygote instead of started."""

    def spec(self, program: str, *arguments: str, name: str = "attempt", **changes: Any) -> LaunchSpec:
        spec = super().spec(program, *arguments, name=name, masked=(_ROOT / "src",), **changes)
        if "argv" in changes:
            return spec
        (spec.opt_ml / "program.py").write_text(program)
        return replace(spec, argv=("python3", "program.py", *arguments))

    def warmed(self) -> WarmRig:
        """With a zygote that is ready."""
        self.run("pass", name="first")
        eventually(lambda: self.launcher._zygotes.memory_bytes())
        return self
