"""
Stability margins of the whole open loop, cut where the torque command leaves the controller.

The loop is the sampled one, seen on the unit circle: dead time, hold, motor lag, gyro filters,
structural mode, rate loop and angle loop together. Coulomb friction is left out, as for an axis
that turns; :mod:`.rig` has it. Everything is computed for all lanes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.aim import sampled
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.sampled import ANGLE, MODE, MODE_RATE, RATE, TORQUE, Floats, Lane

Complex = npt.NDArray[np.complex128]
Lanes = npt.NDArray[np.intp]

STABLE_RADIUS: Final = 1.0 - 1e-7
"""Poles must be inside: what dies away in more than 10⁷ samples is taken not to."""

LOWEST_HZ: Final = 0.01
_NYQUIST_SHARE: Final = 0.9999
_GRID: Final = 240
_WIDTHS: Final = np.array([-16.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 16.0])
_POLE_WIDTHS: Final = np.array([-1.0, 0.0, 1.0])
_HALVINGS: Final = 30
_ZOOMS: Final = 4
_ZOOM_POINTS: Final = 17
_COMMAND: Final = 5  # its column in the plant's matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """
    How far one lane is from instability.

    ``phase_margin_deg``: of all frequencies where the open loop's gain is one, the phase nearest
    to ±180°, as its distance: positive where lag is missing to it; infinite without any such
    frequency. ``crossover_hz`` is that frequency, 0 without one. ``gain_margin_db``: of all
    frequencies where the phase is ±180°, the gain nearest to one: what may be added, or taken
    away where it is negative. ``sensitivity_peak``: the largest of ``|1 / (1 + L)|`` over all
    frequencies, whose inverse is the least distance of L from -1. None of them means anything
    where ``stable`` is false; then ``pole_radius`` > 1 is by how much the worst oscillation, of
    ``pole_hz``, grows per sample.
    """

    stable: bool
    phase_margin_deg: float
    gain_margin_db: float
    sensitivity_peak: float
    crossover_hz: float
    pole_radius: float
    pole_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loops:
    """What the open loop of each lane is made of; the last axes are (lanes, frequencies)."""

    step_s: Floats
    dead_time: Floats
    plant: Floats
    gains: Floats
    low: Floats
    notch: Floats

    def at(self, lanes: Lanes) -> _Loops:
        """Return the same for one frequency of each of ``lanes``, which may repeat."""
        return _Loops(
            step_s=self.step_s[lanes, 0],
            dead_time=self.dead_time[lanes, 0],
            plant=self.plant[:, :, lanes, 0],
            gains=self.gains[:, lanes, 0],
            low=self.low[:, lanes, 0],
            notch=self.notch[:, lanes, 0],
        )


def margins(loop: AxisLoop, plant: AxisPlant, inertia_factor: float = 1.0) -> Margins:
    """Return the margins of one axis at one inertia. ``nonsense(loop, plant)`` must be empty."""
    lanes = (Lane(loop=loop, plant=plant, inertia_factor=inertia_factor),)
    held = sampled.held(lanes)
    return margins_of(lanes, held, sampled.updates(lanes, held))[0]


def open_loop(
    loop: AxisLoop, plant: AxisPlant, frequency_hz: Floats, inertia_factor: float = 1.0
) -> Complex:
    """
    Return the open loop's frequency response, for a Bode plot; 1-D, as ``frequency_hz``.

    Frequencies must be above 0 and below half the sample rate.
    """
    lanes = (Lane(loop=loop, plant=plant, inertia_factor=inertia_factor),)
    found: Complex = _open(_loops(lanes, sampled.held(lanes)), frequency_hz[None, :])[0]
    return found


def margins_of(lanes: Sequence[Lane], held: Floats, matrix: Floats) -> list[Margins]:
    """Return the margins of each lane; ``held`` and ``matrix`` are of :mod:`.sampled`."""
    loops = _loops(lanes, held)
    poles = sampled.poles(lanes, matrix)
    with np.errstate(all="ignore"):  # a pole on a grid point is infinite, and says so
        grid = _grid(lanes, poles)
        response = _open(loops, grid)
        found = _phase_margins(loops, grid, response)
        gain = _gain_margins(loops, grid, response)
        peak = _peaks(loops, grid, response)
    worst = np.abs(poles).argmax(axis=1)
    result = []
    for number, lane in enumerate(lanes):
        pole = complex(poles[number, worst[number]])
        turn_hz = abs(float(np.angle(pole))) * lane.plant.sample_rate_hz / (2.0 * np.pi)
        one = replace(
            found[number], gain_margin_db=gain[number], sensitivity_peak=float(peak[number])
        )
        stable = abs(pole) < STABLE_RADIUS
        result.append(replace(one, stable=stable, pole_radius=abs(pole), pole_hz=turn_hz))
    return result


def _loops(lanes: Sequence[Lane], held: Floats) -> _Loops:
    low, notch = sampled.filters(lanes)
    return _Loops(
        step_s=np.array([[lane.plant.step_s] for lane in lanes]),
        dead_time=np.array([[float(lane.plant.dead_time_samples)] for lane in lanes]),
        plant=held.transpose(1, 2, 0)[:, :, :, None],
        gains=sampled.gains(lanes)[:, :, None],
        low=low[:, :, None],
        notch=notch[:, :, None],
    )


def _open(loops: _Loops, frequency_hz: Floats) -> Complex:
    """Return L on the unit circle: what comes back at the cut for a command of one, negated."""
    turn = 2j * np.pi * loops.step_s * frequency_hz
    z = np.exp(turn)
    plant = loops.plant
    torque = plant[TORQUE, _COMMAND] / (z - plant[TORQUE, TORQUE])
    rate = (plant[RATE, TORQUE] * torque + plant[RATE, _COMMAND]) / (z - plant[RATE, RATE])
    angle = plant[ANGLE, RATE] * rate + plant[ANGLE, TORQUE] * torque + plant[ANGLE, _COMMAND]
    angle = angle / (z - 1.0)
    gyro = rate + _mode_rate(plant, z, torque)
    gyro = gyro * _through(loops.low, z) * _through(loops.notch, z)
    angle_p, rate_p, integral_share, rate_d = loops.gains
    lagging = (rate_p + integral_share * z / (z - 1.0)) * (angle_p * angle + gyro)
    response: Complex = np.exp(-turn * loops.dead_time) * (
        lagging + rate_d * (1.0 - 1.0 / z) * gyro
    )
    return response


def _mode_rate(plant: Floats, z: Complex, torque: Complex) -> Complex:
    """Solve the structural mode's two equations for its rate."""
    into_angle = plant[MODE, TORQUE] * torque + plant[MODE, _COMMAND]
    into_rate = plant[MODE_RATE, TORQUE] * torque + plant[MODE_RATE, _COMMAND]
    own_angle, own_rate = z - plant[MODE, MODE], z - plant[MODE_RATE, MODE_RATE]
    determinant = own_angle * own_rate - plant[MODE, MODE_RATE] * plant[MODE_RATE, MODE]
    found: Complex = (plant[MODE_RATE, MODE] * into_angle + own_angle * into_rate) / determinant
    return found


