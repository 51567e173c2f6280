"""What both planes stand on: databases, byte store, identity. Lean: the object plane needs no capability."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sagebrush.server.data_directory import DataDirectory
from sagebrush.substrate.clock import Clock
from sagebrush.substrate.identity import Identity
from sagebrush.substrate.objects import ObjectStore
from sagebrush.substrate.settings import Settings
from sagebrush.substrate.store import OBJECTS, STATE, Store, open_store


@contextlib.contextmanager
def open_state(settings: Settings, clock: Clock) -> Iterator[Store]:
    """The state database. Raises CallerError when a newer Sagebrush wrote it."""
    with contextlib.closing(
        open_store(STATE, path=settings.data_dir / "state.db", url=settings.database_url, clock=clock)
    ) as store:
        yield store


@contextlib.contextmanager
def open_objects(settings: Settings, clock: Clock) -> Iterator[ObjectStore]:
    """The byte store under S3."""
    root = settings.data_dir / "objects"
    root.mkdir(mode=0o700, exist_ok=True)
    with (
        contextlib.closing(
            open_store(OBJECTS, path=root / "index.db", url=settings.database_url, clock=clock)
        ) as index,
        contextlib.closing(ObjectStore(root, index, clock)) as objects,
    ):
        yield objects


def identity_of(settings: Settings, store: Store, clock: Clock) -> Identity:
    """Principals and policies on the data directory's key."""
    return Identity(store=store, clock=clock, settings=settings, key_file=DataDirectory(settings.data_dir).key_file)
