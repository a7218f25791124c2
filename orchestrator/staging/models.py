"""
What one device is configured with: the pointing controller of its camera or sensor gimbal.

Units stand last in the names. Angles are those of the gimbal's joints in degrees, as ArduPilot
and PX4 use them: pitch negative looks down, yaw positive turns right. Defaults and ranges
follow ``MNT1_*`` of ArduPilot (AP_Mount_Params.cpp) and ``MNT_*`` of PX4 (gimbal_params.yaml)
where these have the parameter. Rules between fields are in ``rules``; limits of the hardware
in ``checks``.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.staging import rules
from orchestrator.staging.fields import OURS, Strict, choice, number

SCHEMA_VERSION: Final = 1
KEEP_OUT_MAX: Final = 16
REASON_CHARS_MAX: Final = 120

Kind = Literal["drone", "arm", "node"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

Mode = Literal["lock", "follow", "fpv"]
RestAction = Literal["hold", "neutral", "retract"]
SearchAction = Literal["hold", "neutral", "search"]
DefaultMode = Literal["retract", "neutral", "mavlink", "rc", "gps_point", "sysid", "home"]


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


class Stabilisation(Strict):
    """How the gimbal follows the body that carries it."""

    mode: Mode = choice(
        "lock",
        what="Lock keeps the heading, follow turns with the body, fpv takes all of it.",
        source="PX4 MNT_DO_STAB, MAVLink GIMBAL_DEVICE_FLAGS",
    )
    follow_tau_s: float = number(
        0.3, 0.05, 5, unit="s", what="Time constant of follow.", source="PX4 MNT_TAU"
    )
    deadband_deg: float = number(1, 0, 10, unit="deg", what="Turn that follow ignores.")
    horizon_lock: bool = choice(
        True, what="Keep the horizon level.", source="PX4 MNT_DO_STAB, MAVLink ROLL_LOCK"
    )


class Pose(Strict):
    """A direction of the gimbal at rest: neutral, or retracted for transport."""

    yaw_deg: float = number(
        0, -180, 180, unit="deg", what="Yaw.", source="ArduPilot MNT1_NEUTRAL_Z, MNT1_RETRACT_Z"
    )
    pitch_deg: float = number(
        0,
        -180,
        180,
        unit="deg",
        what="Pitch.",
        source="ArduPilot MNT1_NEUTRAL_Y, MNT1_RETRACT_Y",
    )
    roll_deg: float = number(
        0, -180, 180, unit="deg", what="Roll.", source="ArduPilot MNT1_NEUTRAL_X, MNT1_RETRACT_X"
    )


class KeepOut(Strict):
    """A sector that the gimbal must not point at: own legs, propellers, a neighbour's windows."""

    yaw_min_deg: float = number(..., -360, 360, unit="deg", what="Left edge.")
    yaw_max_deg: float = number(..., -360, 360, unit="deg", what="Right edge.")
    pitch_min_deg: float = number(..., -90, 90, unit="deg", what="Lower edge.")
    pitch_max_deg: float = number(..., -90, 90, unit="deg", what="Upper edge.")
    reason: str = Field(
        min_length=1,
        max_length=REASON_CHARS_MAX,
        description=f"What is there. Unit: none. Source: {OURS}.",
    )


class Manual(Strict):
    """Pointing by hand, from a transmitter or a joystick."""

    mode: Literal["angle", "rate"] = choice(
        "rate", what="What a stick sets.", source="PX4 MNT_RC_IN_MODE, ArduPilot MNT1_RC_RATE"
    )
    rate_max_deg_s: float = number(
        30,
        1,
        90,
        unit="deg/s",
        what="Slew at full stick.",
        source="ArduPilot MNT1_RC_RATE, PX4 MNT_RATE_PITCH, MNT_RATE_YAW",
    )
    expo: float = number(0.2, 0, 1, unit="1", what="Softening around the stick's middle.")
    lpf_hz: float = number(
        5, 0.5, 50, unit="Hz", what="Low-pass filter of the stick.", source="SimpleBGC rc_lpf"
    )