def _through(biquad: Floats, z: Complex) -> Complex:
    b0, b1, b2, a1, a2 = biquad
    back = 1.0 / z
    found: Complex = (b0 + back * (b1 + back * b2)) / (1.0 + back * (a1 + back * a2))
    return found


def _grid(lanes: Sequence[Lane], poles: Complex) -> Floats:
    """
    Return frequencies at which nothing is missed, in Hz, ascending in each lane.

    Even over all decades, and close together where something may be narrow: at the structural
    mode and at the poles of the closed loop, near which the sensitivity peaks.
    """
    most_hz = np.array([[lane.plant.sample_rate_hz / 2 * _NYQUIST_SHARE] for lane in lanes])
    even = LOWEST_HZ * (most_hz / LOWEST_HZ) ** np.linspace(0.0, 1.0, _GRID)
    mode_hz = np.array([[lane.plant.mode_hz] for lane in lanes])
    damping = np.array([[lane.plant.mode_damping] for lane in lanes])
    at_mode = mode_hz * (1.0 + damping * _WIDTHS)
    per_radian = most_hz / (_NYQUIST_SHARE * np.pi)
    turn = np.abs(np.angle(poles)) * per_radian
    width = np.abs(np.log(np.maximum(np.abs(poles), 1e-12))) * per_radian
    at_poles = (turn[:, :, None] + width[:, :, None] * _POLE_WIDTHS).reshape(len(lanes), -1)
    grid = np.concatenate([even, at_mode, at_poles], axis=1)
    return np.sort(np.clip(grid, LOWEST_HZ, most_hz), axis=1)


