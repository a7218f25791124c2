"""Instants to the last digit: the bound of a clock, a timeline, and what waits for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import device as dev
from orchestrator.protocol import order as rules
from orchestrator.protocol.clock import DRIFT_MAX, STEP_MEMORY_S, ClockBound, exchange
from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.operation import RESEND_MAX_S, RESEND_S, Retry
from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.order import CLOCK_FRESH_S, Order
from orchestrator.protocol.timeline import measured
from orchestrator.protocol.types import DeviceId, FleetId
from tests.protocol.one_desk import state
from tests.protocol.one_device import (
    BASE,
    D1,
    NOW,
    PROMISE,
    TIMELINE,
    catch_up,
    get,
    perform,
    prepare,
    steady,
    welcome,
)

# --- the bound of a clock -----------------------------------------------------------------------


def close(bound: ClockBound) -> tuple[object, ...]:
    """A bound, for a comparison of floats."""
    ends = (pytest.approx(bound.low, abs=1e-9), pytest.approx(bound.high, abs=1e-9))
    return (*ends, bound.at, bound.stepped_at)


@pytest.mark.parametrize(
    ("known", "answer", "bound"),
    [
        # t1, t2, t3, t4 = 10, 50, 50.1, 10.3: the offset is in [39.8, 40], and stamping slack
        (None, (10.0, 50.0, 50.1, 10.3), (39.79944, 40.00056, 10.3, None)),
        # an answer on its way for 1000 s: the bound is for t4
        (None, (0.0, 50.0, 50.0, 1000.0), (-950.2005, 50.2005, 1000.0, None)),
        # t3 before t2: empty, a step
        (None, (0.0, 10.0, 4.0, 0.1), (3.89948, 10.00052, 0.1, None)),
        (None, (0.0, 4.0, 10.0, 0.1), (3.99948, 9.90052, 0.1, 0.1)),
        (None, (10.0, 14.0, 20.0, 10.1), (3.99948, 9.90052, 10.1, 10.1)),
        # only just empty: by more than both stamps may be off
        (None, (0.0, 4.0, 4.1013, 0.1), (3.99948, 4.00182, 0.1, 0.1)),
        (None, (0.0, 4.0, 4.1010, 0.1), (3.99948, 4.00152, 0.1, None)),
        # the known one is better on one side, the new one on the other
        ((39.9, 41.0, 10.0, None), (10.0, 50.0, 50.1, 10.3), (39.89994, 40.00056, 10.3, None)),
        # they do not meet: the hull, and a step is remembered
        ((50.0, 51.0, 10.3, None), (10.0, 50.0, 50.1, 10.3), (39.79944, 51.0, 10.3, 10.3)),
        ((0.0, 1.0, 10.3, None), (10.0, 50.0, 50.1, 10.3), (0.0, 40.00056, 10.3, 10.3)),
        # they touch
        ((40.00056, 41.0, 10.3, None), (10.0, 50.0, 50.1, 10.3), (40.00056, 40.00056, 10.3, None)),
        # empty beside a known one: the hull of all
        ((5.0, 6.0, 0.1, None), (0.0, 4.0, 10.0, 0.1), (3.99948, 9.90052, 0.1, 0.1)),
        # after a step each exchange counts alone, for a while
        ((39.9, 41.0, 10.0, 9.0), (10.0, 50.0, 50.1, 10.3), (39.79944, 40.00056, 10.3, 9.0)),
        ((0.0, 1.0, 0.1, 0.0), (0.0, 4.0, 10.0, 0.1), (0.0, 9.90052, 0.1, 0.1)),
    ],
)
def test_an_exchange_gives_this_bound(
    known: tuple[float, float, float, float | None] | None,
    answer: tuple[float, float, float, float],
    bound: tuple[float, float, float, float | None],
) -> None:
    """The interval, the slack of stamping and of the way, steps: all by their formula."""
    before = None
    if known is not None:
        before = ClockBound(low=known[0], high=known[1], at=known[2], stepped_at=known[3])
    sent, received, answered, back = answer
    found = exchange(before, sent=sent, received=received, answered=answered, back=back)
    assert close(found) == bound


def test_a_step_is_remembered_for_a_minute() -> None:
    """STEP_MEMORY_S after it a bound is again made of all that is known."""
    for since, alone in ((STEP_MEMORY_S - 0.01, True), (STEP_MEMORY_S, False)):
        known = ClockBound(low=39.9, high=40.0, at=100.0, stepped_at=100.0 - since)
        found = exchange(known, sent=100.0, received=139.0, answered=139.0, back=100.0)
        far = ClockBound(low=39.0, high=39.0, at=100.0)
        assert alone == (found.high < 39.5)
        assert far.at == found.at
        assert (known.stepped_at if alone else 100.0) == found.stepped_at


def test_a_bound_ages_by_its_formula() -> None:
    """It widens on both sides by the drift, from when it was made, and never narrows."""
    bound = ClockBound(low=1.0, high=1.5, at=100.0)
    assert close(bound.aged(1100.0)) == (0.8, 1.7, 1100.0, None)
    assert close(bound.aged(50.0)) == (1.0, 1.5, 50.0, None)
    assert pytest.approx(0.45) == bound.error_s(1100.0)
    assert pytest.approx(201.25) == bound.orchestrator_time(200.0)
    assert pytest.approx(198.75) == bound.device_time(200.0)
    assert pytest.approx(1100.0) == bound.wider_than(0.45)


def test_certainly_is_by_its_formula() -> None:
    """Within the error it is the middle; beyond it waits for the excess, which grows meanwhile."""
    bound = ClockBound(low=1.0, high=1.5, at=100.0)
    assert pytest.approx(198.75) == bound.certainly(200.0, 0.3)
    grown = 198.75 + (0.15 + DRIFT_MAX * 98.75) / (1 - DRIFT_MAX)
    assert pytest.approx(grown) == bound.certainly(200.0, 0.1)


# --- the timeline of a transaction --------------------------------------------------------------

MEASURED: Final = (
    # rtt, write, append, window of the file, leases until; vote_by, hold_at after now
    (0.1, 0.05, 0.02, None, 0.0, 4 * 0.42, 4 * 0.42 + 4 * 0.12),
    (0.0, 0.0, 0.0, None, 0.0, 0.05, 0.07),
    (None, 0.0, 0.0, None, 0.0, 3.0, 4.0),
    (9.0, 0.0, 0.0, None, 0.0, 60.0, 70.0),
    (0.1, 0.05, 0.02, 1.5, 0.0, 1.5, 1.98),
    (0.0, 0.0, 0.0, 1.0, NOW + 5, 1.0, 5.1),
    (0.0, 0.0, 0.0, 1.0, NOW + 0.92, 1.0, 1.02),
)


@pytest.mark.parametrize(("rtt", "write", "append", "window", "leases", "vote", "hold"), MEASURED)
def test_the_timeline_is_by_its_formula(
    rtt: float | None,
    write: float,
    append: float,
    window: float | None,
    leases: float,
    vote: float,
    hold: float,
) -> None:
    """Window and margin are four times what was measured, between their floors and maxima."""
    told = [
        Evidence(rtt_s=rtt, state=state(staging_s=write)),
        Evidence(rtt_s=None if rtt is None else rtt / 2, state=state(staging_s=write / 2)),
        Evidence(),
    ]
    made = measured(NOW, Timing(window_s=window, clock_error_s=0.05), told, append, leases)
    assert [pytest.approx(at) for at in (made.vote_by, made.hold_at, made.activate_at)] == [
        NOW + vote,
        NOW + hold,
        NOW + hold + 0.1,
    ]
    assert 0.05 == made.clock_error_s


# --- an order and its time ----------------------------------------------------------------------

EXACT: Final = ClockBound(low=0.0, high=0.0, at=NOW)


def wide(error_s: float, *, at: float = NOW, stepped_at: float | None = None) -> ClockBound:
    """A bound of this error, around no offset."""
    return ClockBound(low=-error_s, high=error_s, at=at, stepped_at=stepped_at)


@pytest.mark.parametrize(
    ("clock", "now", "why"),
    [
        (wide(0.1), NOW, ()),
        (wide(1.2004), NOW, ("clock error 1200 ms is above 100 ms",)),
        (wide(0.05), 100.94, ()),
        (wide(0.05), 102.5, ("too late to vote by 1550 ms",)),
        (wide(0.0), TIMELINE.vote_by, ()),
        (wide(0.05), 101.5, ("too late to vote by 550 ms",)),
    ],
)
def test_a_clock_refuses_in_these_words(
    clock: ClockBound, now: float, why: tuple[str, ...]
) -> None:
    """Its bound must be within ε, and the vote by its later edge not after vote_by."""
    bound = replace(clock, at=now)
    assert why == rules.clock_refusals(prepare(), bound, now)


def test_what_is_said_is_in_milliseconds() -> None:
    """100 s make 100,000 ms, not about that."""
    allowed = replace(TIMELINE, clock_error_s=50.0)
    said = rules.clock_refusals(prepare(timeline=allowed), wide(100.0), NOW)
    assert ("clock error 100000 ms is above 50000 ms",) == said


@pytest.mark.parametrize(
    ("left_s", "pause_s"),
    [(0.0, RESEND_S), (1.6, RESEND_S), (8.0, 1.0), (40.0, RESEND_MAX_S), (400.0, RESEND_MAX_S)],
)
def test_a_blob_is_waited_for_an_eighth_of_the_time(left_s: float, pause_s: float) -> None:
    """Between the bounds of a pause; without a clock, or for a catch-up, the shortest."""
    timeline = replace(TIMELINE, vote_by=NOW + left_s)
    order = Order(message=prepare(timeline=timeline), at=NOW)
    assert pytest.approx(pause_s) == rules.patience_s(order, EXACT, NOW)
    assert RESEND_S == rules.patience_s(order, None, NOW)
    assert RESEND_S == rules.patience_s(Order(message=catch_up(5), at=NOW), EXACT, NOW)


def test_half_of_the_time_to_vote() -> None:
    """It is counted from when the order came; a catch-up has none."""
    order = Order(message=prepare(), at=NOW)
    assert pytest.approx(100.5) == rules.half_time(EXACT, order)
    assert NOW == rules.half_time(EXACT, Order(message=catch_up(5), at=NOW))


@pytest.mark.parametrize(
    ("clock", "now", "may"),
    [
        (wide(1.0), 100.49, True),
        (wide(1.0), 100.5, False),
        (wide(1.0, stepped_at=90.0), 100.2, False),
        (wide(1.0, at=NOW - CLOCK_FRESH_S), 100.6, False),
        (wide(1.0, at=NOW - CLOCK_FRESH_S - 0.01), 100.6, True),
        (wide(1.0, at=NOW - CLOCK_FRESH_S - 0.01, stepped_at=90.0), 100.6, True),
    ],
)
def test_a_clock_may_be_measured_again(clock: ClockBound, now: float, *, may: bool) -> None:
    """Once for each order; then until half time, unless the clock is known to step."""
    assert may == rules.may_improve(clock, Order(message=prepare(), at=NOW), now)


@pytest.mark.parametrize(
    "change",
    [
        {"fleet": FleetId("g")},
        {"base_version": 3},
        {"config": "other.conf"},
        {"digests": {D1: samples.digest("other")}},
        {"digests": {DeviceId("d9"): samples.digest("t5-d1")}},
    ],
)
def test_each_part_of_a_plan_must_fit(change: dict[str, object]) -> None:
    """The plan must say the fleet, base, configuration and digest that its PREPARE says."""
    made = samples.push(5, 4, (D1,)).plan
    assert rules.plan_fits(made, BASE, prepare())
    assert not rules.plan_fits(replace(made, **change), BASE, prepare())  # type: ignore[arg-type]


@pytest.mark.parametrize(("version", "refuses"), [(0, 0), (1, 1), (3, 1), (4, 0), (5, 1)])
def test_only_the_base_or_nothing_fits(version: int, refuses: int) -> None:
    """A device at another version than the plan's base refuses; one without any does not."""
    disk = replace(BASE, version=version)
    said = rules.refusals(prepare(), disk)
    assert [f"runs version {version}, the plan is for 4"] * refuses == list(said)


