"""What is tried with an axis: a step, a load, a base that moves. Inputs for :class:`.rig.Rig`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from orchestrator.aim.criteria import Criteria
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.rig import INPUTS
from orchestrator.aim.sampled import Floats, Lane

_REFERENCE, _REFERENCE_RATE, _LOAD, _BASE_RATE = range(INPUTS)


class Experiment(IntEnum):
    """
    Each begins at rest at 0°.

    STEP: the reference goes to the target by the motion profile. LOAD: the plant's imbalance
    pulls from the first moment on. BASE: the base swings as a sine.
    """

    STEP = 0
    LOAD = 1
    BASE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """
    A trapezoid of rate: up with ``accel``, at the rate's limit, down again. SI, rad.

    ``target`` is reached after ``duration_s``. A short way never gets to the limit: a triangle.
    """

    target: float
    accel: float
    ramp_s: float
    cruise_s: float

    @property
    def duration_s(self) -> float:
        """When the reference stands at the target."""
        return self.cruise_s + 2.0 * self.ramp_s

    def at(self, time_s: Floats) -> tuple[Floats, Floats]:
        """Return the reference in rad and its rate in rad/s."""
        top = self.accel * self.ramp_s
        up = np.clip(time_s, 0.0, self.ramp_s)
        flat = np.clip(time_s - self.ramp_s, 0.0, self.cruise_s)
        down = np.clip(time_s - self.ramp_s - self.cruise_s, 0.0, self.ramp_s)
        way = self.accel * 0.5 * (up * up - down * down) + top * (flat + down)
        return way, self.accel * (up - down)


def profile(loop: AxisLoop, step_deg: float, duration_max_s: float) -> Profile:
    """Return the way to ``step_deg``, or as far as it gets in ``duration_max_s`` at the most."""
    rate, accel = np.radians(loop.rate_max_deg_s), np.radians(loop.accel_max_deg_s2)
    longest_ramp = min(rate / accel, duration_max_s / 2.0)
    reach = accel * longest_ramp * (duration_max_s - longest_ramp)
    target = min(float(np.radians(step_deg)), float(reach))
    ramp = min(rate / accel, float(np.sqrt(target / accel)))
    cruise = max(0.0, target / (accel * ramp) - ramp)
    return Profile(target=target, accel=float(accel), ramp_s=float(ramp), cruise_s=float(cruise))


def step_profile(loop: AxisLoop, criteria: Criteria) -> Profile:
    """Return the step that ``criteria`` ask for."""
    return profile(loop, criteria.step_deg, criteria.step_profile_max_s)


def samples_of(lanes: Sequence[Lane], duration_s: float) -> int:
    """Return how many samples last ``duration_s`` in the lane with the shortest step."""
    fastest = max(lane.plant.sample_rate_hz for lane in lanes)
    return max(1, round(duration_s * fastest))


def times(lanes: Sequence[Lane], samples: int) -> Floats:
    """Return the start of each sample in each lane in s, shape (samples, lanes)."""
    step_s = np.array([lane.plant.step_s for lane in lanes])
    found: Floats = np.arange(samples)[:, None] * step_s
    return found


def inputs(lanes: Sequence[Lane], criteria: Criteria) -> Floats:
    """
    Return all experiments on all lanes, shape (samples, experiments · lanes, INPUTS).

    The lanes of one experiment stand together, in the order of :class:`Experiment`.
    """
    count = len(lanes)
    samples = samples_of(lanes, criteria.horizon_s)
    time_s = times(lanes, samples)
    whole = np.zeros((samples, len(Experiment) * count, INPUTS))
    for number, lane in enumerate(lanes):
        way = step_profile(lane.loop, criteria)
        angle, rate = way.at(time_s[:, number])
        whole[:, Experiment.STEP * count + number, _REFERENCE] = angle
        whole[:, Experiment.STEP * count + number, _REFERENCE_RATE] = rate
        whole[:, Experiment.LOAD * count + number, _LOAD] = lane.plant.imbalance_nm
        swing = whole[:, Experiment.BASE * count + number]
        _sway(swing, lane, time_s[:, number], criteria)
    return whole


def _sway(lane_inputs: Floats, lane: Lane, time_s: Floats, criteria: Criteria) -> None:
    """Let the base swing; its rate drags at the camera through both kinds of friction."""
    turn = 2.0 * np.pi * criteria.base_hz
    top = np.radians(criteria.base_amplitude_deg) * turn
    step_s = lane.plant.step_s
    middle = top * np.cos(turn * (time_s + step_s / 2.0))
    lane_inputs[:, _LOAD] = lane.plant.viscous_nms_rad * middle
    lane_inputs[:, _BASE_RATE] = top * np.cos(turn * (time_s + step_s))
