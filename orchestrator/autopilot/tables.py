"""
What the gimbal parameters of each autopilot mean: one table per dialect.

ArduPilot: ``MNT1_*`` (libraries/AP_Mount/AP_Mount_Params.cpp and .h; whole degrees), and the
older ``MNT_*`` of firmware before 4.3 (AP_Mount.cpp; limits in centidegrees). PX4: ``MNT_*``
(src/modules/gimbal/gimbal_params.yaml). Ranges, defaults and the reboot flag are theirs.

``MNT1_TYPE`` and the like choose hardware and have no key. The battery's thresholds are left
alone on purpose: they are the flight's own failsafe, which always wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.autopilot.numbers import ParamType
from orchestrator.autopilot.rows import (
    Bit,
    Choice,
    Pair,
    Param,
    RateOrAngle,
    Row,
    Scaled,
    Shared,
    Symmetric,
)

PITCH: Final = ("pitch.angle_min_deg", "pitch.angle_max_deg")
YAW: Final = ("yaw.angle_min_deg", "yaw.angle_max_deg")
ROLL: Final = ("roll.angle_min_deg", "roll.angle_max_deg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    One dialect. ``autopilot`` is what ``--autopilot`` calls it, ``title`` what people do.

    ``bytewise`` is how whole numbers travel, ``number`` its MAV_AUTOPILOT.
    """

    autopilot: str
    title: str
    number: int
    bytewise: bool
    rows: tuple[Row, ...]

    @property
    def params(self) -> dict[str, Param]:
        """Every parameter that a row writes, by its name."""
        return {param.name: param for row in self.rows for param in row.params}

    @property
    def keys(self) -> frozenset[str]:
        """Every key that a row carries."""
        return frozenset(key for row in self.rows for key in row.keys)

    @property
    def names(self) -> dict[str, str]:
        """From every name, older ones among them, to the present one."""
        older = {p.older: p.name for p in self.params.values() if p.older is not None}
        return {**older, **{name: name for name in self.params}}


def _whole_deg(name: str, default: float, most: float) -> Param:
    return Param(
        name=name, type=ParamType.INT16, default=default, low=-most, high=most, unit="deg"
    )


def _real(name: str, default: float, low: float, high: float, unit: str) -> Param:
    return Param(name=name, type=ParamType.REAL32, default=default, low=low, high=high, unit=unit)


def _enum(name: str, kind: ParamType, default: int, *, reboot: bool = False) -> Param:
    return Param(name=name, type=kind, default=default, reboot=reboot)


_MODES: Final = {
    "retract": 0,
    "neutral": 1,
    "mavlink": 2,
    "rc": 3,
    "gps_point": 4,
    "sysid": 5,
    "home": 6,
}
"""MAV_MOUNT_MODE."""


def _poses(prefix: str, most: float) -> tuple[Row, ...]:
    """Neutral and retracted pose: x is roll, y is pitch, z is yaw, in degrees."""
    axes = (("X", "roll", ROLL), ("Y", "pitch", PITCH), ("Z", "yaw", YAW))
    return tuple(
        Scaled(
            param=_real(f"{prefix}_{pose.upper()}_{letter}", 0, -180, most, "deg"),
            key=f"{pose}.{axis}_deg",
            inside=limits,
        )
        for pose in ("neutral", "retract")
        for letter, axis, limits in axes
    )


def _leads(prefix: str) -> tuple[Row, ...]:
    return (
        Scaled(param=_real(f"{prefix}_LEAD_RLL", 0, 0, 0.2, "s"), key="roll.lead_s"),
        Scaled(param=_real(f"{prefix}_LEAD_PTCH", 0, 0, 0.2, "s"), key="pitch.lead_s"),
    )


