from __future__ import annotations

import subprocess
import sys

from sagebrush.substrate.processes import boot_id, start_time
from sagebrush.substrate.reconcile.owner import is_dead, pid_namespace, process_identity


def test_this_process_is_alive_whatever_follows_its_name() -> None:
    assert not is_dead(process_identity(), one_host=True)
    assert not is_dead(f"{process_identity()}/anything", one_host=True)


def test_a_process_that_ended_is_dead_and_so_is_one_that_only_has_its_number() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = f"{boot_id()}/{pid_namespace()}/{child.pid}/{start_time(child.pid)}/x"
    reused = f"{boot_id()}/{pid_namespace()}/{child.pid}/1/x"
    assert not is_dead(owner, one_host=False)
    assert is_dead(reused, one_host=False)
    child.communicate(b"\n")
    assert is_dead(owner, one_host=False)


def test_an_earlier_boot_is_dead_only_where_there_is_one_host() -> None:
    elsewhere = f"another-boot/{pid_namespace()}/1/1/x"
    assert is_dead(elsewhere, one_host=True)
    assert not is_dead(elsewhere, one_host=False)


def test_of_another_containers_process_nothing_is_known() -> None:
    assert not is_dead(f"{boot_id()}/pid:[1]/999999999/1/x", one_host=True)
    assert not is_dead(f"{boot_id()}/{pid_namespace()}/not-a-pid/1/x", one_host=True)
