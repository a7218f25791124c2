"""
The charge of a device, as a function of true time: what its checks read, and when it is empty.

Below :data:`LANDING_PERCENT` a drone lands by itself; of that a pure core sees only that the
charge lasts longer. What does not fly drains as if it had landed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from drone_sim.scenario.meaning import LANDING_PERCENT, RESERVE_PERCENT

FLYING_PERCENT_S: Final = 0.04
"""About 40 minutes in the air."""

HOVERING_PERCENT_S: Final = 0.05
"""A drone that holds hovers, which costs a little more than to cruise."""

GROUNDED_PERCENT_S: Final = 0.002


@dataclass(slots=True, kw_only=True)
class Battery:
    """It has read ``charge`` percent at the true time ``since``; it drains by flying or not."""

    charge: float
    since: float
    flies: bool
    hovers: bool = True

    def percent(self, now: float) -> float:
        """Return what is left."""
        left_s = max(0.0, now - self.since)
        air_s = min(left_s, self._air_s())
        used = air_s * self._drain_s() + (left_s - air_s) * GROUNDED_PERCENT_S
        return max(0.0, self.charge - used)

    def set(self, now: float, percent: float) -> None:
        """Let it read so much; enough of it lets a drone fly again."""
        self.charge, self.since = percent, now

    def hover(self, now: float, *, hovers: bool) -> None:
        """Let a drone hover in a hold, or cruise."""
        if hovers != self.hovers:
            self.set(now, self.percent(now))
            self.hovers = hovers

    def refuses(self, now: float) -> bool:
        """Whether a new configuration could not be carried through on the reserve (row D1)."""
        return self.percent(now) < RESERVE_PERCENT

    def empty_at(self) -> float:
        """Return the true time at which nothing is left, if nothing changes until then."""
        return self.since + self._air_s() + min(self.charge, self._floor()) / GROUNDED_PERCENT_S

    def _floor(self) -> float:
        return LANDING_PERCENT if self.flies else math.inf

    def _air_s(self) -> float:
        """Return how long it stays in the air from ``since`` on."""
        return max(0.0, self.charge - self._floor()) / self._drain_s()

    def _drain_s(self) -> float:
        return HOVERING_PERCENT_S if self.hovers else FLYING_PERCENT_S
