"""
Whether a gimbal's hardware can do what a configuration asks.

The linter runs this before a push, and a device repeats it before it votes (D1): the software's
limits must be inside those of the hardware.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.staging.fleet import GimbalProfile, Stops
from orchestrator.staging.models import AimConfig, Axis
from orchestrator.staging.rules import Found, axes


def check_against_gimbal(config: AimConfig, profile: GimbalProfile) -> list[str]:
    """
    Return every reason why this gimbal can't run ``config``; empty if it can.

    A reason reads ``yaw angle_max_deg 200 > 170 of gimbal 'g30'``.
    """
    return [
        " ".join(str(part) for part in path) + f" {message}"
        for path, message in limits_exceeded(config, profile)
    ]


def limits_exceeded(config: AimConfig, profile: GimbalProfile) -> list[Found]:
    """Return the same findings as pairs of key path and message, for a linter."""
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
