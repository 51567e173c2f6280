"""A short trial of ``make chaos``, which goes on for 200 kills: the harness works, and finds nothing."""

from __future__ import annotations

import pytest

from tests.faults import chaos

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]


def test_a_few_random_kills_lose_and_double_nothing() -> None:
    killed, load, wrong = chaos.run(kills=8, seed=20261123)
    assert wrong == []
    assert killed.total() == 8
    assert min(len(ledger.acknowledged) for ledger in (load.objects, load.jobs, load.models)) >= 3


def test_the_oracle_notices_what_is_missing() -> None:
    ledger = chaos.Ledger()
    ledger.tell("key", "first", lambda: None)
    assert ledger.allows("key", "first")
    assert not ledger.allows("key", "-")
    assert not ledger.allows("key", "second")
