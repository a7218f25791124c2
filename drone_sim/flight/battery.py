"""
The battery of a drone, and what flying takes of it.

Powers are shares of what hovering takes, which the fleet's policy says or else
:mod:`orchestrator.staging.kinds.drone` (DJI's Matrice 30: 439 W of 263.2 Wh).
"""

from __future__ import annotations

from math import sqrt
from typing import Final

from orchestrator.staging.kinds.drone import S_PER_H
from orchestrator.staging.state import FlightPhase

CRUISE_SHARE: Final = 36.0 / 41.0
"""The Matrice 30 hovers for 36 min and flies for 41 min (its maker's specifications)."""

CLIMB_M_S: Final = 3.0

INDUCED_M_S: Final = 5.9
"""At its rotors while it hovers: 439 W × 0.5 (figure of merit) / (3.77 kg × 9.81 m/s²)."""

_CLIMB: Final = CLIMB_M_S / (2.0 * INDUCED_M_S)

CLIMB_SHARE: Final = _CLIMB + sqrt(_CLIMB * _CLIMB + 1.0)
"""Momentum theory of a climb: Leishman, Principles of Helicopter Aerodynamics, §2.13."""

SHARES: Final = {
    FlightPhase.CLIMBING: CLIMB_SHARE,
    FlightPhase.TRANSIT: CRUISE_SHARE,
    FlightPhase.HOVERING: 1.0,
    FlightPhase.TRACKING: 1.0,
    FlightPhase.LANDING: 1.0,
    FlightPhase.FAILSAFE: 1.0,
}
"""A slow descent is as dear as hovering: the rotors stand in their own wake (ibid.)."""

GROUNDED_W: Final = 15.0
"""Autopilot, radio and gimbal alone; this project's figure."""

WIND_SHARE_S_M: Final = 0.02
"""What each m/s of wind adds in the air: a tenth at 5 m/s; this project's figure."""


class Battery:
    """
    What is left of ``full_wh``. ``hover_power_w`` is for still air.

    ``power_w`` is what was taken last; ``wind_m_s`` may be set at any time.
    """

    def __init__(self, *, full_wh: float, hover_power_w: float, wind_m_s: float) -> None:
        self.full_wh = full_wh
        self.left_wh = full_wh
        self.wind_m_s = wind_m_s
        self.power_w = GROUNDED_W
        self._still_w = hover_power_w

    @property
    def percent(self) -> float:
        """The charge."""
        return 100.0 * self.left_wh / self.full_wh

    @property
    def hover_power_w(self) -> float:
        """What hovering takes in this wind."""
        return self._still_w * (1.0 + WIND_SHARE_S_M * self.wind_m_s)

    def drain(self, phase: FlightPhase, span_s: float) -> float:
        """Take what a phase takes in ``span_s``; return how much that was, in Wh."""
        share = SHARES.get(phase)
        self.power_w = GROUNDED_W if share is None else share * self.hover_power_w
        taken = min(self.left_wh, self.power_w * span_s / S_PER_H)
        self.left_wh -= taken
        return taken

    def swap(self) -> None:
        """Put a full one in."""
        self.left_wh = self.full_wh
