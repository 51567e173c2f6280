"""What a principal may do, read from the store and kept in memory.

One cache per process, in three rules:

- an entry is used for a second without asking; then the version counter is read (one row), and only if somebody
  changed an identity is the cache dropped. So a permission that is *taken away* by another process holds here for at
  most one second longer; the process that changed it (the control plane) forgets at once;
- before a *denial* leaves the process the counter is read, so a permission that was given is never refused;
- what is not in the cache is read from the store, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from sqlalchemy import Connection

from sagebrush.substrate.clock import Clock
from sagebrush.substrate.identity import entities, entity_policies, managed, versions
from sagebrush.substrate.identity.entities import Entity
from sagebrush.substrate.identity.policy import Policy, PolicySet, Source, parse_document
from sagebrush.substrate.store import Store

FRESH_US = 1_000_000
_REMEMBERED = 4096
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """A role or user with its compiled policies; ``entity`` is None when it does not exist (any more)."""

    entity: Entity | None
    identity: PolicySet
    boundary: PolicySet | None = None


@dataclass(slots=True)
class _Known:
    """What was read while the counter stood at ``version``."""

    version: int
    checked_us: int
    entries: dict[Any, Any] = field(default_factory=dict)


class StandingCache:
    """Standings, session policies and access keys as the store had them up to a second ago."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: _Known | None = None

    def standing(self, arn: str) -> Standing:
        """The standing of the role or user with this ARN."""
        return self.remembered(("standing", arn), lambda connection: _load(connection, arn))

    def session(self, policies: tuple[str, ...]) -> PolicySet:
        """The set of session policies: documents, or ARNs of managed policies."""
        return self.remembered(("session", policies), lambda connection: _session(connection, policies))

    def remembered(self, key: object, load: Callable[[Connection], T]) -> T:
        """The entry ``key``, loaded when it is not known."""
        known = self._current()
        if key in known.entries:
            return cast(T, known.entries[key])
        version, loaded = self._store.read(lambda connection: (versions.current(connection), load(connection)))
        if version != known.version:
            known = self._known = _Known(version, self._clock.monotonic_us())
        if len(known.entries) >= _REMEMBERED:
            known.entries.clear()
        known.entries[key] = loaded
        return loaded

    def changed(self) -> bool:
        """Ask the store now; True when what was known is out of date (and has been forgotten)."""
        before = self._known
        return self._validate(before) is not before

    def forget(self) -> None:
        """Drop everything: this process changed an identity."""
        self._known = None

    def _current(self) -> _Known:
        known = self._known
        if known is not None and self._clock.monotonic_us() - known.checked_us < FRESH_US:
            return known
        return self._validate(known)

    def _validate(self, known: _Known | None) -> _Known:
        now_us = self._clock.monotonic_us()
        version = self._store.read(versions.current)
        if known is not None and known.version == version and self._known is known:
            known.checked_us = now_us
            return known
        fresh = self._known = _Known(version, now_us)
        return fresh


def compile_set(texts: list[tuple[Source, str]]) -> PolicySet:
    """Compile identity-based documents into one set."""
    return PolicySet([Policy(source, parse_document(text)) for source, text in texts])


def _load(connection: Connection, arn: str) -> Standing:
    entity = entities.find_by_arn(connection, arn)
    if entity is None:
        return Standing(None, PolicySet(()))
    boundary = None
    if entity.boundary_arn is not None:
        document = managed.document_of(connection, entity.boundary_arn)
        source = entity_policies.source_of(entity.boundary_arn)
        boundary = compile_set([(source, document)] if document is not None else [])
    return Standing(entity, compile_set(entity_policies.documents(connection, entity)), boundary)


def _session(connection: Connection, policies: tuple[str, ...]) -> PolicySet:
    texts: list[tuple[Source, str]] = []
    for number, policy in enumerate(policies, 1):
        if policy.startswith("arn:"):
            document = managed.document_of(connection, policy)
            if document is not None:
                texts.append((entity_policies.source_of(policy), document))
        else:
            texts.append((Source(f"SessionPolicy.{number}", "none"), policy))
    return compile_set(texts)
