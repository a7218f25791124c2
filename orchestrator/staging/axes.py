"""
The controller of each axis, and the range of its joint.

Defaults and ranges follow ``MNT1_*`` and ``INS_HNTCH_*`` of ArduPilot and ``MNT_*`` of PX4 where
these have the parameter; :mod:`.models` has the conventions.
"""

from __future__ import annotations

from orchestrator.staging.fields import Strict, choice, number


class Axis(Strict):
    """The controller of one axis: motion profile, angle loop (P), rate loop (PI and D)."""

    enabled: bool = choice(True, what="Whether the axis is driven.")
    angle_min_deg: float
    angle_max_deg: float
    rate_max_deg_s: float = number(
        120,
        1,
        360,
        unit="deg/s",
        what="Fastest slew.",
        source="PX4 MNT_RATE_PITCH, MNT_RATE_YAW (1 to 90 there, by hand)",
    )
    accel_max_deg_s2: float = number(
        600,
        10,
        5000,
        unit="deg/s²",
        what="Acceleration of the motion profile.",
        source="SimpleBGC acc_limiter",
    )
    angle_p: float = number(8, 0.5, 40, unit="1/s", what="Gain of the angle loop.")
    rate_p: float = number(
        0.085,
        0.001,
        2,
        unit="N m s/rad",
        what="Proportional gain of the rate loop.",
        source="3DR Solo gimbal GMB_*_P",
    )
    rate_i: float = number(
        0.7,
        0,
        20,
        unit="N m/rad",
        what="Integral gain of the rate loop.",
        source="3DR Solo gimbal GMB_*_I",
    )
    rate_d: float = number(
        0,
        0,
        0.02,
        unit="N m s²/rad",
        what="Derivative gain of the rate loop.",
        source="3DR Solo gimbal GMB_*_D",
    )
    gyro_lpf_hz: float = number(
        120,
        5,
        400,
        unit="Hz",
        what="Corner of the gyro's low-pass filter.",
        source="Gremsy gyro filter",
    )
    notch_hz: float = number(
        0,
        0,
        400,
        unit="Hz",
        what="Middle of the gyro's notch against the structure's mode; 0 is off, else 10 or more.",
        source="ArduPilot INS_HNTCH_FREQ (10 to 495 there)",
    )
    notch_bandwidth_hz: float = number(
        20,
        2,
        100,
        unit="Hz",
        what="Width of the notch.",
        source="ArduPilot INS_HNTCH_BW (5 to 250 there)",
    )
    notch_attenuation_db: float = number(
        30,
        5,
        60,
        unit="dB",
        what="Depth of the notch.",
        source="ArduPilot INS_HNTCH_ATT (5 to 50 there; above 40 is a hard notch)",
    )
    integrator_max_nm: float = number(
        0.1,
        0,
        0.5,
        unit="N m",
        what="Torque that the integrator may reach (anti-windup).",
        source="3DR Solo gimbal GMB_*_I_MAX",
    )
    torque_max_nm: float = number(
        0.25,
        0.01,
        2,
        unit="N m",
        what="Clamp of the motor's torque.",
        source="3DR Solo gimbal GMB_MAX_TORQUE",
    )
    lead_s: float = number(
        0,
        0,
        0.2,
        unit="s",
        what="Lead against the servo's lag.",
        source="ArduPilot MNT1_LEAD_RLL, MNT1_LEAD_PTCH",
    )


class YawAxis(Axis):
    """Left and right."""

    angle_min_deg: float = number(
        -180,
        -360,
        360,
        unit="deg",
        what="Leftmost yaw.",
        source="ArduPilot MNT1_YAW_MIN, PX4 MNT_RANGE_YAW (up to 720 in all)",
    )
    angle_max_deg: float = number(
        180,
        -360,
        360,
        unit="deg",
        what="Rightmost yaw.",
        source="ArduPilot MNT1_YAW_MAX, PX4 MNT_RANGE_YAW (up to 720 in all)",
    )


class PitchAxis(Axis):
    """Down (negative) and up."""

    angle_min_deg: float = number(
        -90,
        -90,
        90,
        unit="deg",
        what="Lowest pitch.",
        source="ArduPilot MNT1_PITCH_MIN, PX4 MNT_MIN_PITCH",
    )
    angle_max_deg: float = number(
        20,
        -90,
        90,
        unit="deg",
        what="Highest pitch.",
        source="ArduPilot MNT1_PITCH_MAX, PX4 MNT_MAX_PITCH",
    )


class RollAxis(Axis):
    """The horizon's tilt."""

    angle_min_deg: float = number(
        -30,
        -180,
        180,
        unit="deg",
        what="Leftmost roll.",
        source="ArduPilot MNT1_ROLL_MIN, PX4 MNT_RANGE_ROLL",
    )
    angle_max_deg: float = number(
        30,
        -180,
        180,
        unit="deg",
        what="Rightmost roll.",
        source="ArduPilot MNT1_ROLL_MAX, PX4 MNT_RANGE_ROLL",
    )
