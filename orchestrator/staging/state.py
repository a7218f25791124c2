"""
What a device is doing at the moment: the flight state that a vote looks at.

The device's adapter fills it in from the autopilot; whatever it does not know is ``None``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class FlightPhase(StrEnum):
    """
    What the device is about.

    Arms and nodes know ``grounded`` (at rest), ``transit`` (an arm moves its load), ``tracking``.
    """

    GROUNDED = "grounded"
    CLIMBING = "climbing"
    TRANSIT = "transit"
    HOVERING = "hovering"
    TRACKING = "tracking"
    LANDING = "landing"
    FAILSAFE = "failsafe"


PHASES: Final[Mapping[str, FlightPhase]] = {
    "parked": FlightPhase.GROUNDED,
    "armed": FlightPhase.GROUNDED,
    "landed": FlightPhase.GROUNDED,
    "takeoff": FlightPhase.CLIMBING,
    "climb": FlightPhase.CLIMBING,
    "return": FlightPhase.TRANSIT,
    "hover": FlightPhase.HOVERING,
    "hover-inspect": FlightPhase.HOVERING,
    "orbit": FlightPhase.TRACKING,
    **{phase.value: phase for phase in FlightPhase},
}
"""The finer phases that autopilots tell, folded onto those that make a difference here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlightState:
    """
    What a device knows of itself when it is asked.

    ``battery_wh`` is the energy of the full battery and ``hover_power_w`` what hovering takes at
    the present load. ``reboot_required_changed`` names parameters that the configuration changes
    and the autopilot reads only when it starts. Angles and rates are those of the joints, by axis.
    ``attitude_error_deg`` is how far the body is from where it wants to be.
    """

    phase: FlightPhase
    armed: bool = False
    battery_pct: float | None = None
    battery_wh: float | None = None
    hover_power_w: float | None = None
    link_quality_pct: float | None = None
    clock_error_ms: float | None = None
    recording: bool = False
    calibrating: bool = False
    attitude_error_deg: float | None = None
    gimbal_angles_deg: Mapping[str, float] = field(default_factory=dict)
    gimbal_rates_deg_s: Mapping[str, float] = field(default_factory=dict)
    reboot_required_changed: tuple[str, ...] = ()

    @property
    def at_rest(self) -> bool:
        """Whether it stands, its motors off."""
        return self.phase is FlightPhase.GROUNDED and not self.armed