@pytest.mark.parametrize(("at", "refuses"), [(None, 1), (3, 0), (4, 0), (5, 1)])
def test_who_was_left_behind_may_join_again(at: int | None, refuses: int) -> None:
    """A device for which the fleet has no configuration says yes to a plan at that version on."""
    disk = replace(BASE, version=2)
    assert refuses == len(rules.refusals(prepare(), disk, at))


@pytest.mark.parametrize(("version", "left_behind"), [(4, False), (2, True)])
def test_the_promise_notes_who_was_left_behind(version: int, *, left_behind: bool) -> None:
    """Its version is not the plan's base: until ``hold_at`` it does not operate it."""
    made = rules.prepared(prepare(), samples.digest("t5-d1"), version)
    assert replace(PROMISE, left_behind=left_behind) == made


# --- repetitions --------------------------------------------------------------------------------


def test_pauses_double_up_to_a_bound() -> None:
    """A retry is due at its instant, and each pause is twice the one before."""
    retry, pauses = Retry(at=NOW, since=NOW - 1), []
    for _ in range(7):
        assert (False, True) == (retry.due(retry.at - 1e-6), retry.due(retry.at))
        later = retry.again(retry.at)
        pauses.append(pytest.approx(later.at - retry.at))
        retry = later
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@pytest.mark.parametrize("back_s", [1e-3, 1.0, 250.0])
def test_a_clock_that_is_set_back_makes_a_repetition_due(back_s: float) -> None:
    """Its instant may be further away than any pause; after it the pauses are as ever (I19)."""
    retry = Retry(at=NOW).again(NOW)
    now = NOW - back_s
    assert (True, True) == (retry.due(now), retry.again(now).due(now + 0.4))
    assert not retry.again(now).due(now + 0.3)


def test_who_jumped_ahead_and_back_asks_again() -> None:
    """What it has put off by the wrong clock it asks by the right one, at its next look."""
    core = steady(BASE, confirmed=False)
    perform(core, dev.Tick(), NOW + 250)
    said = perform(core, dev.Tick(), NOW)
    assert ["hello"] == [one.kind for one in said]


def test_a_lease_is_not_asked_for_before_its_third_is_over() -> None:
    """Its renewal is further away than any pause, and no clock was set back."""
    core = steady(BASE)
    perform(core, dev.Connected(), NOW)
    get(core, replace(welcome(core, BASE), lease_s=60.0))
    asked = [at for at in range(60) if perform(core, dev.Tick(), NOW + at)]
    assert 20 == asked[0]
