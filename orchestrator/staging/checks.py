"""
Whether a gimbal can do what a configuration asks: limits of the hardware, and physics.

The linter and the plan run this before a push, and a device repeats it before it votes (D1): the
software's limits must be inside those of the hardware, and the loops must be stable on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from orchestrator.staging.axes import Axis
from orchestrator.staging.fields import Found
from orchestrator.staging.fleet import GimbalProfile, Stops
from orchestrator.staging.models import AimConfig
from orchestrator.staging.physics import loops_unsound
from orchestrator.staging.rules import axes


class Component(StrEnum):
    """Who finds something against a gimbal; the name that a note carries."""

    GIMBAL = "gimbal"
    PHYSICS = "physics"


def check_against_gimbal(config: AimConfig, profile: GimbalProfile) -> list[str]:
    """
    Return every reason why this gimbal can't run ``config``; empty if it can.

    A reason reads ``yaw angle_max_deg 200 > 170 of gimbal 'g30'`` or, of the physics, ``phase
    margin 18° < 30° on yaw at 1.4 × inertia``. Up to 50 ms of CPU where the profile has physics.
    """
    return [
        message if what is Component.PHYSICS else f"{' '.join(map(str, path))} {message}"
        for what, (path, message) in gimbal_problems(config, profile)
    ]


def gimbal_problems(config: AimConfig, profile: GimbalProfile) -> list[tuple[Component, Found]]:
    """Return the same by who found it and by key path, for a linter: limits, then physics."""
    return [
        *((Component.GIMBAL, found) for found in limits_exceeded(config, profile)),
        *((Component.PHYSICS, found) for found in loops_unsound(config, profile)),
    ]


def limits_exceeded(config: AimConfig, profile: GimbalProfile) -> list[Found]:
    """Return where ``config`` asks more than the hardware has, by key path."""
    found = [
        problem
        for name, axis in axes(config)
        if axis.enabled
        for problem in _axis(name, axis, profile)
    ]
    mode = config.stabilisation.mode
    if mode not in profile.modes:
        supported = ", ".join(profile.modes)
        found.append(
            (
                ("stabilisation", "mode"),
                f"{mode} is not supported by gimbal '{profile.name}' ({supported})",
            )
        )
    return found


def outside_reported(
    config: AimConfig, reported: Mapping[str, tuple[float, float]]
) -> tuple[str, ...]:
    """
    Return where the angles of ``config`` leave what the gimbal itself reports, in degrees.

    ``reported`` has the stops of each axis by its name, as MAVLink's GIMBAL_DEVICE_INFORMATION
    tells them. An axis that is not reported is not asked.
    """
    found: list[str] = []
    for name, axis in axes(config):
        low, high = reported.get(name, (-float("inf"), float("inf")))
        if axis.enabled and axis.angle_min_deg < low:
            found.append(f"{name} angle_min_deg {axis.angle_min_deg:g} < {low:.4g} as reported")
        if axis.enabled and axis.angle_max_deg > high:
            found.append(f"{name} angle_max_deg {axis.angle_max_deg:g} > {high:.4g} as reported")
    return tuple(found)


def _axis(name: str, axis: Axis, profile: GimbalProfile) -> Iterator[Found]:
    stops: Stops | None = getattr(profile, name)
    if stops is None:
        yield (name, "enabled"), f"true, but gimbal '{profile.name}' has no such axis"
        return
    whose = f"of gimbal '{profile.name}'"
    if axis.angle_min_deg < stops.min_deg:
        yield (name, "angle_min_deg"), f"{axis.angle_min_deg:g} < {stops.min_deg:g} {whose}"
    if axis.angle_max_deg > stops.max_deg:
        yield (name, "angle_max_deg"), f"{axis.angle_max_deg:g} > {stops.max_deg:g} {whose}"
    for key, asked, most in (
        ("rate_max_deg_s", axis.rate_max_deg_s, profile.rate_max_deg_s),
        ("accel_max_deg_s2", axis.accel_max_deg_s2, profile.accel_max_deg_s2),
        ("torque_max_nm", axis.torque_max_nm, profile.torque_peak_nm),
    ):
        if asked > most:
            yield (name, key), f"{asked:g} > {most:g} {whose}"
