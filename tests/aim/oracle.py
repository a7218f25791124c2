"""
The same axis, simulated another way: an oracle that shares nothing with the product but values.

The plant is integrated as it is written down, friction and all, by the classical Runge-Kutta
method of fourth order in small steps; the control law is run as its formula says; filters come
from scipy. Lanes are columns; many thousands of them run at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import pi

import numpy as np
import numpy.typing as npt
from scipy import signal

from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant

Array = npt.NDArray[np.float64]
Case = tuple[AxisLoop, AxisPlant, float]
"""A loop, its plant, and the factor on its inertia."""

STEP, LOAD, BASE = "step", "load", "base"
SUBSTEPS = 4
HORIZON_S = 2.0
BASE_RAD_S = 2 * pi * 1.5
BASE_TOP_RAD_S = np.radians(5.0) * BASE_RAD_S


@lru_cache(maxsize=4096)
def biquads(loop: AxisLoop, sample_rate_hz: float) -> tuple[tuple[float, ...], ...]:
    """Low-pass and notch as (b0, b1, b2, a1, a2), by scipy."""
    b, a = signal.butter(2, loop.gyro_lpf_hz, fs=sample_rate_hz)
    low = (*b, *a[1:])
    if loop.notch_hz == 0:
        return low, (1.0, 0.0, 0.0, 0.0, 0.0)
    edge = loop.notch_hz / (loop.notch_hz - loop.notch_bandwidth_hz / 2)
    quality = edge / (edge**2 - 1)
    centre = 2 * sample_rate_hz * np.tan(pi * loop.notch_hz / sample_rate_hz)
    deep = 10 ** (-loop.notch_attenuation_db / 20)
    top = [1.0, deep * centre / quality, centre**2]
    b, a = signal.bilinear(top, [1.0, centre / quality, centre**2], fs=sample_rate_hz)
    return low, (*b, *a[1:])


def way(loop: AxisLoop) -> tuple[float, Callable[[Array], tuple[Array, Array]]]:
    """The target of the step in rad, and reference and its rate by the time."""
    rate, accel = np.radians(loop.rate_max_deg_s), np.radians(loop.accel_max_deg_s2)
    longest = 0.75
    reach = rate * (longest - rate / accel) if 2 * rate / accel < longest else 0.0
    target = min(np.radians(30.0), reach or accel * longest**2 / 4)
    top = min(rate, np.sqrt(target * accel))
    ramp, whole = top / accel, target / top + top / accel
    corners = np.array([-1e9, 0.0, ramp, whole - ramp, whole, 1e9])

    def at(time_s: Array) -> tuple[Array, Array]:
        speed = np.interp(time_s, corners, [0.0, 0.0, top, top, 0.0, 0.0])
        rising = 0.5 * time_s * speed
        cruising = 0.5 * top * ramp + top * (time_s - ramp)
        falling = target - 0.5 * (whole - time_s) * speed
        middle = np.where(time_s < whole - ramp, cruising, falling)
        place = np.where(time_s < ramp, rising, middle)
        return np.where(time_s >= whole, target, place), speed

    return float(target), at


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the oracle measured, one entry per case."""

    overshoot_pct: Array
    settling_s: Array
    residual_deg: Array
    rate_peak_deg_s: Array
    base_leak_deg: Array
    steady_error_deg: Array


