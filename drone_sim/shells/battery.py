"""The battery of a simulated device: it drains with flight, and what is left decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drone_sim.scenario.verbs import LANDING_PERCENT, RESERVE_PERCENT
from drone_sim.shells.clocks import true_s
from orchestrator.protocol.device import Check

FLYING_PERCENT_S: Final = 0.04
"""About 40 minutes in the air."""

HOVERING_PERCENT_S: Final = 0.05
"""A drone that holds hovers, which costs a little more than to cruise."""

GROUNDED_PERCENT_S: Final = 0.002


class Battery:
    """
    The charge in percent of one device; ``flies`` is whether it drains by flying.

    Set :attr:`hovers` when that changes; :attr:`landed` is true once it has landed by itself,
    until somebody charges it.
    """

    def __init__(self, percent: float, *, flies: bool) -> None:
        self.landed = False
        self._flies = flies
        self._hovers = True
        self._percent = percent
        self._at_s = true_s()

    @property
    def percent(self) -> float:
        """What is left."""
        return max(0.0, self._percent - self._drain_s * (true_s() - self._at_s))

    @property
    def _drain_s(self) -> float:
        if not self._flies or self.landed:
            return GROUNDED_PERCENT_S
        return HOVERING_PERCENT_S if self._hovers else FLYING_PERCENT_S

    @property
    def hovers(self) -> bool:
        """Whether it hovers in a hold."""
        return self._hovers

    @hovers.setter
    def hovers(self, hovers: bool) -> None:
        if hovers != self._hovers:
            self.set(self.percent)
            self._hovers = hovers

    def set(self, percent: float) -> None:
        """Let it read so much; enough of it lets a drone fly again."""
        self._percent, self._at_s = percent, true_s()
        self.look()

    def look(self) -> bool:
        """Land where the charge asks for it; false where nothing is left."""
        percent = self.percent
        landed = percent < LANDING_PERCENT
        if landed != self.landed:
            self._percent, self._at_s, self.landed = percent, true_s(), landed
        return percent > 0.0

    def judge(self, _check: Check) -> Iterable[str]:
        """Refuse what can't be carried through on the reserve (row D1)."""
        if self.percent < RESERVE_PERCENT:
            yield f"battery: {self.percent:.0f} % are left, {RESERVE_PERCENT:g} % are needed"
