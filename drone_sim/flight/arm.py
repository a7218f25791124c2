"""A loading arm: it swings to and fro with loads, and watches each as it is set down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drone_sim.flight.body import STILL, Body, Lost, Sway
from orchestrator.staging.kind import Hold, Resource
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightPhase

SPEED_DEG_S: Final = 6.0
SWING_DEG: Final = (-60.0, 60.0)
WATCHES_S: Final = (8.0, 15.0)
RESTS_S: Final = (10.0, 20.0)
LOADS: Final = (2, 4)
RAMP_S: Final = 1.0
"""In which it comes to rest where no configuration says so."""

VIBRATION: Final = Sway(amplitude_deg=0.4, hz=2.0)
"""Of its drives while it moves."""

DOWN_DEG: Final = -40.0
"""Pitch at which the load hangs."""


class ArmBody(Body):
    """
    An arm: at rest, then some loads (swing, watch), then at rest again.

    Held, it is at rest as soon as it stands, whatever hangs at it.
    """

    def __init__(self, *, seed: int, device: str, policy: Policy) -> None:
        super().__init__(seed=seed, device=device, policy=policy)
        self.loads = 0
        self._doing = FlightPhase.GROUNDED
        self._to_deg = 0.0
        self._waits_s = self.chance.uniform(*RESTS_S)
        self._left = 0
        self._pace = 1.0
        self._ramp_s = RAMP_S
        self._lost_s = 0.0

    @property
    def sway(self) -> Sway:
        """Its drives shake it while it moves."""
        return VIBRATION if self.phase is FlightPhase.TRANSIT else STILL

    @property
    def turn_deg_s(self) -> float:
        """How fast it swings."""
        if self._doing is not FlightPhase.TRANSIT:
            return 0.0
        way = self._to_deg - self.swing_deg
        return self._pace * SPEED_DEG_S * ((way > 0) - (way < 0))

    def go(self, span_s: float, hold: Hold | None) -> None:
        """Work on; where it is held, come to rest within the ramp, and go on by the same."""
        before = self._pace
        self._pace = self._paced(span_s, hold)
        done_s = span_s * (before + self._pace) / 2.0
        self._lost_s += span_s - done_s
        self._work(done_s)
        self.phase = self._doing if self._pace > 0 else FlightPhase.GROUNDED

    def _paced(self, span_s: float, hold: Hold | None) -> float:
        if hold is not None:
            self._ramp_s = hold.settings.get("ramp_s", RAMP_S)
        change = span_s / self._ramp_s
        pace = self._pace + (change if hold is None else -change)
        return min(1.0, max(0.0, round(pace, 9)))  # a rest of rounding is no motion

    def _work(self, done_s: float) -> None:
        if self._doing is not FlightPhase.TRANSIT:
            self._waits_s -= done_s
            if self._waits_s <= 0:
                self._swing_on()
            return
        way, far = self._to_deg - self.swing_deg, SPEED_DEG_S * done_s
        self.swing_deg += max(-far, min(far, way))
        if self.swing_deg == self._to_deg:
            self._arrive()

    def _swing_on(self) -> None:
        """Begin with the next load, or come home to rest."""
        if self._doing is FlightPhase.GROUNDED:
            self._left = self.chance.randint(*LOADS)
        low, high = SWING_DEG
        self._to_deg = 0.0 if self._left == 0 else high if self.swing_deg <= 0 else low
        self._doing = FlightPhase.TRANSIT

    def _arrive(self) -> None:
        if self._left == 0:
            self._doing, self._waits_s = FlightPhase.GROUNDED, self.chance.uniform(*RESTS_S)
            return
        self._left -= 1
        self.loads += 1
        self._doing, self._waits_s = FlightPhase.TRACKING, self.chance.uniform(*WATCHES_S)

    def looks_at(self, ahead_s: float) -> Mapping[str, float] | None:
        """Return where the load hangs: below its end, wherever that is."""
        if self.phase is FlightPhase.GROUNDED:
            return None
        yaw = self.swing_deg + self.turn_deg_s * ahead_s
        return {"yaw": yaw, "pitch": DOWN_DEG, "roll": 0.0}

    def lost(self) -> Lost:
        """Return the time by which its loads come later."""
        return Lost(taken_from=Resource.TIME, amount=self._lost_s, unit="s")
