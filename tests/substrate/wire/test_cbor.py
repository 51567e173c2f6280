"""What a CBOR body may not be."""

from __future__ import annotations

import pytest

from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.wire import cbor


def test_a_map_with_two_keys_is_read() -> None:
    assert cbor.load(bytes.fromhex("a2616101616202")) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("a2616101616102", id="a key twice"),
        pytest.param("a10102", id="a key that is no text"),
        pytest.param("a161610100", id="more than one value"),
        pytest.param("a16161", id="less than one"),
    ],
)
def test_a_body_that_says_two_things_or_less_than_one_is_refused(body: str) -> None:
    with pytest.raises(CallerError) as caught:
        cbor.load(bytes.fromhex(body))
    assert (caught.value.code, caught.value.message) == ("SerializationException", "The request body is not valid CBOR")
