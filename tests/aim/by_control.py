"""The open loop, built with python-control: an oracle for margins and poles."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import control
import numpy as np

from tests.aim.oracle import Array, Case, biquads


def plant_of(case: Case) -> control.StateSpace:
    """The plant from the motor's command to angle and gyro, sampled by python-control."""
    _, plant, factor = case
    inertia, turn = plant.inertia_kg_m2 * factor, 2 * pi * plant.mode_hz
    damping, share = plant.mode_damping, plant.mode_participation
    motor = control.tf([1], [plant.motor_lag_s, 1])
    rate = control.tf([1], [inertia, plant.viscous_nms_rad])
    bend = control.tf([share / inertia, 0], [1, 2 * damping * turn, turn**2])
    angle = control.tf([1], [1, 0])
    motor, rate, bend, angle = (control.ss(part) for part in (motor, rate, bend, angle))
    joined = control.append(rate, bend)
    split = control.ss([], [], [], [[1], [1]])
    seen = control.ss([], [], [], [[1, 0], [1, 1]])
    integrated = control.append(angle, control.ss([], [], [], [[1]]))
    whole = integrated * seen * joined * split * motor
    return control.c2d(whole, 1 / plant.sample_rate_hz, "zoh")


def open_loop(case: Case) -> control.StateSpace:
    """What comes back at the torque command, negated."""
    loop, plant, _ = case
    step_s = 1 / plant.sample_rate_hz
    z = control.tf([1, 0], [1], step_s)
    parts = [(list(b[:3]), [1.0, *b[3:]]) for b in biquads(loop, plant.sample_rate_hz)]
    low, notch = (control.ss(control.tf(top, below, step_s)) for top, below in parts)
    integral = control.tf([loop.rate_i * step_s, 0], [1, -1], step_s) if loop.rate_i else 0
    inner = control.ss(loop.rate_p + integral) if loop.rate_i else _gain([[loop.rate_p]], step_s)
    slope = control.ss(loop.rate_d * (z - 1) / (z * step_s))
    measured = control.append(_gain([[loop.angle_p]], step_s), notch * low) * plant_of(case)
    error_and_gyro = _gain([[1, 1], [0, 1]], step_s)
    late = control.ss(control.tf([1], [1] + [0] * plant.dead_time_samples, step_s))
    acting = control.append(inner, slope) * error_and_gyro * measured * late
    return _gain([[1, 1]], step_s) * acting


def _gain(matrix: list[list[float]], step_s: float) -> control.StateSpace:
    return control.ss([], [], [], matrix, step_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What python-control says of a lane; ``modulus`` is the least distance of L from -1."""

    stable: bool
    phase_margin_deg: float
    gain_margin_db: float
    modulus: float


def known(case: Case, points: int = 3000) -> Known:
    """Margins from a smooth curve through many points; poles from the closed loop's states."""
    system = open_loop(case)
    hz = np.geomspace(0.02, 0.4999 * case[1].sample_rate_hz, points)
    curve = control.frd(control.frequency_response(system, 2 * pi * hz), smooth=True)
    gain, phase, modulus, *_ = control.stability_margins(curve)
    return Known(
        stable=stable(system),
        phase_margin_deg=float(phase),
        gain_margin_db=float(20 * np.log10(gain)),
        modulus=float(modulus),
    )


def stable(system: control.StateSpace) -> bool:
    """Whether all poles of the closed loop are inside the unit circle."""
    return bool(np.abs(control.feedback(system, 1).poles()).max() < 1.0)


def response(case: Case, hz: Array, system: control.StateSpace | None = None) -> Array:
    """The open loop at some frequencies; ``system`` where it is built already."""
    whole = open_loop(case) if system is None else system
    found: Array = whole(np.exp(2j * pi * hz / case[1].sample_rate_hz))
    return found
