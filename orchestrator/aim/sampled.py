"""
An axis from sample to sample: one matrix per lane, exact for everything that is linear.

A *lane* is one control law on one plant at one inertia. Its vector has the plant's states, those
of the controller, two scratch places, and what comes from outside; the matrix of a lane makes the
next vector's first ``ROWS`` places from the whole of the present one. What is not linear
(clamps, Coulomb friction) is put on top by :mod:`.rig`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.aim.filters import low_pass, notch
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import FRICTION_RATE_RAD_S, AxisPlant

Floats = npt.NDArray[np.float64]

ANGLE: Final = 0  # rad, of the camera in space
RATE: Final = 1  # rad/s
MODE: Final = 2  # the structural mode: its angle times its frequency, in rad/s
MODE_RATE: Final = 3  # rad/s, as the gyro sees it
TORQUE: Final = 4  # N m, of the motor
LOW: Final = 5  # and 6: the low-pass filter's memory
NOTCH: Final = 7  # and 8: the notch's
GYRO: Final = 9  # rad/s, filtered, one sample ago
INTEGRAL: Final = 10  # N m
STATES: Final = 11
DEMAND: Final = 11  # N m, before integral and clamp (scratch)
SLIP: Final = 12  # rate against the base, in units of FRICTION_RATE_RAD_S (scratch); then rubbed
RUBBED: Final = SLIP  # rad/s, what Coulomb friction took of the rate at the end of the sample
ROWS: Final = 13
COMMAND: Final = 13  # N m, what the motor is told in this sample, dead time over
REFERENCE: Final = 14  # rad
REFERENCE_RATE: Final = 15  # rad/s
LOAD: Final = 16  # N m, from outside, viscous friction against the base included
BASE_RATE: Final = 17  # rad/s, at the end of the sample
COLUMNS: Final = 18

_PLANT: Final = 5  # the states before the controller's, with places 5 and 6 for what drives them
_TAYLOR_TERMS: Final = 12
_UNIT: Final = np.eye(COLUMNS)

SEEN: Final = _UNIT[RATE] - 0.5 * _UNIT[RUBBED]
"""The camera's rate at a sample. Friction acts in one go between two samples, half before and half
after the instant itself (Strang splitting): so the error falls with the step's square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One control law on one plant; ``inertia_factor`` times its nominal inertia."""

    loop: AxisLoop
    plant: AxisPlant
    inertia_factor: float = 1.0

    @property
    def inertia_kg_m2(self) -> float:
        """The inertia of this lane."""
        return self.plant.inertia_kg_m2 * self.inertia_factor


def held(lanes: Sequence[Lane]) -> Floats:
    """
    Return the exact effect of one sample on each plant, shape (lanes, 7, 7).

    The first five rows and columns are the plant's states; columns 5 and 6 are command and load,
    which stay as they are during a sample (zero-order hold). It is the matrix exponential of the
    plant and its inputs: Franklin, Powell, Workman, "Digital control of dynamic systems", §4.3.
    """
    rates = np.zeros((len(lanes), _PLANT + 2, _PLANT + 2))
    for matrix, lane in zip(rates, lanes, strict=True):
        plant, inertia = lane.plant, lane.inertia_kg_m2
        mode_rad_s = 2.0 * np.pi * plant.mode_hz
        matrix[ANGLE, RATE] = 1.0
        matrix[RATE, RATE] = -plant.viscous_nms_rad / inertia
        matrix[RATE, TORQUE] = matrix[RATE, _PLANT + 1] = 1.0 / inertia
        matrix[MODE, MODE_RATE] = mode_rad_s
        matrix[MODE_RATE, MODE] = -mode_rad_s
        matrix[MODE_RATE, MODE_RATE] = -2.0 * plant.mode_damping * mode_rad_s
        matrix[MODE_RATE, TORQUE] = plant.mode_participation / inertia
        matrix[TORQUE, TORQUE] = -1.0 / plant.motor_lag_s
        matrix[TORQUE, _PLANT] = 1.0 / plant.motor_lag_s
    step_s = np.array([lane.plant.step_s for lane in lanes])
    return _exponential(rates * step_s[:, None, None])


def _exponential(rates: Floats) -> Floats:
    """Return e to the power of each matrix: a Taylor sum of a small part, squared back up."""
    size = float(np.abs(rates).sum(axis=2).max())
    halvings = max(0, int(np.ceil(np.log2(max(size, 1e-300)))) + 2)
    small = rates / 2.0**halvings
    whole = term = np.broadcast_to(np.eye(_PLANT + 2), rates.shape)
    for order in range(1, _TAYLOR_TERMS + 1):
        term = term @ small / order
        whole = whole + term
    for _ in range(halvings):
        whole = whole @ whole
    return whole


