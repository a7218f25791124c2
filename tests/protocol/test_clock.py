"""The clock's bound: it always holds the true offset, whatever the network and the crystals do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.protocol.clock import DRIFT_MAX, GRANULARITY_S, ClockBound, exchange

offsets = st.floats(min_value=-1e6, max_value=1e6)
drifts = st.floats(min_value=-DRIFT_MAX, max_value=DRIFT_MAX)
delays = st.floats(min_value=0.0, max_value=120.0)
pauses = st.floats(min_value=0.0, max_value=3600.0)
ROUNDING_S = 1e-6


class Clocks:
    """A device's clock, and the orchestrator's, which gains ``drift`` on it."""

    def __init__(self, offset: float, drift: float) -> None:
        self.offset, self.drift, self.step = offset, drift, 0.0

    def orchestrator(self, device_s: float) -> float:
        return device_s + self.true_offset(device_s)

    def true_offset(self, device_s: float) -> float:
        return self.offset + self.drift * device_s + self.step


def talk(
    clocks: Clocks, known: ClockBound | None, at: float, there: float, back: float
) -> ClockBound:
    """One exchange that begins at device instant ``at``; the answer is made at once."""
    read = clocks.orchestrator(at + there)
    return exchange(known, sent=at, received=read, answered=read, back=at + there + back)


@given(offset=offsets, drift=drifts, legs=st.lists(st.tuples(pauses, delays, delays), max_size=6))
def test_the_bound_holds_the_truth(
    offset: float, drift: float, legs: list[tuple[float, float, float]]
) -> None:
    """After any exchanges, with any asymmetric delays and drift, the offset is in the bound."""
    clocks, known, at = Clocks(offset, drift), None, 0.0
    for pause, there, back in legs:
        at += pause
        known = talk(clocks, known, at, there, back)
        at += there + back
        true = clocks.true_offset(at)
        assert known.low - ROUNDING_S <= true <= known.high + ROUNDING_S


@given(offset=offsets, drift=drifts, pause=pauses)
def test_the_bound_ages_with_the_truth(offset: float, drift: float, pause: float) -> None:
    """Long after an exchange the widened bound still holds the offset."""
    clocks = Clocks(offset, drift)
    aged = talk(clocks, None, 0.0, 0.01, 0.02).aged(0.03 + pause)
    assert aged.low - ROUNDING_S <= clocks.true_offset(0.03 + pause) <= aged.high + ROUNDING_S


@given(offset=offsets, step=st.floats(min_value=1.0, max_value=1e5), sign=st.sampled_from([-1, 1]))
def test_a_step_is_seen_and_got_over(offset: float, step: float, sign: int) -> None:
    """A stepped clock makes the bound as wide as the step; the next exchange narrows it."""
    clocks = Clocks(offset, 0.0)
    known = talk(clocks, None, 0.0, 0.01, 0.01)
    clocks.step = sign * step
    known = talk(clocks, known, 1.0, 0.01, 0.01)
    assert known.error_s(1.02) >= step / 2 - 0.02
    known = talk(clocks, known, 2.0, 0.01, 0.01)
    assert known.error_s(2.02) <= 0.01 + 2 * GRANULARITY_S
    assert known.low - ROUNDING_S <= clocks.true_offset(2.02) <= known.high + ROUNDING_S


@given(
    low=st.floats(min_value=-10, max_value=10),
    width=st.floats(min_value=0, max_value=5),
    instant=st.floats(min_value=0, max_value=1e4),
    error=st.floats(min_value=0, max_value=1),
)
def test_certainly_waits_for_the_excess_of_the_bound(
    low: float, width: float, instant: float, error: float
) -> None:
    """From ``certainly`` on the instant has come but for the error; not a moment before it."""
    bound = ClockBound(low=low, high=low + width, at=-20.0)
    at = bound.certainly(instant, error)

    def certain(now: float) -> bool:
        excess = max(0.0, bound.error_s(now) - error)
        return bound.orchestrator_time(now) - excess >= instant

    assert certain(at + ROUNDING_S)
    assert not certain(at - 1e-3)


def test_wider_than_is_when_the_bound_has_aged() -> None:
    """The device knows beforehand when its bound will exceed what is allowed."""
    bound = ClockBound(low=0.0, high=0.02, at=5.0)
    at = bound.wider_than(0.05)
    assert bound.error_s(at - 0.01) < 0.05 <= bound.error_s(at + 1e-6)


def test_an_answer_before_its_question_proves_nothing() -> None:
    """An impossible exchange (t3 before t2) makes a wide bound, not a wrong one."""
    odd = exchange(None, sent=0.0, received=10.0, answered=4.0, back=0.1)
    assert odd.low <= 3.9
    assert odd.high >= 10.0
