"""The object plane's process: S3."""

from __future__ import annotations

from sagebrush.planes.objects.app import build_app
from sagebrush.server.data_directory import OBJECTS_SOCKET
from sagebrush.server.process import begin, run
from sagebrush.server.serving import serve, wait_for_predecessor
from sagebrush.server.stores import identity_of, open_objects, open_state
from sagebrush.substrate.clock import SystemClock


def main() -> None:
    """``python -m sagebrush.server.object_plane``, started by the supervisor in the data directory."""
    settings = begin().settings
    clock = SystemClock()
    wait_for_predecessor("objects", clock)
    with open_state(settings, clock) as state, open_objects(settings, clock) as objects:
        identity = identity_of(settings, state, clock)
        serve(build_app(settings, clock, identity, objects), OBJECTS_SOCKET, lifespan="on")


if __name__ == "__main__":
    run(main)
