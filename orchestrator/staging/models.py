"""
What one device is configured with: the pointing controller of its camera or sensor gimbal.

Units stand last in the names. Angles are those of the gimbal's joints in degrees, as ArduPilot
and PX4 use them: pitch negative looks down, yaw positive turns right. Defaults and ranges
follow ``MNT1_*`` of ArduPilot (AP_Mount_Params.cpp) and ``MNT_*`` of PX4 (gimbal_params.yaml)
where these have the parameter. The axes are in ``axes``, what only one kind of device has in
``kinds``; rules between fields are in ``rules``; limits of the hardware in ``checks``; how a
configuration of an older schema becomes one of this in ``migrations``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, create_model, model_validator

from orchestrator.staging import rules
from orchestrator.staging.axes import PitchAxis, RollAxis, YawAxis
from orchestrator.staging.fields import OURS, RestAction, Strict, choice, number, refuse_found
from orchestrator.staging.kinds import KINDS, REGISTRY

SCHEMA_VERSION: Final = 2
KEEP_OUT_MAX: Final = 16
REASON_CHARS_MAX: Final = 120

if TYPE_CHECKING:
    Kind = str
else:
    Kind = Literal[KINDS]
    """The name of a kind that the registry has."""

Mode = Literal["lock", "follow", "fpv"]
SearchAction = Literal["hold", "neutral", "search"]
DefaultMode = Literal["retract", "neutral", "mavlink", "rc", "gps_point", "sysid", "home"]


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
    acquire_confidence: float = number(
        0.7, 0, 1, unit="1", what="Match from which a feature is locked on."
    )
    hold_confidence: float = number(
        0.6, 0, 1, unit="1", what="Match below which the lock goes on by prediction alone."
    )
    lose_confidence: float = number(
        0.4, 0, 1, unit="1", what="Match below which the lock is lost at once."
    )
    prediction_horizon_s: float = number(
        1, 0, 5, unit="s", what="Time to go on by prediction before the lock is lost."
    )
    reacquire_timeout_s: float = number(
        5, 0, 30, unit="s", what="Time to look for a lost feature."
    )
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


class AimFields(Strict):
    """What devices of every kind are configured with."""

    schema_version: int = Field(
        alias="schema",
        ge=SCHEMA_VERSION,
        le=SCHEMA_VERSION,
        description="Version of this format. Unit: none."
        f" Range: {SCHEMA_VERSION}. Source: {OURS}.",
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

    @property
    def kind(self) -> Kind:
        """The kind of device that this configuration is for."""
        return rules.kinds_of(self)[0]

    @property
    def own(self) -> Strict:
        """The section that only devices of this kind have."""
        section: Strict = getattr(self, self.kind)
        return section

    @model_validator(mode="after")
    def _obeys_the_rules(self) -> Self:
        found = rules.problems(self)
        if found:
            refuse_found(found)
        return self


def _with_sections(base: type[AimFields]) -> type[AimFields]:
    """Add the section of every kind in the registry, by the kind's name."""
    taken = sorted(set(KINDS) & set(base.model_fields))
    if taken:
        raise TypeError(f"no kind may be called {taken[0]}: a section of all kinds is")
    sections: dict[str, Any] = {
        name: (kind.section | None, None) for name, kind in REGISTRY.items()
    }
    *some, last = KINDS
    return create_model(
        "AimConfig",
        __base__=base,
        __module__=__name__,
        __doc__="The effective configuration of one device, with every default made explicit.\n\n"
        f"Exactly one of {', '.join(some)} and {last} is present and says the kind of the device.",
        **sections,
    )


if TYPE_CHECKING:

    class AimConfig(AimFields):
        """The effective configuration of one device, with every default made explicit."""

else:
    AimConfig = _with_sections(AimFields)