class Oracle:
    """All experiments on all cases."""

    def __init__(self, cases: Sequence[Case], substeps: int = SUBSTEPS) -> None:
        self.cases = list(cases)
        self.substeps = substeps
        loops, plants = [case[0] for case in cases], [case[1] for case in cases]
        self.loop = {n: _stack(loops, n) for n in AxisLoop.__dataclass_fields__}
        self.plant = {n: _stack(plants, n) for n in AxisPlant.__dataclass_fields__}
        self.inertia = self.plant["inertia_kg_m2"] * np.array([case[2] for case in cases])
        self.step_s = 1.0 / self.plant["sample_rate_hz"]
        pairs = [biquads(loop, plant.sample_rate_hz) for loop, plant, _ in cases]
        self.low = np.array([pair[0] for pair in pairs]).T
        self.notch = np.array([pair[1] for pair in pairs]).T
        self.ways = [way(loop) for loop in loops]
        self.samples = round(HORIZON_S * float(self.plant["sample_rate_hz"].max()))

    def time_s(self) -> Array:
        """The instants after each sample, shape (samples, cases)."""
        return np.arange(1, self.samples + 1)[:, None] * self.step_s

    def measure(self) -> Found:
        """Run all three experiments and read off what is judged."""
        time_s = self.time_s()
        target = np.array([way[0] for way in self.ways])
        step, rate = self.run(STEP)
        load, base = self.run(LOAD)[0], self.run(BASE)[0]
        inside = time_s < HORIZON_S + 1e-6
        rest = inside & (time_s > HORIZON_S - 0.25 + 1e-9)
        period = inside & (time_s > HORIZON_S - 1 / 1.5 + 1e-9)
        band = np.maximum(0.02 * target, np.radians(0.1))
        error = np.where(inside, step - target, 0.0)
        squares = np.where(rest, error**2, 0.0).sum(axis=0) / rest.sum(axis=0)
        return Found(
            overshoot_pct=100 * (error / target).max(axis=0),
            settling_s=np.where(np.abs(error) > band, time_s, 0.0).max(axis=0),
            residual_deg=np.degrees(np.sqrt(squares)),
            rate_peak_deg_s=np.degrees(np.abs(np.where(inside, rate, 0.0)).max(axis=0)),
            base_leak_deg=np.degrees(np.abs(np.where(period, base, 0.0)).max(axis=0)),
            steady_error_deg=np.degrees(np.abs(np.where(rest, load, 0.0)).max(axis=0)),
        )

    def run(self, experiment: str) -> tuple[Array, Array]:
        """Angle and rate after each sample, shape (samples, cases)."""
        count, loop, step_s = len(self.cases), self.loop, self.step_s
        state = np.zeros((5, count))
        memory = np.zeros((4, count))
        integral, before = np.zeros(count), np.zeros(count)
        late = self.plant["dead_time_samples"].astype(int)
        told = np.zeros((self.samples + int(late.max()) + 1, count))
        lanes = np.arange(count)
        times = np.arange(self.samples)[:, None] * step_s
        references = np.zeros((2, self.samples, count))
        if experiment == STEP:
            for lane, (_, at) in enumerate(self.ways):
                references[:, :, lane] = at(times[:, lane])
        limit = np.minimum(loop["torque_max_nm"], self.plant["torque_peak_nm"])
        angles, rates = np.zeros((2, self.samples, count))
        for now in range(self.samples):
            seen = _filtered(self.low, memory[:2], state[1] + state[3])
            seen = _filtered(self.notch, memory[2:], seen)
            error = loop["angle_p"] * (references[0, now] - state[0]) + references[1, now] - seen
            most = loop["integrator_max_nm"]
            integral = np.clip(integral + loop["rate_i"] * error * step_s, -most, most)
            slope = (seen - before) / step_s
            demand = loop["rate_p"] * error + integral - loop["rate_d"] * slope
            before = seen
            told[now + late, lanes] = np.clip(demand, -limit, limit)
            state = self._sample(experiment, state, told[now], times[now])
            angles[now], rates[now] = state[0], state[1]
        return angles, rates

    def _sample(self, experiment: str, state: Array, command: Array, start_s: Array) -> Array:
        """Runge-Kutta through one sample."""
        width = self.step_s / self.substeps
        for part in range(self.substeps):
            at = start_s + part * width
            a = self._slope(experiment, state, command, at)
            b = self._slope(experiment, state + 0.5 * width * a, command, at + 0.5 * width)
            c = self._slope(experiment, state + 0.5 * width * b, command, at + 0.5 * width)
            d = self._slope(experiment, state + width * c, command, at + width)
            state = state + width / 6.0 * (a + 2.0 * (b + c) + d)
        return state

    def _slope(self, experiment: str, state: Array, command: Array, at: Array) -> Array:
        plant = self.plant
        _, rate, bend, bend_rate, torque = state
        base = BASE_TOP_RAD_S * np.cos(BASE_RAD_S * at) if experiment == BASE else 0.0
        load = plant["imbalance_nm"] if experiment == LOAD else 0.0
        slip = rate - base
        drag = plant["viscous_nms_rad"] * slip + plant["coulomb_nm"] * np.tanh(slip / 0.02)
        turn = 2 * pi * plant["mode_hz"]
        push = plant["mode_participation"] * torque / self.inertia
        return np.array(
            [
                rate,
                (torque - drag + load) / self.inertia,
                bend_rate,
                push - 2 * plant["mode_damping"] * turn * bend_rate - turn**2 * bend,
                (command - torque) / plant["motor_lag_s"],
            ]
        )


def _stack(values: Sequence[AxisLoop] | Sequence[AxisPlant], name: str) -> Array:
    return np.array([float(getattr(value, name)) for value in values])


def _filtered(biquad: Array, memory: Array, given: Array) -> Array:
    """Direct form I would need four places; this is form II: two, of what is inside."""
    b0, b1, b2, a1, a2 = biquad
    inside = given - a1 * memory[0] - a2 * memory[1]
    out: Array = b0 * inside + b1 * memory[0] + b2 * memory[1]
    memory[1], memory[0] = memory[0].copy(), inside
    return out
