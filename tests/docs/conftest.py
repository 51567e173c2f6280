"""Documentation examples run against the same kind of platform as the journeys."""

from tests.journeys.conftest import platform

__all__ = ["platform"]
