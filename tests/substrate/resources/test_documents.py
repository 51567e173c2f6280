from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagebrush.substrate.resources.documents import decode, encode

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | MOMENTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc$_", max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc$_", max_size=5), VALUES, max_size=5))
def test_what_a_request_may_hold_comes_back_as_it_was(body: dict[str, object]) -> None:
    assert decode(encode(body)) == body


def test_what_nobody_can_store_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        encode({"a": {1, 2}})
    with pytest.raises(ValueError, match="naive"):
        encode({"a": datetime(2026, 1, 1)})
