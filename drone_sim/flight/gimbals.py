"""
All axes that move together: sample by sample, by the physics that votes are judged by.

Axes come, go and change their control law at any time between two blocks; whatever else is
mounted does not notice. What a sample costs hardly depends on the number of axes, so all of one
sample rate stand on one bench.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi, sin
from typing import Final, NamedTuple

import numpy as np

from orchestrator.aim.loop import nonsense
from orchestrator.aim.rig import INPUTS, Rig, Trace
from orchestrator.aim.sampled import ANGLE, COLUMNS, Floats, Lane

Key = tuple[str, str]
"""A vehicle and an axis of it."""

SATURATED: Final = 0.999
"""Share of the torque's clamp from which a command counts as saturated."""

BLOCK_S: Final = 0.05
"""How long a block lasts, in s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """A sine by which a base sways: ``amplitude_deg`` · sin(2π ``hz`` t + ``phase_rad``)."""

    amplitude_deg: float
    hz: float
    phase_rad: float

    def at_deg(self, time_s: float) -> float:
        """Return where it is."""
        return self.amplitude_deg * sin(2.0 * pi * self.hz * time_s + self.phase_rad)


class Course(NamedTuple):
    """How an angle goes in one block: from where, how fast, and with which acceleration."""

    angle_deg: float
    rate_deg_s: float
    accel_deg_s2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """
    What acts on one axis in one block, in degrees.

    ``reference`` is where the axis is told to point, ``goal`` where its camera should look:
    errors are from there. ``load_nm`` pulls from outside. The base sways by both ``tones``, whose
    time is that of the block, and turns with ``base_rate_deg_s`` beside.
    """

    reference: Course
    goal: Course
    load_nm: float
    base_rate_deg_s: float
    tones: tuple[Tone, Tone]

    def numbers(self) -> tuple[float, ...]:
        """Return all numbers in one row."""
        flat = (x for tone in self.tones for x in (tone.amplitude_deg, tone.hz, tone.phase_rad))
        return *self.reference, *self.goal, self.load_nm, self.base_rate_deg_s, *flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """
    What one axis did in a block of ``samples``: where it ended, and its error from the goal.

    ``saturated`` counts the samples in which the motor was told its limit.
    """

    angle_deg: float
    samples: int
    error_square_deg2: float
    saturated: int


class Bench(Rig):
    """A :class:`Rig` whose lanes can be given the state that others had."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        super().__init__(lanes)
        self.limits = np.array(
            [min(lane.loop.torque_max_nm, lane.plant.torque_peak_nm) for lane in lanes]
        )
        self.viscous = np.array([lane.plant.viscous_nms_rad for lane in lanes])

    def state_of(self, lane: int) -> tuple[Floats, Floats]:
        """Return the vector of a lane, and the commands that are on their way to its motor."""
        return self._last[lane].copy(), self._told[:, lane].copy()

    def take(self, lane: int, state: tuple[Floats, Floats]) -> None:
        """
        Let a lane go on from such a state, under whatever control law it has here.

        As in an autopilot whose gains are changed while it runs: integrator and filters stay.
        """
        vector, told = state
        self._last[lane] = vector
        size = min(len(told), len(self._told))
        self._told[:size, lane] = told[:size]


def at_rest(angle_deg: float) -> tuple[Floats, Floats]:
    """Return the state of an axis that stands at an angle."""
    vector = np.zeros(COLUMNS)
    vector[ANGLE] = np.radians(angle_deg)
    return vector, np.zeros(0)


