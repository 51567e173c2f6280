"""The Launcher's contract, kept by both ways of isolating a job, and by both of starting one."""

from __future__ import annotations

import pytest

from sagebrush.substrate.compute import Environment
from sagebrush.testing.launcher_contract import LauncherContract, Rig
from tests.substrate.compute.warm_jobs import WarmRig


class TestSandboxLauncher(LauncherContract):
    @pytest.fixture
    def rig(self, sandbox_rig: Rig) -> Rig:
        return sandbox_rig


class TestProcessLauncher(LauncherContract):
    @pytest.fixture
    def rig(self, process_rig: Rig) -> Rig:
        return process_rig


class _Warm(LauncherContract):
    def test_its_jobs_are_forked(self, rig: Rig) -> None:
        spec = rig.start("import sys; print('probe_base' in sys.modules)")
        assert rig.finish(spec).start == ""
        assert rig.printed(spec) == ["True"]


class TestWarmSandboxLauncher(_Warm):
    @pytest.fixture
    def rig(self, sandbox_rig: Rig, environment: Environment) -> Rig:
        return WarmRig(sandbox_rig.launcher, sandbox_rig.root, sandbox_rig.mode, environment).warmed()


class TestWarmProcessLauncher(_Warm):
    @pytest.fixture
    def rig(self, process_rig: Rig, environment: Environment) -> Rig:
        return WarmRig(process_rig.launcher, process_rig.root, process_rig.mode, environment).warmed()


class _Users(LauncherContract):
    # Theirs is the process of the test itself, which here is not the user's; test_escapes tries memory.
    test_a_job_beyond_its_memory_is_killed_and_the_reason_is_known = None  # type: ignore[assignment]
    test_a_job_that_was_stopped_before_it_began_never_runs = None  # type: ignore[assignment]
    test_a_restarted_control_plane_finds_the_job_and_its_natural_exit_code = None  # type: ignore[assignment]
    test_an_adopted_job_can_be_terminated = None  # type: ignore[assignment]
    test_a_watcher_hears_of_the_start_and_of_the_end = None  # type: ignore[assignment]
    test_nobody_else_may_connect = None  # type: ignore[assignment]


class TestUsersSandboxLauncher(_Users):
    @pytest.fixture
    def rig(self, users_sandbox_rig: Rig) -> Rig:
        return users_sandbox_rig


class TestUsersProcessLauncher(_Users):
    @pytest.fixture
    def rig(self, users_process_rig: Rig) -> Rig:
        return users_process_rig

    # Without a namespace of its own a limit would count the user's other processes: none is set (docs/training.md).
    test_the_number_of_processes_is_limited = None  # type: ignore[assignment]
