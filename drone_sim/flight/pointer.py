"""Where an axis is told to point: a reference that goes to its goal as fast as it may."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, sqrt
from typing import Final

LOCKED_DEG: Final = 1.0
"""Within this of what it looks at, the reference has caught it."""

GAIN_PER_S: Final = 5.0
"""How hard the reference goes for its goal once it is near."""

BRAKE_SHARE: Final = 0.7
"""Of the acceleration that it may use, what it plans to brake with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a reference may go."""

    rate_deg_s: float
    accel_deg_s2: float


class Pointer:
    """The reference of one axis; it is always continuous, and so is its rate."""

    def __init__(self) -> None:
        self.angle_deg = 0.0
        self.rate_deg_s = 0.0

    def toward(self, goal_deg: float, goal_rate_deg_s: float, pace: Pace, span_s: float) -> float:
        """Go for a goal that moves, for ``span_s``; return the acceleration of that time."""
        way = goal_deg - self.angle_deg
        fast = sqrt(2.0 * BRAKE_SHARE * pace.accel_deg_s2 * abs(way))
        wanted = goal_rate_deg_s + copysign(min(fast, GAIN_PER_S * abs(way)), way)
        return self._change(_within(wanted, pace.rate_deg_s), pace, span_s)

    def stop(self, pace: Pace, span_s: float) -> float:
        """Come to rest where that is soonest."""
        return self._change(0.0, pace, span_s)

    def _change(self, wanted_deg_s: float, pace: Pace, span_s: float) -> float:
        accel = _within((wanted_deg_s - self.rate_deg_s) / span_s, pace.accel_deg_s2)
        self.angle_deg += (self.rate_deg_s + 0.5 * accel * span_s) * span_s
        self.rate_deg_s += accel * span_s
        return accel


def _within(value: float, most: float) -> float:
    return max(-most, min(most, value))
