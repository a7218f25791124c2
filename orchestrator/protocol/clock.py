"""
A device's bounded knowledge of the orchestrator's clock (DESIGN §5).

The offset is kept as an interval, never as a number alone: a four-timestamp exchange (RFC 5905
§8, with t1 and t4 on the device's monotonic clock, t2 and t3 on the orchestrator's) proves that
``offset ∈ [t3 - t4, t2 - t1]``; between exchanges the interval widens by the drift that a
crystal may have. Two exchanges whose intervals do not meet prove that a clock was stepped: the
bound becomes the hull of both, and an honest next exchange narrows it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

DRIFT_MAX: Final = 200e-6
"""Seconds of drift per second between two clocks: 100 ppm each, twice a cheap crystal's."""

STEP_MEMORY_S: Final = 60.0
"""How long a clock that was seen to step is measured by each exchange alone, in s."""

GRANULARITY_S: Final = 0.0005
"""What time stamping itself may be off on either side of an exchange, in s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockBound:
    """
    At device instant ``at``, orchestrator time minus device time is in ``[low, high]`` s.

    ``stepped_at`` is when an exchange proved that one of the clocks steps. For STEP_MEMORY_S after
    that each exchange counts alone: what was known before may speak of another step.
    """

    low: float
    high: float
    at: float
    stepped_at: float | None = None

    def aged(self, now: float) -> ClockBound:
        """Return the bound at device instant ``now``, wider by the drift since ``at``."""
        drift = DRIFT_MAX * max(0.0, now - self.at)
        return ClockBound(low=self.low - drift, high=self.high + drift, at=now)

    def error_s(self, now: float) -> float:
        """Return half the width at ``now``: the bound that is compared with ε."""
        aged = self.aged(now)
        return (aged.high - aged.low) / 2

    def orchestrator_time(self, now: float) -> float:
        """Return the middle of the orchestrator's possible readings at device instant ``now``."""
        return now + (self.low + self.high) / 2

    def wider_than(self, error_s: float) -> float:
        """Return the device instant at which :meth:`error_s` reaches ``error_s`` by ageing."""
        return self.at + (error_s - (self.high - self.low) / 2) / DRIFT_MAX

    def certainly(self, instant: float, error_s: float) -> float:
        """
        Return the device instant from which ``instant`` has come, but for ``error_s`` at most.

        As long as the bound keeps ``error_s`` that is :meth:`device_time`; a wider one waits
        for the excess as well, which grows while it waits.
        """
        excess_s = (self.high - self.low) / 2 - error_s
        middle = self.device_time(instant)
        waited = (middle + excess_s - DRIFT_MAX * self.at) / (1 - DRIFT_MAX)
        return max(middle, waited)

    def device_time(self, instant: float) -> float:
        """Return the device instant whose :meth:`orchestrator_time` is ``instant``."""
        return instant - (self.low + self.high) / 2


def exchange(
    known: ClockBound | None, *, sent: float, received: float, answered: float, back: float
) -> ClockBound:
    """
    Return the bound after an exchange t1, t2, t3, t4 = sent, received, answered, back.

    An empty interval (an answer that took less than no time) proves a step of a clock as well as
    two that do not meet; the bound then holds all ends.
    """
    ends = sorted((answered - back, received - sent))
    # The ends hold for the instants at which the orchestrator read its clock, somewhere between
    # t1 and t4; the bound is for t4, and an answer may have been on its way for minutes.
    slack = GRANULARITY_S + DRIFT_MAX * max(0.0, back - sent)
    sample = ClockBound(low=ends[0] - slack, high=ends[1] + slack, at=back)
    empty = answered - back > received - sent + 2 * slack
    if known is None:
        return replace(sample, stepped_at=back if empty else None)
    aged = known.aged(back)
    low, high = max(aged.low, sample.low), min(aged.high, sample.high)
    recent = known.stepped_at is not None and back - known.stepped_at < STEP_MEMORY_S
    if recent and not empty:
        return replace(sample, stepped_at=known.stepped_at)
    if low <= high and not empty:
        return ClockBound(low=low, high=high, at=back)
    low, high = min(aged.low, sample.low), max(aged.high, sample.high)
    return ClockBound(low=low, high=high, at=back, stepped_at=back)
