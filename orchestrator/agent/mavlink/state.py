"""What an autopilot has said of itself lately: the facts that a vote may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from orchestrator.agent.flight import Seen
from orchestrator.agent.mavlink.link import (
    Address,
    Charge,
    Flying,
    GimbalControl,
    GimbalRange,
    Heartbeat,
    Incoming,
    Landed,
)
from orchestrator.staging.state import FlightPhase, FlightState

SILENT_AFTER_S: Final = 3.0
"""Three heartbeats: what ground stations take for a lost link."""

STALE_AFTER_S: Final = 10.0
"""Landed state and charge are told at about 1 Hz; what was not told for longer is unknown."""

PHASES_SAID: Final[Mapping[Landed, tuple[FlightPhase, ...]]] = {
    Landed.ON_GROUND: (FlightPhase.GROUNDED,),
    Landed.TAKING_OFF: (FlightPhase.CLIMBING,),
    Landed.LANDING: (FlightPhase.LANDING,),
    Landed.IN_AIR: (
        FlightPhase.HOVERING,
        FlightPhase.TRANSIT,
        FlightPhase.CLIMBING,
        FlightPhase.TRACKING,
    ),
    Landed.UNDEFINED: (
        FlightPhase.HOVERING,
        FlightPhase.TRANSIT,
        FlightPhase.CLIMBING,
        FlightPhase.TRACKING,
        FlightPhase.LANDING,
        FlightPhase.GROUNDED,
    ),
}
"""The phases that a vehicle may be in by its MAV_LANDED_STATE, the likeliest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """
    A snapshot of the vehicle. ``None`` is what it has not said, or not lately.

    ``heard_ago_s`` is the age of its last heartbeat, which says ``armed`` and ``failsafe``.
    ``battery_pct`` is the emptiest battery's. ``in_control`` is who steers the gimbal.
    """

    heard_ago_s: float | None = None
    armed: bool | None = None
    failsafe: bool = False
    landed: Landed | None = None
    battery_pct: float | None = None
    in_control: Address | None = None

    @property
    def link(self) -> bool:
        """Whether it was heard lately."""
        return self.heard_ago_s is not None and self.heard_ago_s <= SILENT_AFTER_S

    @property
    def grounded(self) -> bool | None:
        """Whether it stands on the ground; ``None`` where nothing says so."""
        if self.landed not in {None, Landed.UNDEFINED}:
            return self.landed is Landed.ON_GROUND
        return True if self.armed is False else None

    def seen(self) -> Seen:
        """
        Return what a vote looks at.

        MAVLink tells neither tracking nor recording. Its figures of link quality are not taken:
        ArduPilot sends a drop rate of 0 at all times, and a radio's RSSI has no common scale.
        """
        if self.failsafe:
            phases: tuple[FlightPhase, ...] = (FlightPhase.FAILSAFE,)
        elif self.grounded:
            phases = (FlightPhase.GROUNDED,)
        else:
            phases = PHASES_SAID[self.landed or Landed.UNDEFINED]
        state = FlightState(
            phase=phases[0], armed=self.armed is not False, battery_pct=self.battery_pct
        )
        return Seen(phases=phases, state=state)


@dataclass(slots=True, kw_only=True)
class Memory:
    """Keeps the last of each, of the one autopilot that is ours."""

    flight: Flight = field(default_factory=Flight)
    heard_at: float | None = None
    autopilot: int | None = None
    gimbal: GimbalRange | None = None
    landed_at: float | None = None
    batteries: dict[int | None, tuple[float, float]] = field(default_factory=dict)
    """The charge of each in per cent, and when it said so."""

    def note(self, message: Incoming, now: float) -> None:
        """Take what a message says."""
        match message:
            case Heartbeat(autopilot=autopilot, armed=armed, failsafe=failsafe):
                self.heard_at, self.autopilot = now, autopilot
                self.flight = replace(self.flight, armed=armed, failsafe=failsafe)
            case Flying(landed=landed):
                self.landed_at = now
                self.flight = replace(self.flight, landed=landed)
            case Charge(battery=battery, percent=percent):
                self.batteries[battery] = percent, now
            case GimbalControl(primary=primary):
                self.flight = replace(self.flight, in_control=primary)
            case GimbalRange(device=device):
                if device or self.gimbal is None:
                    self.gimbal = message
            case _:
                return

    def snapshot(self, now: float) -> Flight:
        """Return the facts with their age, without those that are stale."""
        ago = None if self.heard_at is None else now - self.heard_at
        fresh = self.landed_at is not None and now - self.landed_at <= STALE_AFTER_S
        return replace(
            self.flight,
            heard_ago_s=ago,
            landed=self.flight.landed if fresh else None,
            battery_pct=self._emptiest(now),
        )

    def _emptiest(self, now: float) -> float | None:
        """Return the least charge; ``None`` where a battery has not said its own lately."""
        if any(now - at > STALE_AFTER_S for _, at in self.batteries.values()):
            return None
        return min((percent for percent, _ in self.batteries.values()), default=None)
