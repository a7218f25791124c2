"""One joint of a vehicle: how its base sways, where it is told to point, where it does."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from drone_sim.flight.body import Sway, Swaying
from drone_sim.flight.gimbals import BLOCK_S, Course, Drive, Seen
from drone_sim.flight.health import Window
from drone_sim.flight.pointer import LOCKED_DEG, Pace, Pointer
from drone_sim.scenario.chance import stream
from orchestrator.aim.sampled import Lane
from orchestrator.staging.models import AimConfig
from orchestrator.staging.rules import REST_MARGIN_DEG

LOAD_SHARE: Final = (0.3, 0.9)
"""How much of the most that gravity may pull at an axis it does pull."""

LATELY_S: Final = 0.5

SWAY_GAIN: Final = 0.05
"""Of the way to another sway, what a block goes: it takes a second."""

_LIMP: Final = Pace(rate_deg_s=0.0, accel_deg_s2=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    Where an axis should look in a block, in space: a goal, and how fast it moves.

    ``tracked`` is whether it is something that is tracked, not just a pose.
    """

    goal_deg: float
    goal_deg_s: float = 0.0
    tracked: bool = False


class Axis:
    """
    One axis. Angles are in space; ``base_deg`` is how far its base has swayed.

    ``misses_s`` is for how long it has not caught what it should track.
    """

    def __init__(self, seed: int, device: str, name: str) -> None:
        chance = stream(seed, "flight", device, "axis", name)
        self.name = name
        self.camera_deg = 0.0
        self.base_deg = 0.0
        self.misses_s = 0.0
        self.window = Window()
        self.driven = False
        self.dead: str | None = None
        """Why its loop does not run, where it does not."""

        self._was_deg = deque([0.0], maxlen=round(LATELY_S / BLOCK_S) + 1)
        self._swaying = Swaying(seed, device, name)
        self._load_share = chance.uniform(*LOAD_SHARE) * chance.choice((-1.0, 1.0))
        self._load_nm = 0.0
        self._pointer = Pointer()
        self._pace = self._tracking_pace = _LIMP
        self._range_deg = (0.0, 0.0)

    def configure(self, config: AimConfig, lane: Lane | None) -> None:
        """Take a configuration, and the loop and plant that come of it where they are known."""
        mine = getattr(config, self.name)
        rate, accel = mine.rate_max_deg_s, mine.accel_max_deg_s2
        tracking_rate = min(rate, config.tracking.rate_max_deg_s)
        self.driven = mine.enabled
        self._pace = Pace(rate_deg_s=rate, accel_deg_s2=accel)
        self._tracking_pace = Pace(rate_deg_s=tracking_rate, accel_deg_s2=accel)
        self._range_deg = (
            mine.angle_min_deg + REST_MARGIN_DEG,
            mine.angle_max_deg - REST_MARGIN_DEG,
        )
        self._load_nm = 0.0 if lane is None else self._load_share * lane.plant.imbalance_nm
        self.window, self.misses_s = Window(), 0.0

    def begin(self, at_s: float, sway: Sway, turn_deg_s: float) -> Drive:
        """Return what acts on it in a block that begins at ``at_s``, but for its courses."""
        tones = self._swaying.tones(sway, at_s, gain=SWAY_GAIN)
        self.base_deg = sum(tone.at_deg(BLOCK_S) for tone in tones)
        still = Course(self._pointer.angle_deg, 0.0, 0.0)
        return Drive(
            reference=still,
            goal=still,
            load_nm=self._load_nm,
            base_rate_deg_s=turn_deg_s,
            tones=tones,
        )

    def point(self, asked: Asked | None, swing_deg: float) -> tuple[Course, Course]:
        """Return the courses of the reference and of the goal; without one it freezes."""
        start_deg, rate_deg_s = self._pointer.angle_deg, self._pointer.rate_deg_s
        if asked is None:
            self.misses_s = 0.0
            accel = self._pointer.stop(self._pace, BLOCK_S)
        else:
            low, high = (limit + swing_deg for limit in self._range_deg)
            goal_deg = min(max(asked.goal_deg, low), high)
            pace = self._tracking_pace if asked.tracked else self._pace
            accel = self._pointer.toward(goal_deg, asked.goal_deg_s, pace, BLOCK_S)
        reference = Course(start_deg, rate_deg_s, accel)
        if asked is None or not self._caught(asked, start_deg):
            return reference, reference
        return reference, Course(asked.goal_deg, asked.goal_deg_s, 0.0)

    def _caught(self, asked: Asked, start_deg: float) -> bool:
        caught = abs(asked.goal_deg - start_deg) <= LOCKED_DEG
        self.misses_s = 0.0 if caught or not asked.tracked else self.misses_s + BLOCK_S
        return caught and asked.tracked

    def end(self, seen: Seen | None, *, loose_deg: float) -> None:
        """
        Take note of a block: of what the physics saw, where there is some.

        Without physics it is where it is told to be; one that is limp or dead hangs from its
        base, at ``loose_deg``.
        """
        if seen is not None:
            self.camera_deg = seen.angle_deg
            self.window.add(seen)
        elif self.driven and self.dead is None:
            self.camera_deg = self._pointer.angle_deg
        else:
            self.camera_deg = loose_deg + self.base_deg
        self._was_deg.append(self.camera_deg)

    @property
    def camera_deg_s(self) -> float:
        """How fast the camera turned lately, on average: where it goes, not how it trembles."""
        lasted_s = max(1, len(self._was_deg) - 1) * BLOCK_S
        return (self._was_deg[-1] - self._was_deg[0]) / lasted_s