class Tracking(Strict):
    """Target lock: keep an inspected feature in the middle of the picture."""

    enabled: bool = choice(False, what="Whether a feature may be locked on.")
    roi_px: int = number(64, 16, 512, unit="px", what="Edge of the region that is matched.")
    gate_px: int = number(40, 8, 200, unit="px", what="Farthest jump between two pictures.")
    confidence_min: float = number(0.6, 0, 1, unit="1", what="Match below which it is lost.")
    coast_s: float = number(1, 0, 5, unit="s", what="Time to go on by prediction when lost.")
    reacquire_s: float = number(5, 0, 30, unit="s", what="Time to look for it again.")
    rate_max_deg_s: float = number(60, 1, 360, unit="deg/s", what="Fastest slew while tracking.")
    on_lost: SearchAction = choice("hold", what="What follows when it stays lost.")


class Failsafe(Strict):
    """What the gimbal does when something is wrong. Flying has its own failsafes, which win."""

    link_loss_s: float = number(5, 1, 60, unit="s", what="Silence that counts as a lost link.")
    link_loss_action: RestAction = choice(
        "neutral", what="Pose after a lost link.", source="ArduPilot MNT1_OPTIONS bit 1"
    )
    overtemp_c: float = number(80, 50, 100, unit="°C", what="Motor temperature to stop at.")
    imu_fault_action: RestAction = choice("hold", what="Pose when the gimbal's IMU fails.")


class Apply(Strict):
    """How a new configuration takes effect."""

    allow_in_flight: bool = choice(
        True, what="Whether it may activate while the vehicle moves, in a safe phase."
    )
    pointing_jump_max_deg: float = number(
        5, 0, 30, unit="deg", what="Farthest jump of the aim at activation."
    )
    blend_s: float = number(0.5, 0, 5, unit="s", what="Time to blend from old to new.")


class Drone(Strict):
    """What only a drone has."""

    landed_pitch_min_deg: float = number(
        -90, -90, 90, unit="deg", what="Lowest pitch while landed.", source="PX4 MNT_LND_P_MIN"
    )
    landed_pitch_max_deg: float = number(
        20, -90, 90, unit="deg", what="Highest pitch while landed.", source="PX4 MNT_LND_P_MAX"
    )
    low_battery_pct: float = number(
        20, 5, 50, unit="%", what="Charge below which the gimbal rests.", source="PX4 BAT_LOW_THR"
    )
    low_battery_action: RestAction = choice("retract", what="Pose at low battery.")


class Arm(Strict):
    """What only a loading arm has."""

    load_rate_max_deg_s: float = number(
        10, 0.5, 90, unit="deg/s", what="Fastest slew of the aim while a load hangs."
    )
    pause_ramp_s: float = number(
        1, 0.1, 10, unit="s", what="Time in which a hold brings the arm to rest."
    )


class Node(Strict):
    """What only a cluster node with a mast camera or sensor gimbal has."""

    frame_rate_hz: float = number(30, 1, 120, unit="Hz", what="Pictures analysed per second.")
    hold_throttle_pct: float = number(
        25, 1, 100, unit="%", what="Share of its work that a node goes on with while it holds."
    )


class AimConfig(Strict):
    """
    The effective configuration of one device, with every default made explicit.

    Exactly one of ``drone``, ``arm`` and ``node`` is present and says the kind of the device.
    """

    schema_version: int = Field(
        alias="schema",
        ge=SCHEMA_VERSION,
        le=SCHEMA_VERSION,
        description="Version of this format. Unit: none. Range: 1. Source: this project.",
    )
    yaw: YawAxis
    pitch: PitchAxis
    roll: RollAxis
    stabilisation: Stabilisation = Stabilisation()
    default_mode: DefaultMode = choice(
        "neutral", what="Mode after power-up.", source="ArduPilot MNT1_DEFLT_MODE"
    )
    neutral: Pose = Pose()
    retract: Pose = Pose()
    manual: Manual = Manual()
    keep_out: Annotated[tuple[KeepOut, ...], Field(strict=False, max_length=KEEP_OUT_MAX)] = ()
    tracking: Tracking = Tracking()
    failsafe: Failsafe = Failsafe()
    apply: Apply = Apply()
    drone: Drone | None = None
    arm: Arm | None = None
    node: Node | None = None

    @property
    def kind(self) -> Kind:
        """The kind of device that this configuration is for."""
        return rules.kinds_of(self)[0]

    @model_validator(mode="after")
    def _obeys_the_rules(self) -> Self:
        found = rules.problems(self)
        if found:
            text = "; ".join(message for _, message in found)
            raise PydanticCustomError(rules.ERROR_TYPE, "{text}", {"text": text, "found": found})
        return self
