"""
The same experiments in plain Python floats: what a verdict is compared with.

One lane after the other, one operation after the other, the same arithmetic: the sampled plant,
friction, filters, loops and clamps as :mod:`orchestrator.aim` describes them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import astuple
from math import asinh, exp, sinh

import numpy as np

from orchestrator.aim.filters import low_pass, notch
from orchestrator.aim.plant import FRICTION_RATE_RAD_S
from orchestrator.aim.sampled import Floats, Lane, held

_FAR = 300.0


def run(lane: Lane, inputs: Floats) -> list[float]:
    """Return the angle in rad after each sample; ``inputs`` is one lane of ``Rig.run``'s."""
    loop, plant, step_s = lane.loop, lane.plant, lane.plant.step_s
    rows = held([lane])[0].tolist()
    (_, a01, _, _, a04, b0, c0), (_, a11, _, _, a14, b1, c1), *rest = rows
    (_, _, a22, a23, a24, b2, _), (_, _, a32, a33, a34, b3, _), (_, _, _, _, a44, b4, _) = rest[:3]
    lb0, lb1, lb2, la1, la2 = astuple(low_pass(loop.gyro_lpf_hz, plant.sample_rate_hz))
    of_notch = (loop.notch_hz, loop.notch_bandwidth_hz, loop.notch_attenuation_db)
    nb0, nb1, nb2, na1, na2 = astuple(notch(*of_notch, plant.sample_rate_hz))
    share = plant.coulomb_nm * step_s / (lane.inertia_kg_m2 * FRICTION_RATE_RAD_S)
    decay, most = exp(-share), loop.integrator_max_nm
    limit = min(loop.torque_max_nm, plant.torque_peak_nm)
    angle_p, rate_p, rate_d = loop.angle_p, loop.rate_p, loop.rate_d / step_s
    rate_i = loop.rate_i * step_s
    angle = rate = bend = bend_rate = torque = rubbed = integral = before = 0.0
    l1 = l2 = n1 = n2 = 0.0
    told = deque([0.0] * plant.dead_time_samples)
    angles = []
    for reference, reference_rate, load, base in inputs.tolist():
        seen = rate - 0.5 * rubbed + bend_rate
        low = lb0 * seen + l1
        l1, l2 = lb1 * seen - la1 * low + l2, lb2 * seen - la2 * low
        gyro = nb0 * low + n1
        n1, n2 = nb1 * low - na1 * gyro + n2, nb2 * low - na2 * gyro
        error = angle_p * (reference - angle) + reference_rate - gyro
        integral = min(max(integral + rate_i * error, -most), most)
        demand = rate_p * error + integral - rate_d * (gyro - before)
        before = gyro
        told.append(min(max(demand, -limit), limit))
        u = told.popleft()
        angle += a01 * rate + a04 * torque + b0 * u + c0 * load
        rate = a11 * rate + a14 * torque + b1 * u + c1 * load
        bend, bend_rate = (
            a22 * bend + a23 * bend_rate + a24 * torque + b2 * u,
            a32 * bend + a33 * bend_rate + a34 * torque + b3 * u,
        )
        torque = a44 * torque + b4 * u
        slip = min(max((rate - base) / FRICTION_RATE_RAD_S, -_FAR), _FAR)
        rubbed = (asinh(sinh(slip) * decay) - slip) * FRICTION_RATE_RAD_S
        rate += rubbed
        angles.append(angle)
    return angles


def products(matrix: Floats, samples: int) -> None:
    """Multiply as often as a simulation of so many samples must, and do nothing else."""
    given = np.ones((*matrix.shape[:1], matrix.shape[2], 1))
    made = np.empty((*matrix.shape[:2], 1))
    for _ in range(samples):
        np.matmul(matrix, given, out=made)
