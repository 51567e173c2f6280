"""``python -m tests.fuzz --seconds 60`` (``make fuzz``): atheris tries every target, guided by coverage.

What makes a target fail is kept in ``build/fuzz/<target>/`` with what was found on the way (the corpus), so the next
run goes on from there. ``python -m tests.fuzz TARGET FILE`` tries one input again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

#: Memory of one target, and the longest one input may take.
MOST_MEGABYTES = 1024
MOST_SECONDS = 10
#: Inputs grow up to this many bytes. Python refuses to read numbers of more than 4300 digits.
LONGEST_INPUT = 8192


def fuzz_in_process(name: str, options: list[str]) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["sagebrush"]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[name])
    atheris.Fuzz()


def run(name: str, work: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Fuzz one target in a process of its own, beginning with its seeds and what earlier runs found."""
    from tests.fuzz.targets import SEEDS

    corpus = work / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = (f"-rss_limit_mb={MOST_MEGABYTES}", f"-timeout={MOST_SECONDS}", f"-max_len={LONGEST_INPUT}")
    command = [sys.executable, "-m", "tests.fuzz", "--in-process", name, *limits, *options]
    command += [f"-artifact_prefix={work / name}/", "-verbosity=0", "-print_final_stats=1", str(corpus)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main() -> int:
    """The exit status: 0 when no target broke a promise."""
    if sys.argv[1:2] == ["--in-process"]:
        fuzz_in_process(sys.argv[2], sys.argv[3:])
        return 0
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", choices=sorted(TARGETS), help="only this one")
    parser.add_argument("file", nargs="?", type=Path, help="only this input")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    arguments = parser.parse_args()
    if arguments.file is not None:
        TARGETS[arguments.target](arguments.file.read_bytes())
        return 0
    broken = []
    for name in [arguments.target] if arguments.target else sorted(TARGETS):
        done = run(name, Path("build/fuzz"), f"-max_total_time={arguments.seconds}")
        print(f"{name}: {'held' if done.returncode == 0 else 'BROKEN'}", flush=True)
        if done.returncode != 0:
            broken.append(name)
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
    print(f"{len(broken)} targets are broken." if broken else "Every promise held.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
