"""The Launcher's contract, kept by both ways of isolating a job."""

from __future__ import annotations

import pytest

from sagebrush.testing.launcher_contract import LauncherContract, Rig


class TestSandboxLauncher(LauncherContract):
    @pytest.fixture
    def rig(self, sandbox_rig: Rig) -> Rig:
        return sandbox_rig


class TestProcessLauncher(LauncherContract):
    @pytest.fixture
    def rig(self, process_rig: Rig) -> Rig:
        return process_rig


class TestUsersSandboxLauncher(LauncherContract):
    @pytest.fixture
    def rig(self, users_sandbox_rig: Rig) -> Rig:
        return users_sandbox_rig

    # Theirs is the process of the test itself, which here is not the user's; test_escapes tries memory.
    test_a_job_beyond_its_memory_is_killed_and_the_reason_is_known = None  # type: ignore[assignment]
    test_a_job_that_was_stopped_before_it_began_never_runs = None  # type: ignore[assignment]
    test_a_restarted_control_plane_finds_the_job_and_its_natural_exit_code = None  # type: ignore[assignment]
    test_an_adopted_job_can_be_terminated = None  # type: ignore[assignment]
    test_a_watcher_hears_of_the_start_and_of_the_end = None  # type: ignore[assignment]
    test_nobody_else_may_connect = None  # type: ignore[assignment]
