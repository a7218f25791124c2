"""
Lanes that run in lockstep, sample by sample, with everything that is not linear.

Each sample is the exact linear one of :mod:`.sampled`, then Coulomb friction for as long as the
sample lasts, then the clamps. Friction alone has a solution, ``sinh(slip)`` dies away as
``exp(-coulomb · t / (inertia · 0.02))``, which is used: no step is too long for it, however light
the camera is. That linear and frictional motion take turns, instead of going on at once, is the
one approximation (operator splitting, whose error falls with the step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from orchestrator.aim import sampled
from orchestrator.aim.plant import FRICTION_RATE_RAD_S
from orchestrator.aim.sampled import (
    ANGLE,
    BASE_RATE,
    COLUMNS,
    COMMAND,
    DEMAND,
    INTEGRAL,
    RATE,
    REFERENCE,
    ROWS,
    RUBBED,
    SLIP,
    TORQUE,
    Floats,
    Lane,
)

INPUTS: Final = BASE_RATE - REFERENCE + 1
"""What :meth:`Rig.run` is given per sample and lane: rad, rad/s, N m, rad/s."""

_FRICTION_RATE: Final = np.float64(FRICTION_RATE_RAD_S)
_FAR: Final = 300.0
"""Slip beyond which friction is its full torque to the last bit, and sinh still a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """
    What was seen, shape (samples, lanes): the state after each sample, in rad, rad/s and N m.

    ``command_nm`` is what the motor was told during the sample, ``torque_nm`` what it gave.
    """

    angle: Floats
    rate: Floats
    torque_nm: Floats
    command_nm: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clamps:
    """The limits of each lane, and how much friction takes of a slip in one sample."""

    integral: Floats
    torque: Floats
    decay: Floats


class Rig:
    """
    Simulates ``lanes`` from rest at angle 0. Lanes may differ in everything, their step included.

    ``nonsense(lane.loop, lane.plant)`` must be empty for each. :meth:`run` goes on where the last
    call stopped. ``matrix`` is what :func:`.sampled.updates` returns, where it is at hand.
    """

    def __init__(self, lanes: Sequence[Lane], matrix: Floats | None = None) -> None:
        held = matrix if matrix is not None else sampled.updates(lanes, sampled.held(lanes))
        self._matrix = np.ascontiguousarray(held)
        self._clamps = _clamps(lanes)
        samples = [lane.plant.dead_time_samples for lane in lanes]
        self._dead_time = max(samples)
        self._groups = _groups(samples)
        self._last = np.zeros((len(lanes), COLUMNS))
        self._told = np.zeros((self._dead_time, len(lanes)))

    def run(self, inputs: Floats) -> Trace:
        """
        Run one sample per row of ``inputs``, shape (samples, lanes, INPUTS).

        An input has, in this order: reference (rad), reference rate (rad/s), load (N m: what
        pulls from outside, plus viscous friction times the base's rate), and the base's rate at
        the end of the sample (rad/s).
        """
        samples = len(inputs)
        vectors = np.zeros((samples + 1 + self._dead_time, len(self._last), COLUMNS))
        vectors[0] = self._last
        vectors[: self._dead_time, :, COMMAND] = self._told
        vectors[:samples, :, REFERENCE:] = inputs
        self._advance(vectors, samples)
        self._last = vectors[samples].copy()
        self._told = vectors[samples : samples + self._dead_time, :, COMMAND].copy()
        seen = vectors[1 : samples + 1]
        return Trace(
            angle=seen[:, :, ANGLE],
            rate=seen[:, :, RATE] - 0.5 * seen[:, :, RUBBED],
            torque_nm=seen[:, :, TORQUE],
            command_nm=vectors[:samples, :, COMMAND],
        )

    def _advance(self, vectors: Floats, samples: int) -> None:
        """Fill ``vectors`` from the second on. Nothing is allocated per sample: this is hot."""
        matrix, clamps, groups = self._matrix, self._clamps, self._groups
        whole, made = list(vectors[:, :, :, None]), list(vectors[:, :, :ROWS, None])
        slips, rates = list(vectors[:, :, SLIP]), list(vectors[:, :, RATE])
        demands, integrals = list(vectors[:, :, DEMAND]), list(vectors[:, :, INTEGRAL])
        told = list(vectors[:, :, COMMAND])
        slip, rubbed = np.empty(len(self._last)), np.empty(len(self._last))
        far, high, top = np.full(len(slip), _FAR), clamps.integral, clamps.torque
        near, low, bottom = -far, -high, -top
        for now in range(samples):
            after = now + 1
            np.matmul(matrix, whole[now], out=made[after])
            np.minimum(slips[after], far, out=slip)
            np.maximum(slip, near, out=slip)
            np.sinh(slip, out=rubbed)
            np.multiply(rubbed, clamps.decay, out=rubbed)
            np.arcsinh(rubbed, out=rubbed)
            np.subtract(rubbed, slip, out=rubbed)
            np.multiply(rubbed, _FRICTION_RATE, out=slips[after])  # now it is RUBBED
            np.add(rates[after], slips[after], out=rates[after])
            integral = integrals[after]
            np.minimum(integral, high, out=integral)
            np.maximum(integral, low, out=integral)
            np.add(demands[after], integral, out=slip)
            np.minimum(slip, top, out=slip)
            for samples_late, whose in groups:
                np.maximum(slip, bottom, out=told[now + samples_late], where=whose)


def _clamps(lanes: Sequence[Lane]) -> _Clamps:
    torque = [min(lane.loop.torque_max_nm, lane.plant.torque_peak_nm) for lane in lanes]
    share = [
        lane.plant.coulomb_nm * lane.plant.step_s / (lane.inertia_kg_m2 * FRICTION_RATE_RAD_S)
        for lane in lanes
    ]
    return _Clamps(
        integral=np.array([lane.loop.integrator_max_nm for lane in lanes]),
        torque=np.array(torque),
        decay=np.exp(-np.minimum(share, _FAR)),
    )


def _groups(samples: Sequence[int]) -> list[tuple[int, npt.NDArray[np.bool_] | bool]]:
    """Return each dead time with the lanes that have it; all of them is plain true."""
    times = sorted(set(samples))
    if len(times) == 1:
        return [(times[0], True)]
    return [(time, np.array(samples) == time) for time in times]
