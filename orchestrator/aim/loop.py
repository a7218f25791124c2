"""How it is pointed: the control law of one axis, and what no control law may say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import Final

from orchestrator.aim.plant import AxisPlant

NUMBER_MAX: Final = 1e6
"""No gain or limit of a gimbal is larger; beyond it, arithmetic is no longer sure."""

_ABOVE_ZERO: Final = (
    "angle_p",
    "rate_p",
    "gyro_lpf_hz",
    "torque_max_nm",
    "rate_max_deg_s",
    "accel_max_deg_s2",
)
_NOT_BELOW_ZERO: Final = ("rate_i", "rate_d", "integrator_max_nm", "notch_hz")
_NOTCH: Final = ("notch_bandwidth_hz", "notch_attenuation_db")


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisLoop:
    """
    The control law of one axis, run once a sample; angles in rad.

    As a formula::

        error    = angle_p · (reference - angle) + reference_rate - gyro
        integral = clamp(integral + rate_i · error · step, integrator_max)
        command  = clamp(rate_p · error + integral - rate_d · gyro', torque_max)

    ``gyro`` has passed the low-pass filter and the notch; ``reference`` follows a trapezoidal
    profile of ``rate_max_deg_s`` and ``accel_max_deg_s2``. Gains: ``angle_p`` 1/s, ``rate_p``
    N m s/rad, ``rate_i`` N m/rad, ``rate_d`` N m s²/rad. ``notch_hz`` 0 switches the notch off;
    ``notch_bandwidth_hz`` and ``notch_attenuation_db`` mean what ``INS_HNTCH_BW`` and ``_ATT`` of
    ArduPilot mean. Any number may stand here: :func:`nonsense` says what no gimbal can run.
    """

    angle_p: float
    rate_p: float
    rate_i: float
    rate_d: float
    gyro_lpf_hz: float
    notch_hz: float
    notch_bandwidth_hz: float
    notch_attenuation_db: float
    integrator_max_nm: float
    torque_max_nm: float
    rate_max_deg_s: float
    accel_max_deg_s2: float


def nonsense(loop: AxisLoop, plant: AxisPlant) -> tuple[str, ...]:
    """Return what makes ``loop`` impossible to run at all; the physics needs it to be empty."""
    wild = [
        f"{field.name} {value:g} is no sensible number"
        for field in fields(loop)
        if not isfinite(value := getattr(loop, field.name)) or abs(value) > NUMBER_MAX
    ]
    return tuple(wild) or (*_signs(loop), *_filters(loop, plant))


def _signs(loop: AxisLoop) -> list[str]:
    above = (*_ABOVE_ZERO, *(_NOTCH if loop.notch_hz else ()))
    found = [f"{name} {value:g} ≤ 0" for name in above if (value := getattr(loop, name)) <= 0]
    return found + [
        f"{name} {value:g} < 0" for name in _NOT_BELOW_ZERO if (value := getattr(loop, name)) < 0
    ]


def _filters(loop: AxisLoop, plant: AxisPlant) -> list[str]:
    """
    Find filters that can't be made at this sample rate.

    ArduPilot leaves a notch off without a word where its centre is not between half its
    bandwidth and half the sample rate (libraries/Filter/NotchFilter.cpp); here it is refused.
    """
    half_hz = plant.sample_rate_hz / 2
    found = [
        f"{name} {value:g} Hz ≥ {half_hz:g} Hz, half the sample rate"
        for name in ("gyro_lpf_hz", "notch_hz")
        if (value := getattr(loop, name)) >= half_hz
    ]
    if loop.notch_hz > 0 and loop.notch_bandwidth_hz / 2 >= loop.notch_hz:
        found.append(
            f"notch_bandwidth_hz {loop.notch_bandwidth_hz:g} Hz reaches below 0 Hz from"
            f" {loop.notch_hz:g} Hz"
        )
    return found
