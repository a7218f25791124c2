"""
Whether the loops of a configuration are stable on a gimbal: from models to the judge's values.

The linter, the plan, ``drone-sim check`` and every device before it votes ask here, through
``checks``; the verdict itself is :mod:`orchestrator.aim`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from orchestrator.aim.criteria import Criterion, Finding
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from orchestrator.staging.axes import Axis
from orchestrator.staging.fields import Found
from orchestrator.staging.fleet import GimbalProfile
from orchestrator.staging.models import AimFields
from orchestrator.staging.rules import axes

_LOOP: Final = tuple(field.name for field in fields(AxisLoop))


def loop_of(axis: Axis) -> AxisLoop:
    """Return the control law of one axis of a configuration."""
    return AxisLoop(**{name: getattr(axis, name) for name in _LOOP})


def plant_of(profile: GimbalProfile, axis: str) -> AxisPlant | None:
    """Return the hardware of one axis; ``None`` where the profile does not have its physics."""
    if profile.plant is None or axis not in profile.axes:
        return None
    values = {"torque_peak_nm": profile.torque_peak_nm, **profile.plant.of_axis(axis)}
    return AxisPlant(**values)  # type: ignore[arg-type] # the fleet's rules check each number


def judged_axes(
    config: AimFields, profile: GimbalProfile
) -> dict[str, tuple[AxisLoop, AxisPlant]]:
    """Return what there is to judge: the axes that are driven and whose physics is known."""
    found: dict[str, tuple[AxisLoop, AxisPlant]] = {}
    for name, axis in axes(config):
        plant = plant_of(profile, name)
        if axis.enabled and plant is not None:
            found[name] = (loop_of(axis), plant)
    return found


def loops_unsound(config: AimFields, profile: GimbalProfile) -> list[Found]:
    """Return every reason why the loops would not fly on this gimbal; empty without physics."""
    asked = judged_axes(config, profile)
    if not asked:
        return []
    from orchestrator.aim.judge import judge  # noqa: PLC0415 - loads numpy: few need it

    return [(_key(finding), str(finding)) for finding in judge(asked)]


def _key(finding: Finding) -> tuple[str, ...]:
    """Return the key to blame, where the reason is about one, or the axis."""
    if finding.criterion is Criterion.TORQUE:
        return finding.axis, "accel_max_deg_s2"
    first = finding.said.partition(" ")[0]
    if finding.criterion is Criterion.NONSENSE and first in _LOOP:
        return finding.axis, first
    return (finding.axis,)
