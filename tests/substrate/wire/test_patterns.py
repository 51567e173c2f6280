"""Patterns of the models mean in Python what they mean in Java, and what they are rewritten to means the same."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagebrush.substrate.wire.patterns import full_matcher
from tests.substrate.wire.sampling import NoSample, sample
from tests.substrate.wire.services import SERVED, engine


def matches(pattern: str, text: str) -> bool:
    matcher = full_matcher(pattern)
    assert matcher is not None
    return bool(matcher(text))


def patterned_shapes() -> dict[str, Any]:
    """One shape for each pattern of the served models."""
    shapes = {}
    for name in SERVED:
        model = engine().service(name).model
        for shape in map(model.shape_for, model.shape_names):
            if "pattern" in shape.metadata and not getattr(shape, "enum", None):
                shapes[shape.metadata["pattern"]] = shape
    return shapes


SHAPES = patterned_shapes()


def test_patterns_follow_java_where_python_differs() -> None:
    assert matches(r"[\p{L}]+", "äß漢")
    assert not matches(r"[\p{L}]+", "a1")
    assert matches("[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\r\\n\\t]*", "a \U0001f600 b")
    assert matches(r"\A\S[\p{Print}]*\z", "abc")
    assert not matches(".*", "two\nlines")
    assert not matches("[a-z]+$", "abc\n")


def test_every_pattern_of_the_served_models_compiles() -> None:
    assert len(SHAPES) > 400
    assert {pattern for pattern in SHAPES if full_matcher(pattern) is None} == {r"[\s\S]*", r"[\S\s]*"}


def plainly(pattern: str, text: str) -> bool:
    """The pattern as it stands, without any rewriting."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return re.compile(pattern).fullmatch(text) is not None
        except re.error:
            return regex.compile(pattern).fullmatch(text) is not None


def _samples() -> list[tuple[str, str]]:
    found = []
    for pattern, shape in SHAPES.items():
        try:
            found.append((pattern, sample(shape)))
        except NoSample:
            continue
    return found


SAMPLES = _samples()


def test_nearly_every_pattern_has_a_sample() -> None:
    assert len(SAMPLES) > 0.98 * len(SHAPES)


@settings(deadline=None, max_examples=1500, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_rewritten_patterns_accept_the_same_strings(data: st.DataObject) -> None:
    """Legal strings, cut, doubled and spoiled: where rewriting goes wrong, one of them tells."""
    pattern, text = data.draw(st.sampled_from(SAMPLES))
    if "\\u" in pattern or "\\U" in pattern or full_matcher(pattern) is None:
        return
    at = data.draw(st.integers(0, len(text)))
    spoil = data.draw(st.sampled_from(["", "-", "--a", "a", "_", "/", ":", " ", "ü", "Z9", ".", "\n", text[:at] * 2]))
    for candidate in (text, text[:at], text[at:], text[:at] + spoil + text[at:], text + spoil):
        assert matches(pattern, candidate) == plainly(pattern, candidate), (pattern, candidate)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?", ["a", "a-b", "a--b1"], ["-a", "a-", "A", ""]),
        (r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$", ["a", "a/b", "*", "a.b-c_d"], ["/a", "a//b", "a/", ""]),
        (r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$", ["a", " a\tb ", " "], ["", "\t", "ä", "a\x00"]),
        (
            r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$",
            ["a", " a\tb ", "ä"],
            ["", "\t", "a:b", "a\x1f"],
        ),
    ],
)
def test_patterns_that_backtrack_without_end_are_replaced_by_equals(
    pattern: str, good: list[str], bad: list[str]
) -> None:
    assert pattern in SHAPES
    for text in (*good, *bad):
        assert matches(pattern, text) == plainly(pattern, text) == (text in good), text
    assert not matches(pattern, "a" * 100_000 + "\x00")


def test_names_of_any_length_are_matched_in_linear_time_and_counted_rightly() -> None:
    pattern = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    assert matches(pattern, "a" * 63)
    assert not matches(pattern, "a" * 64)
    assert matches(pattern, "a" + "-" * 100_000 + "b")
    assert not matches(pattern, "a" + "-" * 100_000)
