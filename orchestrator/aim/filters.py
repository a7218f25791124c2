"""The filters of the gyro as autopilots run them: biquads of a sampled signal."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, log2, pi, sin, sqrt, tan
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Biquad:
    """``(b0 + b1/z + b2/z²) / (1 + a1/z + a2/z²)``."""

    b0: float
    b1: float
    b2: float
    a1: float
    a2: float


PASS: Final = Biquad(b0=1.0, b1=0.0, b2=0.0, a1=0.0, a2=0.0)
"""Lets everything through: the notch that is off."""


def low_pass(corner_hz: float, sample_rate_hz: float) -> Biquad:
    """
    Return the second-order Butterworth low-pass whose corner, -3 dB, is ``corner_hz``.

    The bilinear transform with the corner pre-warped, as in ArduPilot's LowPassFilter2p (gyro:
    ``INS_GYRO_FILTER``) and PX4's (``IMU_GYRO_CUTOFF``). ``corner_hz`` must be above 0 and below
    half the sample rate.
    """
    warped = tan(pi * corner_hz / sample_rate_hz)
    square = warped * warped
    scale = 1.0 / (1.0 + sqrt(2.0) * warped + square)
    return Biquad(
        b0=square * scale,
        b1=2.0 * square * scale,
        b2=square * scale,
        a1=2.0 * (square - 1.0) * scale,
        a2=(1.0 - sqrt(2.0) * warped + square) * scale,
    )


def notch(
    centre_hz: float, bandwidth_hz: float, attenuation_db: float, sample_rate_hz: float
) -> Biquad:
    """
    Return the notch that takes ``attenuation_db`` out at ``centre_hz``; 0 Hz: :data:`PASS`.

    Bandwidth and attenuation as ArduPilot's NotchFilter takes them (``INS_HNTCH_BW``, ``_ATT``):
    the quality follows from the octaves between the lower edge and its mirror above the centre.
    ``centre_hz`` must be above half the bandwidth and below half the sample rate.
    """
    if centre_hz == 0:
        return PASS
    ratio = 2.0 ** (2.0 * log2(centre_hz / (centre_hz - bandwidth_hz / 2.0)))
    quality = sqrt(ratio) / (ratio - 1.0)
    turn = 2.0 * pi * centre_hz / sample_rate_hz
    width = sin(turn) / (2.0 * quality)
    depth = width * 10.0 ** (-attenuation_db / 20.0)
    scale = 1.0 / (1.0 + width)
    return Biquad(
        b0=(1.0 + depth) * scale,
        b1=-2.0 * cos(turn) * scale,
        b2=(1.0 - depth) * scale,
        a1=-2.0 * cos(turn) * scale,
        a2=(1.0 - width) * scale,
    )
