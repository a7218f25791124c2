"""
A drone that flies a route: up, out, past what it inspects, and home again.

Positions are in m from where it takes off, x ahead. A leg ends when it has got where it goes, or
lasted as long as it lasts. It changes its battery on the ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import atan2, degrees, dist, hypot, pi, sin
from typing import Final

from drone_sim.flight.battery import CLIMB_M_S, Battery
from drone_sim.flight.body import STILL, Body, Lost, Sway
from drone_sim.scenario.verbs import LANDING_PERCENT
from orchestrator.staging.kind import Hold, Resource
from orchestrator.staging.kinds.drone import DronePolicy
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightPhase

CRUISE_M_S: Final = 12.0
DESCENT_M_S: Final = 1.5
PASSES: Final = (2, 3)
SWAY_DEG_S_M: Final = 0.5
"""Of sway for each m/s of wind: 4° in 8 m/s, at about the 1.5 Hz of the judge's criteria."""

LINK_LOSS_PCT_M: Final = 0.04

Place = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One phase of a route: to a place at a speed, or where it is for ``lasts_s``."""

    phase: FlightPhase
    to: Place | None = None
    speed_m_s: float = CRUISE_M_S
    lasts_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Passer:
    """What is tracked: it goes to and fro, across, ``away_m`` ahead on the ground."""

    away_m: float
    reach_m: float
    period_s: float


class DroneBody(Body):
    """A drone. Its battery lands it, and brings it home, whether it is held or not."""

    def __init__(self, *, seed: int, device: str, policy: Policy) -> None:
        super().__init__(seed=seed, device=device, policy=policy)
        mine = policy if isinstance(policy, DronePolicy) else DronePolicy()
        wind_m_s = self.chance.uniform(3.0, 8.0)
        self.battery: Battery = Battery(
            full_wh=mine.battery_wh, hover_power_w=mine.hover_power_w, wind_m_s=wind_m_s
        )
        self._reserve_pct = mine.battery_reserve_pct
        self._hz = self.chance.uniform(1.1, 1.5)
        self._place: Place = (0.0, 0.0, 0.0)
        self._passer = Passer(away_m=50.0, reach_m=0.0, period_s=60.0)
        self._route = self._missions()
        self._leg = next(self._route)
        self._spent_s = 0.0
        self._held_wh = 0.0
        self._returning = False

    @property
    def place(self) -> Place:
        """Where it is."""
        return self._place

    @property
    def link_pct(self) -> float:
        """The quality of its link: it falls with the distance."""
        return max(0.0, super().link_pct - LINK_LOSS_PCT_M * hypot(*self._place))

    @property
    def sway(self) -> Sway:
        """On the ground it stands; in the air the wind has it."""
        if self.phase is FlightPhase.GROUNDED:
            return STILL
        return Sway(amplitude_deg=SWAY_DEG_S_M * self.battery.wind_m_s, hz=self._hz)

    # --- the route ------------------------------------------------------------------------------

    def _missions(self) -> Iterator[Leg]:
        """Yield the legs of one flight after the other, without end."""
        while True:
            yield Leg(phase=FlightPhase.GROUNDED, lasts_s=self.chance.uniform(10.0, 20.0))
            yield from self._flight()

    def _flight(self) -> Iterator[Leg]:
        draw = self.chance.uniform
        up_m = draw(25.0, 40.0)
        yield Leg(phase=FlightPhase.CLIMBING, to=(0.0, 0.0, up_m), speed_m_s=CLIMB_M_S)
        for _ in range(self.chance.randint(*PASSES)):
            there = (draw(150.0, 400.0), draw(-150.0, 150.0), up_m)
            self._passer = Passer(
                away_m=draw(40.0, 60.0), reach_m=draw(30.0, 60.0), period_s=draw(35.0, 60.0)
            )
            yield Leg(phase=FlightPhase.TRANSIT, to=there)
            yield Leg(phase=FlightPhase.TRACKING, lasts_s=draw(40.0, 60.0))
            yield Leg(phase=FlightPhase.HOVERING, lasts_s=draw(10.0, 20.0))
        yield from _home(up_m)

    def _go_home(self) -> None:
        """Give the route up for the way home, and another flight after it."""
        self._returning = True
        self._route = self._after(_home(self._place[2]))
        self._begin(next(self._route))

    def _come_down(self) -> None:
        """Land where it is: a failsafe, which nothing stops."""
        leg = Leg(phase=FlightPhase.FAILSAFE, to=self._below(), speed_m_s=DESCENT_M_S)
        self._route = self._missions()
        self._begin(leg)

    def _after(self, legs: Iterator[Leg]) -> Iterator[Leg]:
        yield from legs
        yield from self._missions()

    def _below(self) -> Place:
        return (*self._place[:2], 0.0)

    def _begin(self, leg: Leg) -> None:
        """Begin with a leg; on the ground somebody carries it home and changes its battery."""
        self._leg, self._spent_s = leg, 0.0
        if leg.phase is FlightPhase.GROUNDED:
            self._place, self._returning = (0.0, 0.0, 0.0), False
            self.battery.swap()

    # --- time -----------------------------------------------------------------------------------

    def go(self, span_s: float, hold: Hold | None) -> None:
        """Fly on; where it is held, hover there, or stay on the ground."""
        self._obey_battery()
        stays = hold is not None and not self._wins
        self.phase = self._phase(held=stays)
        taken = self.battery.drain(self.phase, span_s)
        if hold is not None:
            self._held_wh += taken
        if not stays and self._passed(span_s):
            self._begin(next(self._route))

    @property
    def _wins(self) -> bool:
        """Whether flying wins over the hold: it lands, or must."""
        landing = self._leg.phase in {FlightPhase.LANDING, FlightPhase.FAILSAFE}
        return landing or self._returning

    def _phase(self, *, held: bool) -> FlightPhase:
        grounded = self._leg.phase is FlightPhase.GROUNDED
        return FlightPhase.HOVERING if held and not grounded else self._leg.phase

    def _obey_battery(self) -> None:
        if self._leg.phase in {FlightPhase.GROUNDED, FlightPhase.FAILSAFE}:
            return
        if self.battery.percent <= LANDING_PERCENT:
            self._come_down()
        elif self.battery.percent <= self._reserve_pct and not self._wins:
            self._go_home()

    def _passed(self, span_s: float) -> bool:
        """Get on with the leg; return whether it is done."""
        self._spent_s += span_s
        if self._leg.to is None:
            return self._spent_s >= self._leg.lasts_s
        self._place = _toward(self._place, self._leg.to, self._leg.speed_m_s * span_s)
        return self._place == self._leg.to

    # --- what it is asked -----------------------------------------------------------------------

    def looks_at(self, ahead_s: float) -> Mapping[str, float] | None:
        """Return where what it tracks is; the camera's roll stays level."""
        if self.phase is not FlightPhase.TRACKING:
            return None
        turn = 2.0 * pi * (self._spent_s + ahead_s) / self._passer.period_s
        across_m, away_m = self._passer.reach_m * sin(turn), self._passer.away_m
        down = atan2(self._place[2], hypot(across_m, away_m))
        return {"yaw": degrees(atan2(across_m, away_m)), "pitch": -degrees(down), "roll": 0.0}

    def lost(self) -> Lost:
        """Return the energy that it took while it was held."""
        return Lost(taken_from=Resource.BATTERY, amount=self._held_wh, unit="Wh")

    def why_unwell(self) -> str | None:
        """Tell of a failsafe, and of a reserve that it flies on."""
        if self.phase is FlightPhase.FAILSAFE:
            return f"failsafe: battery {self.battery.percent:.3g} %"
        if self.armed and self.battery.percent <= self._reserve_pct:
            return f"battery {self.battery.percent:.3g} % ≤ reserve {self._reserve_pct:g} %"
        return None


def _home(up_m: float) -> Iterator[Leg]:
    yield Leg(phase=FlightPhase.TRANSIT, to=(0.0, 0.0, up_m))
    yield Leg(phase=FlightPhase.LANDING, to=(0.0, 0.0, 0.0), speed_m_s=DESCENT_M_S)


def _toward(place: Place, to: Place, way_m: float) -> Place:
    far_m = dist(place, to)
    if far_m <= way_m:
        return to
    share = way_m / far_m
    x, y, z = (a + share * (b - a) for a, b in zip(place, to, strict=True))
    return x, y, z
