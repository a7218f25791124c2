"""Numbers as people read them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from drone_sim.cli.campaign import Campaign
from drone_sim.cli.words import (
    count,
    kinds_words,
    mark_of,
    rate_words,
    speed_up_words,
    time_words,
    verdict,
)
from drone_sim.explore.figures import Tally
from drone_sim.result import Speed


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (0.00000123, "1.23 µs"),
        (0.0341, "34.1 ms"),
        (0.341, "341 ms"),
        (7.5, "7.5 s"),
        (65.4, "65.4 s"),
        (119.0, "119 s"),
        (600.0, "10 min"),
        (7199.0, "120 min"),
        (7200.0, "2 h"),
        (3600.0 * 1234, "1,234 h"),
    ],
)
def test_a_time_has_three_digits_and_its_unit(seconds: float, shown: str) -> None:
    """Never an exponent."""
    assert shown == time_words(seconds)


@pytest.mark.parametrize(
    ("rate", "shown"), [(0.0015, "0.0015"), (3e-5, "0.00003"), (3e-6, "0.000003"), (0.1, "0.1")]
)
def test_a_rate_has_no_exponent(rate: float, shown: str) -> None:
    """Whoever reads it need not count zeros of an exponent."""
    assert shown == rate_words(rate)


@pytest.mark.parametrize(
    ("factor", "shown"), [(34567.0, "35,000"), (1.26, "1"), (0.42, "0.42"), (860.0, "860")]
)
def test_a_speed_up_has_two_digits(factor: float, shown: str) -> None:
    """It depends on the machine: more digits would say nothing."""
    assert shown == speed_up_words(factor)


@pytest.mark.parametrize(("number", "shown"), [(0, "0 acts"), (1, "1 act"), (1200, "1,200 acts")])
def test_one_is_not_many(number: int, shown: str) -> None:
    """And many can be read."""
    assert shown == count(number, "act")


def test_the_most_frequent_kinds_are_named() -> None:
    """The others are counted."""
    kinds = Counter({"a": 5, "b": 9, "c": 1, "d": 1, "e": 2, "f": 3, "g": 1200})
    assert "g 1,200, b 9, a 5, f 3, e 2, 2 other kinds 2" == kinds_words(kinds)


# --- the headline -------------------------------------------------------------------------------


def headline(*, failed: int = 0, missing: tuple[str, ...] = (), interrupted: bool = False) -> str:
    """The first line on the screen."""
    campaign = Campaign(title="seeds 1..9", jobs=1, interrupted=interrupted)
    campaign.tallies[Speed.CORES] = tally = Tally(runs=9, failed=failed)
    mark, _ = mark_of(campaign, tally, missing)
    return f"{mark} {verdict(campaign, Speed.CORES, tally, missing)}"


@pytest.mark.parametrize(
    ("ended", "shown"),
    [
        ({}, "✔ seeds 1..9, cores: 9 runs, every invariant held"),
        ({"failed": 2}, "✘ seeds 1..9, cores: 9 runs, 2 of them violated"),
        (
            {"missing": ("hot",)},
            "✘ seeds 1..9, cores: 9 runs, every invariant held, but 1 goal was never seen",
        ),
        (
            {"failed": 1, "missing": ("hot", "word")},
            "✘ seeds 1..9, cores: 9 runs, 1 of them violated, and 2 goals were never seen",
        ),
        (
            {"interrupted": True},
            "■ seeds 1..9, cores: 9 runs, then interrupted, every invariant held",
        ),
    ],
    ids=["held", "violated", "goals", "both", "interrupted"],
)
def test_a_tick_is_for_exit_code_0_alone(ended: dict[str, Any], shown: str) -> None:
    """The mark says what the exit code says, and the words say why."""
    assert shown == headline(**ended)