ARDUPILOT: Final = Table(
    autopilot="ardupilot",
    title="ArduPilot",
    number=3,
    bytewise=False,
    rows=(
        Scaled(param=_whole_deg("MNT1_ROLL_MIN", -30, 180), key=ROLL[0]),
        Scaled(param=_whole_deg("MNT1_ROLL_MAX", 30, 180), key=ROLL[1]),
        Scaled(param=_whole_deg("MNT1_PITCH_MIN", -90, 90), key=PITCH[0]),
        Scaled(param=_whole_deg("MNT1_PITCH_MAX", 20, 90), key=PITCH[1]),
        Scaled(param=_whole_deg("MNT1_YAW_MIN", -180, 180), key=YAW[0]),
        Scaled(param=_whole_deg("MNT1_YAW_MAX", 180, 180), key=YAW[1]),
        *_poses("MNT1", 180),
        *_leads("MNT1"),
        Choice(
            param=_enum("MNT1_DEFLT_MODE", ParamType.INT8, 3), key="default_mode", words=_MODES
        ),
        RateOrAngle(
            param=Param(
                name="MNT1_RC_RATE",
                type=ParamType.INT16,
                default=0,
                low=0,
                high=90,
                unit="deg/s",
            ),
            mode="manual.mode",
            rate="manual.rate_max_deg_s",
        ),
        Bit(
            param=_enum("MNT1_OPTIONS", ParamType.INT8, 0),
            key="failsafe.link_loss_action",
            mask=2,
            set="neutral",
            clear="hold",
        ),
    ),
)


def _centidegrees(name: str, default: float) -> Param:
    return Param(
        name=name,
        type=ParamType.INT16,
        default=default,
        low=-18000,
        high=17999,
        unit="centidegrees",
    )


ARDUPILOT_OLDER: Final = Table(
    autopilot="ardupilot",
    title="ArduPilot before 4.3",
    number=3,
    bytewise=False,
    rows=(
        *(
            Scaled(param=_centidegrees(f"MNT_ANG{end}_{name}", default), key=key, scale=100)
            for name, keys in (("ROL", ROLL), ("TIL", PITCH), ("PAN", YAW))
            for end, key, default in (("MIN", keys[0], -4500), ("MAX", keys[1], 4500))
        ),
        *_poses("MNT", 179.99),
        *_leads("MNT"),
        Choice(
            param=Param(name="MNT_DEFLT_MODE", type=ParamType.INT8, default=3, older="MNT_MODE"),
            key="default_mode",
            words={
                word: number for word, number in _MODES.items() if number <= _MODES["gps_point"]
            },
        ),
    ),
)

PX4: Final = Table(
    autopilot="px4",
    title="PX4",
    number=12,
    bytewise=True,
    rows=(
        Scaled(param=_real("MNT_MIN_PITCH", -45, -90, 90, "deg"), key=PITCH[0]),
        Scaled(param=_real("MNT_MAX_PITCH", 45, -90, 90, "deg"), key=PITCH[1]),
        Symmetric(param=_real("MNT_RANGE_ROLL", 90, 1, 720, "deg"), low=ROLL[0], high=ROLL[1]),
        Symmetric(param=_real("MNT_RANGE_YAW", 360, 1, 720, "deg"), low=YAW[0], high=YAW[1]),
        Pair(
            param=_enum("MNT_DO_STAB", ParamType.INT32, 0),
            both=("stabilisation.mode", "stabilisation.horizon_lock"),
            words={("fpv", False): 0, ("lock", True): 1, ("lock", False): 2},
        ),
        Scaled(
            param=Param(name="MNT_TAU", type=ParamType.REAL32, default=0.3, low=0, unit="s"),
            key="stabilisation.follow_tau_s",
        ),
        Choice(
            param=_enum("MNT_MODE_IN", ParamType.INT32, -1, reboot=True),
            key="default_mode",
            words={"rc": 1, "mavlink": 4},
            partial=True,
        ),
        Choice(
            param=_enum("MNT_RC_IN_MODE", ParamType.INT32, 1),
            key="manual.mode",
            words={"angle": 0, "rate": 1},
        ),
        Shared(
            each=(
                _real("MNT_RATE_PITCH", 30, 1, 90, "deg/s"),
                _real("MNT_RATE_YAW", 30, 1, 90, "deg/s"),
            ),
            key="manual.rate_max_deg_s",
        ),
        Scaled(
            param=_real("MNT_LND_P_MIN", -90, -90, 90, "deg"),
            key="drone.landed_pitch_min_deg",
            inside=PITCH,
        ),
        Scaled(
            param=_real("MNT_LND_P_MAX", 90, -90, 90, "deg"),
            key="drone.landed_pitch_max_deg",
            inside=PITCH,
        ),
    ),
)

TABLES: Final = (ARDUPILOT, ARDUPILOT_OLDER, PX4)
AUTOPILOTS: Final = tuple(dict.fromkeys(table.autopilot for table in TABLES))
