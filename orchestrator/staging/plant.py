"""
The physics of a gimbal's axes, as a fleet file gives them: what the judge of stability needs.

The numbers come from the maker or from a measurement: a frequency sweep gives mode, damping and
dead time; slow turns both ways give friction and imbalance. ``orchestrator.aim.plant`` has the
equations that they stand in.
"""

from __future__ import annotations

from typing import Any, Final

from orchestrator.aim.plant import RANGES
from orchestrator.staging.fields import Found, Strict, number

MAKER: Final = "the maker's data sheet"
SWEEP: Final = "a frequency sweep"
TURN: Final = "slow turns both ways"

AXES: Final = ("yaw", "pitch", "roll")


def _measured(name: str, *, unit: str, what: str, source: str) -> Any:
    """Declare a number of the plant; its range is that in which the physics is sure."""
    least, most = RANGES[name]
    return number(None, least, most, unit=unit, what=what, source=source)


class AxisPlantTable(Strict):
    """One axis: a body on a motor, a structure that sways, and the delays of its controller."""

    inertia_kg_m2: float | None = _measured(
        "inertia_kg_m2",
        unit="kg m²",
        what="Moment of inertia about the joint, with the camera that it usually carries.",
        source=MAKER,
    )
    viscous_nms_rad: float | None = _measured(
        "viscous_nms_rad",
        unit="N m s/rad",
        what="Friction that grows with the rate.",
        source=TURN,
    )
    coulomb_nm: float | None = _measured(
        "coulomb_nm", unit="N m", what="Friction that is the same at every rate.", source=TURN
    )
    imbalance_nm: float | None = _measured(
        "imbalance_nm",
        unit="N m",
        what="Torque by which gravity turns an axis that is not balanced.",
        source=TURN,
    )
    torque_peak_nm: float | None = _measured(
        "torque_peak_nm",
        unit="N m",
        what="Peak torque of this axis' motor; that of the gimbal unless given.",
        source=MAKER,
    )
    motor_lag_s: float | None = _measured(
        "motor_lag_s", unit="s", what="Time constant of the motor's torque.", source=MAKER
    )
    dead_time_samples: int | None = _measured(
        "dead_time_samples",
        unit="samples",
        what="From the gyro's sample to the torque.",
        source=SWEEP,
    )
    sample_rate_hz: float | None = _measured(
        "sample_rate_hz", unit="Hz", what="Rate of the controller's loop.", source=MAKER
    )
    mode_hz: float | None = _measured(
        "mode_hz", unit="Hz", what="First mode of the structure.", source=SWEEP
    )
    mode_damping: float | None = _measured(
        "mode_damping", unit="1", what="Damping ratio of that mode.", source=SWEEP
    )
    mode_participation: float | None = _measured(
        "mode_participation",
        unit="1",
        what="Share of that mode in what the gyro measures; 0 is a stiff structure.",
        source=SWEEP,
    )


class PlantTable(AxisPlantTable):
    """
    The axes of one gimbal: numbers for all of them, and under an axis' name those that differ.

    Every axis of the gimbal must end up with all numbers.
    """

    yaw: AxisPlantTable = AxisPlantTable()
    pitch: AxisPlantTable = AxisPlantTable()
    roll: AxisPlantTable = AxisPlantTable()

    def of_axis(self, axis: str) -> dict[str, float]:
        """Return the numbers of one axis by their names; those that nothing gives are missing."""
        own: AxisPlantTable = getattr(self, axis)
        common = self.model_dump(exclude_none=True, exclude=set(AXES))
        return {**common, **own.model_dump(exclude_none=True)}


REQUIRED: Final = tuple(name for name in AxisPlantTable.model_fields if name != "torque_peak_nm")


def plant_problems(plant: PlantTable, axes: tuple[str, ...]) -> list[Found]:
    """Return what is missing or can't be, by key path in the plant, for the axes that exist."""
    found: list[Found] = []
    for axis in AXES:
        own = getattr(plant, axis).model_fields_set
        if axis not in axes:
            found += [((axis,), "the gimbal has no such axis")] if own else []
            continue
        values = plant.of_axis(axis)
        missing = [name for name in REQUIRED if name not in values]
        if missing:
            found.append(((), f"{', '.join(missing)} missing for {axis}"))
        elif values["mode_participation"] and values["mode_hz"] >= values["sample_rate_hz"] / 2:
            key = (axis, "mode_hz") if "mode_hz" in own else ("mode_hz",)
            rate = values["sample_rate_hz"]
            found.append((key, f"{values['mode_hz']:g} is not below half of {rate:g} Hz"))
    return list(dict.fromkeys(found))
