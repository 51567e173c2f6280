"""The shim's parts by themselves: launch file, record, output, and what it costs to load."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagebrush.substrate.compute.shim import disk, kernel, record
from sagebrush.substrate.compute.shim import main as shim_main
from sagebrush.substrate.compute.shim.launchfile import LaunchFile
from sagebrush.substrate.compute.shim.output import LINE_LIMIT, OutputLog
from sagebrush.testing.launcher_contract import Rig

#: The first draw of text builds tables, which takes seconds on a busy machine.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))


@PATIENT
@given(st.lists(st.tuples(st.sampled_from(["arg", "env", "cwd"]), TEXT)))
def test_a_launch_file_reads_back_as_it_was_written(records: list[tuple[str, str]]) -> None:
    launch = LaunchFile()
    for key, value in records:
        launch.add(key, value)
    assert LaunchFile.decode(launch.encode()).records == records


def test_a_nul_byte_in_a_launch_is_refused_before_anything_starts() -> None:
    with pytest.raises(ValueError, match="NUL byte"):
        LaunchFile().add("env", "NAME=a\0b")


@PATIENT
@given(
    st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=300)))
)
def test_the_record_is_json_whatever_it_says(state: dict[str, object]) -> None:
    read = json.loads(record.encode(state))
    expected = {k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in state.items()}
    assert read == expected


def test_the_last_record_fits_the_reserved_blocks_however_long_its_texts_are() -> None:
    state: dict[str, object] = {"problem": "ä\x01" * 9999, "output_problem": "x" * 9999} | {
        f"f{i}": 2**63 for i in range(20)
    }
    assert len(record.encode(state)) < 2 * record.SPARE_BYTES
    assert len(json.loads(record.encode(state))["problem"]) == 500


def test_a_process_is_known_by_its_start_time_and_a_zombie_counts_as_gone() -> None:
    assert record.start_time(os.getpid()) == record.start_time(os.getpid()) is not None
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert Path(f"/proc/{child}").exists()
    assert record.start_time(child) is None
    os.waitpid(child, 0)
    assert record.start_time(child) is None


def test_the_shim_loads_nothing_that_takes_long_to_load() -> None:
    program = "import sys; sys.path.append(sys.argv[1]); import shim.main; print(*sys.modules)"
    folder = Path(shim_main.__file__).parents[1]
    command = [sys.executable, "-I", "-S", "-c", program, str(folder)]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "shim.keeper" in loaded
    slow = {"json", "re", "enum", "signal", "socket", "subprocess", "typing", "pathlib", "collections", "contextlib"}
    assert loaded & slow == set()
    assert not any(name.startswith("sagebrush") for name in loaded)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[OutputLog]:
    directory = os.open(tmp_path, os.O_RDONLY)
    yield OutputLog(directory)
    os.close(directory)


def lines_of(path: Path) -> list[bytes]:
    return [line.partition(b" ")[2] for line in (path / "output.log").read_bytes().split(b"\n")[:-1]]


@PATIENT
@given(chunks=st.lists(st.binary(max_size=40), max_size=20))
def test_lines_are_the_same_however_the_bytes_arrive(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    place = tmp_path_factory.mktemp("log")
    directory = os.open(place, os.O_RDONLY)
    log = OutputLog(directory)
    for chunk in filter(None, chunks):
        log.feed(chunk)
    log.close()
    os.close(directory)
    whole = b"".join(chunks)
    expected = whole.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    readable = [line.removesuffix(b"\r").decode("utf-8", "replace").encode() for line in expected]
    assert lines_of(place) == readable


def test_a_long_line_is_not_cut_inside_a_character(log: OutputLog, tmp_path: Path) -> None:
    text = "€" * LINE_LIMIT
    log.feed(text.encode()[:1000])
    log.feed(text.encode()[1000:])
    log.close()
    pieces = lines_of(tmp_path)
    assert "".join(piece.decode() for piece in pieces) == text
    assert max(map(len, pieces)) <= LINE_LIMIT


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    kernel.mount("tmpfs", str(place), "tmpfs", 0, "size=256k")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("mode", ["sandbox", "process"])
def test_a_full_disk_stops_neither_the_job_nor_the_record_of_its_end(
    mode: str, small_disk: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    rig: Rig = request.getfixturevalue(f"{mode}_rig")
    opt_ml = tmp_path / "ml"
    opt_ml.mkdir()
    program = "import sys\nfor i in range(40000): print('line', i, 'x' * 50)\nsys.exit(9)"
    spec = rig.spec(program, directory=small_disk / "attempt", opt_ml=opt_ml)
    rig.launcher.launch(spec)
    seen = rig.finish(spec)
    assert (seen.phase, seen.exit_code) == ("exited", 9)
    assert seen.output_problem == "No space left on device"
    assert 2_000_000 < seen.lost_output_bytes < 2_600_000
    lines = (spec.directory / "output.log").read_text().splitlines()
    assert lines[0].partition(" ")[2].startswith("line 0 ")


def test_output_goes_on_where_room_appears_and_says_what_is_missing(small_disk: Path) -> None:
    filler = small_disk / "filler"
    directory = os.open(small_disk, os.O_RDONLY)
    log = OutputLog(directory)
    log.feed(b"before\n")
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        any(file.write(b"x" * 4096) == 0 for _ in range(1000))
    log.feed(b"a" * 8000 + b"\n")
    log.feed(b"lost too\n")
    filler.unlink()
    log.feed(b"after\n")
    log.close()
    os.close(directory)
    first, torn, notice, last = lines_of(small_disk)
    assert (first, last) == (b"before", b"after")
    assert set(torn) <= {ord("a")}
    assert notice == b"[sagebrush] 8010 bytes of output were lost: No space left on device"


@pytest.mark.parametrize(("limit", "reserve"), [(1 << 40, 0), (0, 1), (1 << 40, 1), (0, 1 << 60)])
def test_looking_at_the_disk_takes_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, reserve: int
) -> None:
    """By a clock that stands still but for the pauses: it is looked at seldom, and never without a pause."""
    now = [1000.0]
    monkeypatch.setattr(disk.time, "monotonic", lambda: now[0])
    monkeypatch.chdir(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        watched = disk.Disk([str(tmp_path)], "output.log", os.getpid(), limit=limit, reserve=reserve)
        looks = 0
        while now[0] < 1060.0:
            now[0] += watched.pause()
            while not watched.look() and watched.pause() == 0.0:
                looks += 1
                assert looks < 100_000
            assert watched.pause() > 0.0
            looks += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    # At the longest pause 12 times in a minute; at the shortest, below the reserve, 20 times a second.
    assert looks <= (60 / 0.05 if reserve > 1 else 60 / 4) * 3
