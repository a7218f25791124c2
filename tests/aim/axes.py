"""Plants of three sizes, a loop that suits each, and ways to spoil them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from drone_sim.benchmark.vote import LOOP, PLANT
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant

SMALL: Final = PLANT
"""A small inspection camera on a drone."""

ARM: Final = replace(
    SMALL,
    inertia_kg_m2=6e-3,
    viscous_nms_rad=8e-3,
    coulomb_nm=1.5e-2,
    imbalance_nm=2e-2,
    torque_peak_nm=1.2,
    motor_lag_s=3e-3,
    mode_hz=38.0,
    mode_damping=0.04,
    mode_participation=0.1,
)
"""A housed camera at the end of a loading arm."""

MAST: Final = replace(
    SMALL,
    inertia_kg_m2=3.6e-3,
    viscous_nms_rad=5e-3,
    coulomb_nm=8e-3,
    imbalance_nm=2e-3,
    torque_peak_nm=0.6,
    dead_time_samples=1,
    sample_rate_hz=800.0,
    mode_hz=45.0,
)
"""A camera on a mast, under a slower controller."""

GOOD: Final = replace(LOOP, notch_hz=0.0)
"""Suits SMALL."""

GOOD_ARM: Final = replace(
    GOOD,
    angle_p=6.0,
    rate_p=0.3,
    rate_i=2.0,
    integrator_max_nm=0.3,
    torque_max_nm=0.8,
    rate_max_deg_s=45.0,
    accel_max_deg_s2=200.0,
)
GOOD_MAST: Final = replace(GOOD, rate_p=0.22, rate_i=1.5, torque_max_nm=0.6)

SUITED: Final = ((SMALL, GOOD), (ARM, GOOD_ARM), (MAST, GOOD_MAST))


def wild(seed: int, count: int) -> list[tuple[AxisLoop, AxisPlant]]:
    """
    Random configurations: half of them anywhere, half within a factor of 1.6 of a good one.

    Anywhere is: gains over two to three decades, every limit and filter over its whole range.
    """
    chance = np.random.default_rng(seed)
    found = []
    for number in range(count):
        plant, good = SUITED[number % len(SUITED)]
        loop = _near(chance, good) if number % 2 else _anywhere(chance, good)
        found.append((loop, plant))
    return found


def _around(chance: np.random.Generator, value: float, factor: float) -> float:
    return float(value * factor ** chance.uniform(-1.0, 1.0))


def _near(chance: np.random.Generator, good: AxisLoop) -> AxisLoop:
    names = (
        "angle_p",
        "rate_p",
        "rate_i",
        "gyro_lpf_hz",
        "integrator_max_nm",
        "torque_max_nm",
        "rate_max_deg_s",
        "accel_max_deg_s2",
    )
    changed = {name: _around(chance, getattr(good, name), 1.6) for name in names}
    notch_hz = float(chance.choice([0.0, chance.uniform(35.0, 70.0)]))
    rate_d = float(chance.choice([0.0, good.rate_p * chance.uniform(0.0, 2e-3)]))
    return replace(good, **changed, notch_hz=notch_hz, rate_d=rate_d)


def _anywhere(chance: np.random.Generator, good: AxisLoop) -> AxisLoop:
    return AxisLoop(
        angle_p=_around(chance, 6.0, 5.0),
        rate_p=_around(chance, good.rate_p, 8.0),
        rate_i=float(chance.choice([0.0, _around(chance, good.rate_i, 15.0)])),
        rate_d=float(chance.choice([0.0, _around(chance, good.rate_p * 2e-3, 5.0)])),
        gyro_lpf_hz=_around(chance, 90.0, 4.0),
        notch_hz=float(chance.choice([0.0, chance.uniform(20.0, 150.0)])),
        notch_bandwidth_hz=float(chance.uniform(2.0, 35.0)),
        notch_attenuation_db=float(chance.uniform(5.0, 60.0)),
        integrator_max_nm=_around(chance, good.integrator_max_nm, 6.0),
        torque_max_nm=_around(chance, good.torque_max_nm, 6.0),
        rate_max_deg_s=_around(chance, 70.0, 5.0),
        accel_max_deg_s2=_around(chance, 800.0, 8.0),
    )
