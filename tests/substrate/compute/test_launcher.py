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
