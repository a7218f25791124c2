"""A cluster node: it analyses the pictures of a camera on a mast, which sways."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi, sin
from typing import Final

from drone_sim.flight.body import Body, Lost, Sway
from orchestrator.staging.kind import Hold, Resource
from orchestrator.staging.kinds.node import WHOLE_PCT, Node
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightPhase

WATCHES_S: Final = (30.0, 60.0)
RESTS_S: Final = (30.0, 60.0)


class NodeBody(Body):
    """A node: it looks around, and now and then follows what passes; not while it is held."""

    def __init__(self, *, seed: int, device: str, policy: Policy) -> None:
        super().__init__(seed=seed, device=device, policy=policy)
        draw = self.chance.uniform
        self.analysed = 0.0
        self._doing = FlightPhase.GROUNDED
        self._sway = Sway(amplitude_deg=draw(0.3, 0.8), hz=draw(0.6, 1.0))
        self._reach_deg, self._period_s = draw(20.0, 50.0), draw(40.0, 80.0)
        self._left_s = draw(*RESTS_S)
        self._spent_s = 0.0
        self._lost = 0.0

    @property
    def armed(self) -> bool:
        """It has no motors beside those of its gimbal."""
        return False

    @property
    def sway(self) -> Sway:
        """The wind sways the mast, whatever it does."""
        return self._sway

    def go(self, span_s: float, hold: Hold | None) -> None:
        """Work on, with a share of it where it is held; what passes does not wait."""
        rate_hz = self.own.frame_rate_hz if isinstance(self.own, Node) else 0.0
        share = 1.0 if hold is None else hold.settings.get("share_pct", 0.0) / WHOLE_PCT
        self.analysed += rate_hz * span_s * share
        self._lost += rate_hz * span_s * (1.0 - share)
        self._spent_s += span_s
        if self._spent_s >= self._left_s:
            self._turn_to_the_next()
        self.phase = self._doing if hold is None else FlightPhase.GROUNDED

    def _turn_to_the_next(self) -> None:
        rests = self._doing is FlightPhase.GROUNDED
        self._doing = FlightPhase.TRACKING if rests else FlightPhase.GROUNDED
        self._left_s = self.chance.uniform(*(WATCHES_S if rests else RESTS_S))
        self._spent_s = 0.0

    def looks_at(self, ahead_s: float) -> Mapping[str, float] | None:
        """Return where what passes is, on the ground."""
        if self.phase is not FlightPhase.TRACKING:
            return None
        turn = 2.0 * pi * (self._spent_s + ahead_s) / self._period_s
        return {"yaw": self._reach_deg * sin(turn), "pitch": -20.0, "roll": 0.0}

    def lost(self) -> Lost:
        """Return the pictures that were not analysed."""
        return Lost(taken_from=Resource.WORK, amount=self._lost, unit="pictures")