class Gimbals:
    """All axes, by their keys."""

    def __init__(self) -> None:
        self._lanes: dict[Key, Lane] = {}
        self._waiting: dict[Key, tuple[Floats, Floats]] = {}
        self._benches: dict[float, tuple[tuple[Key, ...], Bench]] = {}
        self._changed = False

    def mount(self, key: Key, lane: Lane, angle_deg: float) -> tuple[str, ...]:
        """
        Run an axis by this control law from the next block on; return what is nonsense about it.

        One that is mounted already goes on where it is, another one begins at rest at
        ``angle_deg``. One whose law is nonsense is not mounted.
        """
        wrong = nonsense(lane.loop, lane.plant)
        if wrong:
            self.unmount(key)
            return wrong
        if key not in self._lanes:
            self._waiting[key] = at_rest(angle_deg)
        self._lanes[key] = lane
        self._changed = True
        return ()

    def unmount(self, key: Key) -> None:
        """Switch an axis off. Nothing is done where it is off."""
        self._changed |= self._lanes.pop(key, None) is not None
        self._waiting.pop(key, None)

    def mounted(self, key: Key) -> bool:
        """Whether an axis runs."""
        return key in self._lanes

    def run(self, block: int, drives: Mapping[Key, Drive]) -> dict[Key, Seen]:
        """Run the block of this number, from 0; every axis that is mounted has a drive."""
        if self._changed:
            self._rebuild()
        seen: dict[Key, Seen] = {}
        for rate_hz, (keys, bench) in self._benches.items():
            span = _samples(block, rate_hz)
            numbers = np.array([drives[key].numbers() for key in keys])
            inputs, goals = _inputs(numbers, span, rate_hz, bench.viscous)
            seen.update(zip(keys, _seen(bench.run(inputs), goals, bench.limits), strict=True))
        return seen

    def _rebuild(self) -> None:
        """Put all lanes on new benches, each with the state that it had."""
        states: dict[Key, tuple[Floats, Floats]] = {}
        for keys, bench in self._benches.values():
            states.update((key, bench.state_of(n)) for n, key in enumerate(keys))
        states.update(self._waiting)
        rates = sorted({lane.plant.sample_rate_hz for lane in self._lanes.values()})
        self._benches = {}
        for rate_hz in rates:
            mine = {k: v for k, v in self._lanes.items() if v.plant.sample_rate_hz == rate_hz}
            bench = Bench(tuple(mine.values()))
            for number, key in enumerate(mine):
                bench.take(number, states[key])
            self._benches[rate_hz] = tuple(mine), bench
        self._waiting.clear()
        self._changed = False


def _samples(block: int, rate_hz: float) -> int:
    """Return how many samples a block has: no rate drifts away from the blocks."""
    return round((block + 1) * BLOCK_S * rate_hz) - round(block * BLOCK_S * rate_hz)


def _inputs(
    numbers: Floats, samples: int, rate_hz: float, viscous: Floats
) -> tuple[Floats, Floats]:
    """Return the inputs of a rig, and where each lane should be after each sample, in rad."""
    load, turn, *tones = numbers[:, 6:].T
    time_s = np.arange(samples)[:, None] / rate_hz
    inputs = np.empty((samples, len(numbers), INPUTS))
    inputs[:, :, 0] = _course(numbers[:, :3], time_s)
    inputs[:, :, 1] = np.radians(numbers[:, 1] + numbers[:, 2] * time_s)
    middle = turn + _rate(tones, time_s + 0.5 / rate_hz)
    inputs[:, :, 2] = load + viscous * np.radians(middle)
    inputs[:, :, 3] = np.radians(turn + _rate(tones, time_s + 1.0 / rate_hz))
    return inputs, _course(numbers[:, 3:6], time_s + 1.0 / rate_hz)


def _course(courses: Floats, time_s: Floats) -> Floats:
    """Return where each course is at each time, in rad."""
    start, rate, accel = courses.T
    found: Floats = np.radians(start + (rate + 0.5 * accel * time_s) * time_s)
    return found


def _rate(tones: Sequence[Floats], time_s: Floats) -> Floats:
    """Return the rate at which a base sways, in deg/s."""
    total = np.zeros((len(time_s), len(tones[0])))
    for at in range(0, len(tones), 3):
        amplitude, hz, phase = tones[at : at + 3]
        turn = 2.0 * np.pi * hz
        total += amplitude * turn * np.cos(turn * time_s + phase)
    return total


def _seen(trace: Trace, goals: Floats, limits: Floats) -> list[Seen]:
    square = (np.degrees(trace.angle - goals) ** 2).sum(axis=0)
    saturated = (np.abs(trace.command_nm) >= SATURATED * limits).sum(axis=0)
    ends = (np.degrees(trace.angle[-1]), square, saturated)
    return [
        Seen(
            angle_deg=angle,
            samples=len(goals),
            error_square_deg2=error,
            saturated=count,
        )
        for angle, error, count in zip(*(one.tolist() for one in ends), strict=True)
    ]
