"""The figures of many runs: sums, distributions, and what they say of the runs not made."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drone_sim.explore.figures import Distribution, Extreme, Tally, rate_bound, tallied
from drone_sim.explore.runs import Ran
from drone_sim.result import Hold
from tests.explore import fakes


def ran(seed: int, *holds: Hold, failed: bool = False) -> Ran:
    """A run with these holds."""
    return Ran(
        case=fakes.case(seed),
        name="a story",
        took_s=0.5,
        violations=(fakes.MIXED,) if failed else (),
        goals=Counter({"commit": 1}),
        figures=replace(fakes.figures(seed), holds=holds),
    )


def hold(lasted_s: float, *causes: str, budget_s: float = 10.0) -> Hold:
    """A hold with these causes."""
    return Hold(device="d-01", began_s=0.0, lasted_s=lasted_s, causes=causes, budget_s=budget_s)


def test_sums_are_sums() -> None:
    """Two runs have twice the steps, the messages, the transactions, the goals."""
    tally = tallied([ran(1), ran(2)])
    assert (2, 0, 3.0, 20, 40, 8, 4, 2) == (
        *(tally.runs, tally.failed, tally.virtual_s, tally.steps, tally.messages),
        *(tally.seams, tally.awaits, tally.committed),
    )
    assert Counter({"commit": 2}) == tally.goals


def test_what_is_done_on_purpose_is_no_fault() -> None:
    """A push is none; a crash is one, and so is a message that a link loses by itself."""
    assert 5 == tallied([ran(1)]).faults


def test_rates_are_those_of_one_core() -> None:
    """Four runs that took half a second each to compute."""
    tally = tallied([ran(seed) for seed in (1, 2, 3, 4)])
    assert (2.0, 5.0) == (tally.runs_per_core_s, tally.speed_up)


def test_nothing_has_no_rate() -> None:
    """No run was made, and nothing is divided by it."""
    tally = Tally()
    assert (0.0, 0.0, None) == (tally.runs_per_core_s, tally.speed_up, tally.bound)


def test_the_rule_of_three() -> None:
    """After 100,000 runs without a violation their rate is below 3 in 100,000."""
    assert 3e-5 == rate_bound(100_000)
    assert None is rate_bound(29)


@given(st.integers(100, 1_000_000))
def test_the_rule_of_three_is_on_the_safe_side(runs: int) -> None:
    """At that rate so many runs without a violation happen in less than 5 % of all cases."""
    rate = rate_bound(runs)
    assert rate is not None
    assert (1 - rate) ** runs < 0.05


def test_there_is_no_bound_after_a_violation() -> None:
    """Whoever has seen one has another figure: how many."""
    tally = tallied([ran(seed, failed=seed == 7) for seed in range(1, 101)])
    assert (1, None) == (tally.failed, tally.bound)


def shown(*holds: Hold) -> list[tuple[str, int, float, int, float]]:
    """The rows of some holds: of each cause how many and the worst, alone and with others."""
    return [
        (
            *(row.cause, row.alone.lasted.count, row.alone.lasted.worst_s),
            *(row.among.lasted.count, row.among.lasted.worst_s),
        )
        for row in tallied([ran(1, *holds)]).rows()
    ]


def test_holds_by_cause() -> None:
    """Healthy pushes first, then by the worst alone; a hold counts for every fault in it."""
    assert [
        ("healthy", 2, 0.2, 0, 0.0),
        ("crash", 2, 5.0, 1, 9.0),
        ("cut", 1, 4.0, 1, 9.0),
    ] == shown(
        *(hold(0.2), hold(0.1), hold(3.0, "crash"), hold(5.0, "crash")),
        *(hold(4.0, "cut"), hold(9.0, "crash", "cut")),
    )


def test_a_state_is_a_cause_where_no_fault_is() -> None:
    """That nobody answers is the consequence of a fault, if there is one."""
    assert [("nobody-answers", 1, 4.0, 0, 0.0), ("crash", 1, 3.0, 0, 0.0)] == shown(
        hold(4.0, "nobody-answers"), hold(3.0, "crash", "nobody-answers")
    )


def test_the_worst_hold_names_its_run_and_its_budget() -> None:
    """The longest is one thing, that which came closest to its own budget another."""
    long, close = hold(5.0, "crash", budget_s=20.0), hold(2.0, "crash", budget_s=2.5)
    (row,) = tallied([ran(1, long), ran(2, close)]).rows()
    assert Extreme(hold=long, label="seed 1, cores") == row.alone.longest
    assert Extreme(hold=close, label="seed 2, cores") == row.closest
    assert 0.8 == Extreme(hold=close, label="").share


@given(st.lists(st.floats(1e-6, 1e5), min_size=1), st.integers(1, 100))
def test_percentiles_are_right_to_two_percent(times_s: list[float], percent: int) -> None:
    """Never below the exact one, and not much above it."""
    distribution = Distribution()
    for time_s in times_s:
        distribution.add(time_s)
    exact = sorted(times_s)[math.ceil(len(times_s) * percent / 100) - 1]
    found = distribution.percentile_s(percent)
    assert exact * 0.999999 <= found <= max(exact * 1.0200001, 1.03e-6)


def test_the_worst_is_exact() -> None:
    """No class stands between what was seen and what is told."""
    distribution = Distribution()
    for time_s in (0.0, 1.2345, 0.5):
        distribution.add(time_s)
    assert (1.2345, 1.2345) == (distribution.worst_s, distribution.percentile_s(100))


@pytest.mark.parametrize("percent", [1, 50, 100])
def test_of_nothing_every_percentile_is_nothing(percent: int) -> None:
    """There is no hold to tell of."""
    assert 0.0 == Distribution().percentile_s(percent)
