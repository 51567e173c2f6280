"""The outbox: the same state-change events for users, rules and other capabilities (DESIGN 3.5)."""

from sagebrush.substrate.events.outbox import Event, consume, emit, envelope, prune, read_after

__all__ = ["Event", "consume", "emit", "envelope", "prune", "read_after"]
