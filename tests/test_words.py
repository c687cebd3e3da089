"""Sizes, shares and ops as people read them."""

from __future__ import annotations

import pytest

from paraedge.core.words import grouped, milliseconds, nearest, percent, plural, quantity


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (5600, "5.6 thousand"), (867_500_000, "867.5 million"), (2.5e12, "2500 billion")],
)
def test_quantities(count: float, text: str) -> None:
    assert quantity(count) == text


def test_plural_and_percent() -> None:
    assert [plural(count, "op") for count in (0, 1, 2)] == ["0 ops", "1 op", "2 ops"]
    assert percent(0.716) == "72 %"


@pytest.mark.parametrize(
    ("word", "meant"),
    [("vit", "vit_base"), ("alexnt", "alexnet"), ("vgg", "vgg16"), ("vi", None), ("", None), ("bert", None)],
)
def test_the_word_that_was_meant(word: str, meant: str | None) -> None:
    assert nearest(word, iter(["alexnet", "vit_base", "vit_large", "vgg16", "vgg19"])) == meant


def test_ops_of_one_kind_and_reason_are_one_line() -> None:
    found = grouped([(0, "CAST", "odd"), (2, "CAST", "even"), (3, "CAST", "odd"), (4, "ABS", "")])
    assert found == ["CAST x2: odd", "op 2 (CAST): even", "op 4 (ABS)"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.28561, "0.286"), (8.3139, "8.31"), (999.4, "999"), (1846.4, "1846"), (0.0, "0")]
)
def test_milliseconds_have_no_exponent(value: float, text: str) -> None:
    assert milliseconds(value) == text
