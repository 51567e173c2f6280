"""Where jobs can be limited, and what ``doctor`` tells."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from sagebrush.substrate.compute import Compute, Limits
from sagebrush.substrate.compute.isolation import Isolation
from sagebrush.substrate.compute.limits import ControlGroups
from sagebrush.substrate.compute.shim.cgroups import Group
from sagebrush.substrate.compute.shim.launchfile import LaunchFile
from sagebrush.substrate.settings import Settings


def control_groups(tmp_path: Path, mounts: str, membership: str) -> ControlGroups:
    (tmp_path / "mountinfo").write_text(mounts)
    (tmp_path / "membership").write_text(membership)
    return ControlGroups(tmp_path / "mountinfo", tmp_path / "membership")


def version_2(tmp_path: Path) -> tuple[Path, str]:
    tree = tmp_path / "cgroup"
    (tree / "system.slice" / "sagebrush.service").mkdir(parents=True)
    (tree / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tree / "system.slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (tree / "system.slice" / "sagebrush.service" / "cgroup.subtree_control").write_text("\n")
    return tree, f"30 23 0:26 / {tree} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_2_uses_the_nearest_group_that_hands_its_controllers_down(tmp_path: Path) -> None:
    tree, mounts = version_2(tmp_path)
    groups = control_groups(tmp_path, mounts, "0::/system.slice/sagebrush.service\n")
    assert groups.parents() == {"unified": tree / "system.slice"}


def test_version_2_in_a_container_whose_membership_names_a_path_outside(tmp_path: Path) -> None:
    tree, mounts = version_2(tmp_path)
    assert control_groups(tmp_path, mounts, "0::/docker/0123\n").parents() == {"unified": tree}


def test_version_1_uses_our_own_group_of_each_controller(tmp_path: Path) -> None:
    for controller in ("memory", "cpu,cpuacct"):
        (tmp_path / controller / "session").mkdir(parents=True)
    mounts = f"""31 23 0:27 / {tmp_path}/memory rw - cgroup cgroup rw,memory
32 23 0:28 / {tmp_path}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 23 0:29 / {tmp_path}/nowhere rw - cgroup cgroup rw,pids
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
"""
    groups = control_groups(tmp_path, mounts, "4:memory:/session\n1:cpu,cpuacct:/session\n8:pids:/gone\n")
    assert groups.parents() == {
        "memory": tmp_path / "memory" / "session",
        "cpu": tmp_path / "cpu,cpuacct" / "session",
    }


def test_without_control_groups_resource_limits_stand_in(tmp_path: Path) -> None:
    groups = control_groups(tmp_path, "", "0::/\n")
    assert groups.parents() == {}
    launch = LaunchFile()
    groups.describe(launch, Limits(memory_bytes=2**30, cpus=1.5, pids=9), tmp_path, own_user=True)
    assert (launch.number("address_space"), launch.number("process_limit")) == (2**30, 9)
    shared = LaunchFile()
    groups.describe(shared, Limits(memory_bytes=2**30, cpus=1.5, pids=9), tmp_path, own_user=False)
    assert (shared.number("address_space"), shared.text("process_limit")) == (2**30, "")


def test_a_version_2_group_is_given_its_limits_and_read_back(tmp_path: Path) -> None:
    """The kernel's files stand in as plain files: this is about which are written and read."""
    parent = tmp_path / "cgroup"
    made = parent / "job"
    made.mkdir(parents=True)
    for name in ("memory.max", "memory.swap.max", "cpu.max", "pids.max", "cgroup.procs"):
        (made / name).touch()
    group = Group([("unified", str(parent))], "job")
    group.create(2**27, 150, 64)
    assert {p.name: p.read_text() for p in made.iterdir() if p.read_text()} == {
        "memory.max": str(2**27),
        "memory.swap.max": "0",
        "cpu.max": "150000 100000",
        "pids.max": "64",
    }
    assert (group.peak_memory(), group.oom_kills()) == (0, 0)
    (made / "memory.peak").write_text("4096\n")
    (made / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n")
    assert (group.peak_memory(), group.oom_kills(), group.limits_memory) == (4096, 1, True)
    doors = group.doors()
    assert len(doors) == 1
    os.close(doors[0])


def test_an_address_space_limit_makes_an_allocation_fail_where_no_group_can(tmp_path: Path) -> None:
    from sagebrush.substrate.compute.launcher import Launcher
    from sagebrush.testing.launcher_contract import Rig, cleaned
    from tests.substrate.compute.conftest import make_rig

    borrowed = make_rig(tmp_path, "process")
    launcher = Launcher(borrowed.launcher._isolation, control_groups(tmp_path, "", "0::/\n"))
    borrowed.launcher.close()
    with cleaned(Rig(launcher, tmp_path, "process")) as rig:
        spec = rig.spec("bytearray(900 * 2**20)", limits=Limits(memory_bytes=512 * 2**20))
        rig.launcher.launch(spec)
        assert rig.finish(spec).exit_code == 1
        assert rig.printed(spec)[-1] == "MemoryError"


def test_doctor_tries_everything_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    compute = Compute(Settings(data_dir=tmp_path / "not" / "yet"))
    checks = {check.check: check for check in compute.probe()}
    compute.close()
    assert list(checks) == [
        "python",
        "disk space",
        "user namespaces",
        "mount namespaces",
        "pid namespaces",
        "control groups",
        "isolation",
        "private networks",
        "system call filter",
    ]
    assert checks["python"].ok
    assert all(check.detail for check in checks.values())
    assert checks["isolation"].ok == (compute.isolation() == "sandbox")
    assert checks["private networks"].ok == compute.private_network()
    assert checks["system call filter"].ok, checks["system call filter"].detail
    assert list(tmp_path.iterdir()) == []


def test_without_a_sandbox_no_job_has_a_network_of_its_own(tmp_path: Path) -> None:
    compute = Compute(Settings(data_dir=tmp_path, isolation="process"))
    check = next(check for check in compute.probe() if check.check == "private networks")
    assert (compute.private_network(), check.ok, check.needed) == (False, False, False)
    assert "share the ports" in check.detail
    compute.close()


def test_a_kernel_that_refuses_network_namespaces_is_asked_once_and_its_words_are_told(tmp_path: Path) -> None:
    asked = []

    def refuse() -> str:
        asked.append("asked")
        return "unshare: Operation not permitted"

    isolation = Isolation("sandbox", lambda *_: "", refuse)
    compute = Compute(Settings(data_dir=tmp_path))
    compute._isolation = isolation
    assert (isolation.private_network(), isolation.private_network(), len(asked)) == (False, False, 1)
    check = next(check for check in compute.probe() if check.check == "private networks")
    assert check.detail.endswith("unshare: Operation not permitted")
    compute.close()