def gains(lanes: Sequence[Lane]) -> Floats:
    """Return angle_p, rate_p, rate_i times the step, rate_d over the step; shape (4, lanes)."""
    return np.array(
        [
            (
                lane.loop.angle_p,
                lane.loop.rate_p,
                lane.loop.rate_i * lane.plant.step_s,
                lane.loop.rate_d * lane.plant.sample_rate_hz,
            )
            for lane in lanes
        ]
    ).T


def filters(lanes: Sequence[Lane]) -> tuple[Floats, Floats]:
    """Return low-pass and notch of each lane: (b0, b1, b2, a1, a2), shape (5, lanes)."""
    low, cut = [], []
    for lane in lanes:
        loop, rate_hz = lane.loop, lane.plant.sample_rate_hz
        low.append(astuple(low_pass(loop.gyro_lpf_hz, rate_hz)))
        of_notch = (loop.notch_hz, loop.notch_bandwidth_hz, loop.notch_attenuation_db)
        cut.append(astuple(notch(*of_notch, rate_hz)))
    return np.array(low).T, np.array(cut).T


def updates(lanes: Sequence[Lane], plant: Floats) -> Floats:
    """Return the matrix of each lane, shape (lanes, ROWS, COLUMNS); ``plant`` is of `held`."""
    matrix = np.zeros((len(lanes), ROWS, COLUMNS))
    matrix[:, :_PLANT, :_PLANT] = plant[:, :_PLANT, :_PLANT]
    matrix[:, :_PLANT, COMMAND] = plant[:, :_PLANT, _PLANT]
    matrix[:, :_PLANT, LOAD] = plant[:, :_PLANT, _PLANT + 1]
    low, cut = filters(lanes)
    seen = np.broadcast_to(SEEN + _UNIT[MODE_RATE], (len(lanes), COLUMNS))
    gyro = _filter(matrix, NOTCH, cut, _filter(matrix, LOW, low, seen))
    angle_p, rate_p, integral_share, rate_d = gains(lanes)[:, :, None]
    error = angle_p * (_UNIT[REFERENCE] - _UNIT[ANGLE]) + _UNIT[REFERENCE_RATE] - gyro
    matrix[:, GYRO] = gyro
    matrix[:, INTEGRAL] = _UNIT[INTEGRAL] + integral_share * error
    matrix[:, DEMAND] = rate_p * error - rate_d * (gyro - _UNIT[GYRO])
    matrix[:, SLIP] = (matrix[:, RATE] - _UNIT[BASE_RATE]) / FRICTION_RATE_RAD_S
    return matrix


def _filter(matrix: Floats, place: int, biquad: Floats, signal: Floats) -> Floats:
    """Put a biquad in (direct form II, transposed) and return what comes out of it."""
    b0, b1, b2, a1, a2 = biquad[:, :, None]
    out: Floats = b0 * signal + _UNIT[place]
    matrix[:, place] = b1 * signal - a1 * out + _UNIT[place + 1]
    matrix[:, place + 1] = b2 * signal - a2 * out
    return out


def poles(lanes: Sequence[Lane], matrix: Floats) -> npt.NDArray[np.complex128]:
    """
    Return the poles of each closed loop in z; stable if all are inside the unit circle.

    Clamps and Coulomb friction left out; the dead time is a chain of samples. The number of
    poles is the same for all lanes: a shorter chain has poles at 0.
    """
    deepest = max(lane.plant.dead_time_samples for lane in lanes)
    closed = np.zeros((len(lanes), STATES + deepest, STATES + deepest))
    closed[:, :STATES, :STATES] = matrix[:, :STATES, :STATES]
    closed[:, :STATES, STATES] = matrix[:, :STATES, COMMAND]
    closed[:, STATES:-1, STATES + 1 :] = np.eye(deepest - 1)
    for one, update, lane in zip(closed, matrix, lanes, strict=True):
        last = STATES + lane.plant.dead_time_samples - 1
        one[last] = 0.0
        one[last, :STATES] = update[DEMAND, :STATES] + update[INTEGRAL, :STATES]
        if lane.loop.rate_i == 0:  # nothing moves the integrator: it is no part of the loop
            one[:, INTEGRAL] = 0.0
    found: npt.NDArray[np.complex128] = np.linalg.eigvals(closed).astype(np.complex128)
    return found
