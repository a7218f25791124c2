"""Markup: escaping, numbers and words."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drone_sim.report.markup import TEXT_CHARS_MAX, Markup, number, table, tag, text
from drone_sim.report.words import duration, listed, share


@given(st.text(max_size=TEXT_CHARS_MAX))
def test_any_text_is_read_back_as_text(value: str) -> None:
    """Whatever a text has in it, it becomes one element's text, in an attribute too."""
    made = ET.fromstring(tag("p", text(value), title=value))
    assert [] == list(made)
    printable = "".join(char for char in value if char.isprintable())
    assert printable == "".join(char for char in made.text or "" if char in printable)


def test_text_cannot_open_an_element() -> None:
    """Angle brackets, ampersands and both kinds of quotes are escaped."""
    assert "&lt;b onclick=&quot;x&#x27;&amp;" == text("<b onclick=\"x'&")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("a\x00b", "a\u2400b", id="null"),
        pytest.param("a\x1bb", "a\u241bb", id="escape"),
        pytest.param("a\ud800b", "a\ufffdb", id="half a pair"),
        pytest.param("a\u202eb", "a\ufffdb", id="turns the text round"),
    ],
)
def test_what_cannot_be_printed_is_shown(value: str, shown: str) -> None:
    """A control character is a picture, half a pair a replacement: the page stays a page."""
    assert shown == text(value)


def test_long_text_is_cut() -> None:
    """A text is cut at its limit, and says so."""
    assert "x" * (TEXT_CHARS_MAX - 1) + "…" == text("x" * 10_000)


def test_attributes_say_what_they_are() -> None:
    """Underscores are hyphens, class is spelled class_, what is absent is left out."""
    made = tag("i", class_="a", data_from=1.5, hidden=True, open=False, id=None)
    assert '<i class="a" data-from="1.5" hidden="hidden"></i>' == made


def test_a_table_has_headings() -> None:
    """The first row and the first cell of each row are headings."""
    made = ET.fromstring(table(("a", "b"), [(Markup("1"), Markup("2"))]))
    assert ["a", "b", "1"] == [one.text for one in made.iter("th")]


@pytest.mark.parametrize(
    ("value", "shown"), [(1.5, "1.5"), (2.0, "2"), (-0.0001, "0"), (1e-9, "0"), (1e6, "1000000")]
)
def test_numbers_are_short(value: float, shown: str) -> None:
    """A number has no digits that say nothing, and never an exponent."""
    assert shown == number(value)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (0.00034, "340 µs"),
        (0.0123, "12.3 ms"),
        (-0.0379, "-37.9 ms"),
        (1.25, "1.25 s"),
        (57.54, "57.5 s"),
        (119.0, "119 s"),
        (200.0, "3 min 20 s"),
        (180.0, "3 min"),
        (15840.0, "4.4 h"),
        (4_443_840.0, "1,234 h"),
    ],
)
def test_durations_have_three_digits(seconds: float, shown: str) -> None:
    """A duration has the unit that people would use, and three digits."""
    assert shown == duration(seconds)


@pytest.mark.parametrize(
    ("rate", "shown"), [(0.0, "0 %"), (0.12, "12 %"), (0.0015, "0.15 %"), (3e-5, "0.003 %")]
)
def test_small_shares_are_not_nothing(rate: float, shown: str) -> None:
    """A bound of three in a hundred thousand is not rounded to none."""
    assert shown == share(rate)


def test_many_names_are_counted() -> None:
    """The first names are told, the others counted."""
    assert "a, b and 2 more" == listed("abcd", 2)