def _crossings(
    loops: _Loops, grid: Floats, sign: npt.NDArray[np.bool_], of: Callable[[Complex], Floats]
) -> tuple[Lanes, Floats, Complex]:
    """Return where ``of(L)`` changes its sign: lanes, frequencies, and the response there."""
    lanes, places = np.nonzero(sign[:, 1:] != sign[:, :-1])
    below, above = grid[lanes, places], grid[lanes, places + 1]
    rising = sign[lanes, places + 1]
    some = loops.at(lanes)
    for _ in range(_HALVINGS):
        middle = 0.5 * (below + above)
        beyond = (of(_open(some, middle)) > 0.0) == rising
        above, below = np.where(beyond, middle, above), np.where(beyond, below, middle)
    middle = 0.5 * (below + above)
    return lanes, middle, _open(some, middle)


def _excess(response: Complex) -> Floats:
    found: Floats = np.abs(response) - 1.0
    return found


def _imaginary(response: Complex) -> Floats:
    return response.imag


def _phase_margins(loops: _Loops, grid: Floats, response: Complex) -> list[Margins]:
    """Return margins with phase and crossover filled in."""
    lanes, frequency_hz, there = _crossings(loops, grid, np.abs(response) > 1.0, _excess)
    phase = np.remainder(np.degrees(np.angle(there)) + 360.0, 360.0) - 180.0
    worst: dict[int, tuple[float, float]] = {}
    for lane, deg, hz in zip(lanes.tolist(), phase.tolist(), frequency_hz.tolist(), strict=True):
        if abs(deg) < abs(worst.get(lane, (inf, 0.0))[0]):
            worst[lane] = (deg, hz)
    return [
        Margins(
            stable=False,
            phase_margin_deg=worst.get(lane, (inf, 0.0))[0],
            crossover_hz=worst.get(lane, (inf, 0.0))[1],
            gain_margin_db=inf,
            sensitivity_peak=inf,
            pole_radius=inf,
            pole_hz=0.0,
        )
        for lane in range(len(grid))
    ]


def _gain_margins(loops: _Loops, grid: Floats, response: Complex) -> list[float]:
    lanes, _, there = _crossings(loops, grid, response.imag > 0.0, _imaginary)
    behind = there.real < 0.0
    margin_db = -20.0 * np.log10(np.abs(there[behind]))
    least = [inf] * len(grid)
    for lane, db in zip(lanes[behind].tolist(), margin_db.tolist(), strict=True):
        if abs(db) < abs(least[lane]):
            least[lane] = db
    return least


def _peaks(loops: _Loops, grid: Floats, response: Complex) -> Floats:
    """Return the largest sensitivity of each lane, looked at more and more closely."""
    sensitivity = 1.0 / np.abs(1.0 + response)
    most = sensitivity.max(axis=1)
    rows = np.arange(len(grid))
    for _ in range(_ZOOMS):
        best = grid[rows, sensitivity.argmax(axis=1)][:, None]
        # The next other frequencies on both sides: grid points may coincide.
        below = np.where(grid < best, grid, LOWEST_HZ).max(axis=1, keepdims=True)
        above = np.where(grid > best, grid, grid[:, -1:]).min(axis=1, keepdims=True)
        grid = below + (above - below) * np.linspace(0.0, 1.0, _ZOOM_POINTS)
        sensitivity = 1.0 / np.abs(1.0 + _open(loops, grid))
        most = np.maximum(most, sensitivity.max(axis=1))
    found: Floats = most
    return found
