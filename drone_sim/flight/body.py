"""
What carries a gimbal: where it is, what it is about, and what holding costs it.

The kinds that move have one each; whatever other kind there is is :class:`Standing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import Final

from drone_sim.flight.battery import Battery
from drone_sim.flight.gimbals import Tone
from drone_sim.scenario.chance import stream
from orchestrator.staging.fields import Strict
from orchestrator.staging.kind import Hold, Resource
from orchestrator.staging.policy import Policy
from orchestrator.staging.state import FlightPhase

LINK_BEST_PCT: Final = 98.0
FIRST_SHARE: Final = 0.8
"""Share of a sway that is in its first tone; the second is about three times as fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """What holding has cost since the start: ``amount`` in ``unit`` from ``taken_from``."""

    taken_from: Resource
    amount: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sway:
    """How a base sways: up to ``amplitude_deg`` at about ``hz``."""

    amplitude_deg: float
    hz: float


STILL: Final = Sway(amplitude_deg=0.0, hz=1.0)


class Body(ABC):
    """
    One body. ``own`` is the section of the configuration that only its kind has, or ``None``.

    :meth:`go` lets time pass. A device that is held does what its ``hold`` says; where it has
    none, it goes on. ``phase`` and ``battery`` are what they are now.
    """

    def __init__(self, *, seed: int, device: str, policy: Policy) -> None:
        self.phase = FlightPhase.GROUNDED
        self.policy = policy
        self.own: Strict | None = None
        self.battery: Battery | None = None
        self.swing_deg = 0.0
        """How far its base has turned about the vertical, beside swaying."""

        self.chance = stream(seed, "flight", device, "body")

    @property
    def armed(self) -> bool:
        """Whether its motors may turn."""
        return self.phase is not FlightPhase.GROUNDED

    @property
    def recording(self) -> bool:
        """Whether it records what it tracks."""
        return self.phase is FlightPhase.TRACKING

    @property
    def link_pct(self) -> float:
        """The quality of its link."""
        return LINK_BEST_PCT

    @property
    def sway(self) -> Sway:
        """How its base sways in this phase."""
        return STILL

    @property
    def turn_deg_s(self) -> float:
        """How fast ``swing_deg`` changes."""
        return 0.0

    @abstractmethod
    def go(self, span_s: float, hold: Hold | None) -> None:
        """Let ``span_s`` pass."""

    @abstractmethod
    def lost(self) -> Lost:
        """Return what holding has cost it."""

    def looks_at(self, ahead_s: float) -> Mapping[str, float] | None:
        """Return by axis, in deg, where what it looks at is ``ahead_s`` from now; None: rest."""
        del ahead_s
        return None

    def why_unwell(self) -> str | None:
        """Return what is wrong with it, where something is."""
        return None


class Standing(Body):
    """The body of a kind that is not known to move: it waits."""

    def __init__(self, *, seed: int, device: str, policy: Policy) -> None:
        super().__init__(seed=seed, device=device, policy=policy)
        self._held_s = 0.0

    def go(self, span_s: float, hold: Hold | None) -> None:
        """Stand, and count the time for which it is held."""
        self._held_s += span_s if hold is not None else 0.0

    def lost(self) -> Lost:
        """Return the time for which it was held."""
        return Lost(taken_from=Resource.TIME, amount=self._held_s, unit="s")


class Swaying:
    """The tones of one axis; each sways with phases of its own, and more or less by and by."""

    def __init__(self, seed: int, device: str, axis: str) -> None:
        chance = stream(seed, "flight", device, "sway", axis)
        self._turns = chance.random(), chance.random()
        self._faster = chance.uniform(2.3, 3.1)
        self._amplitude = 0.0

    def tones(self, sway: Sway, at_s: float, *, gain: float) -> tuple[Tone, Tone]:
        """Return the tones of a block that begins at ``at_s``; ``gain`` is how fast it follows."""
        self._amplitude += gain * (sway.amplitude_deg - self._amplitude)
        parts = (
            (FIRST_SHARE, sway.hz, self._turns[0]),
            (1.0 - FIRST_SHARE, sway.hz * self._faster, self._turns[1]),
        )
        first, second = (
            Tone(
                amplitude_deg=share * self._amplitude,
                hz=hz,
                phase_rad=_turned(turn + hz * at_s),
            )
            for share, hz, turn in parts
        )
        return first, second


def _turned(turns: float) -> float:
    return 2.0 * pi * (turns % 1.0)
