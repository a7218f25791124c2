"""The limits of a gimbal's hardware."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.staging.checks import check_against_gimbal
from orchestrator.staging.fleet import GimbalProfile
from orchestrator.staging.models import AimConfig

PROFILE: dict[str, Any] = {
    "name": "g30",
    "yaw": {"min_deg": -170, "max_deg": 170},
    "pitch": {"min_deg": -100, "max_deg": 30},
    "rate_max_deg_s": 100,
    "accel_max_deg_s2": 500,
    "torque_peak_nm": 0.2,
    "modes": ["lock", "follow"],
}
AXIS = {"rate_max_deg_s": 100, "accel_max_deg_s2": 500, "torque_max_nm": 0.2}
YAW = {**AXIS, "angle_min_deg": -170, "angle_max_deg": 170}


def reasons(**changes: Any) -> list[str]:
    """What the two-axis gimbal says to a configuration at its very limits, with changes."""
    values = {
        "schema": 1,
        "yaw": YAW,
        "pitch": AXIS,
        "roll": {"enabled": False},
        "stabilisation": {"horizon_lock": False},
        "drone": {},
        **changes,
    }
    profile = GimbalProfile.model_validate(PROFILE)
    return check_against_gimbal(AimConfig.model_validate(values), profile)


def test_a_configuration_at_the_limits_is_accepted() -> None:
    """The limits themselves are allowed, and an axis that is off needs no hardware."""
    assert [] == reasons()


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        (
            "yaw angle_max_deg 200 > 170 of gimbal 'g30'",
            {"yaw": {**YAW, "angle_max_deg": 200}},
        ),
        (
            "yaw angle_min_deg -171 < -170 of gimbal 'g30'",
            {"yaw": {**YAW, "angle_min_deg": -171}},
        ),
        (
            "yaw rate_max_deg_s 101 > 100 of gimbal 'g30'",
            {"yaw": {**YAW, "rate_max_deg_s": 101}},
        ),
        (
            "pitch accel_max_deg_s2 600 > 500 of gimbal 'g30'",
            {"pitch": {**AXIS, "accel_max_deg_s2": 600}},
        ),
        (
            "pitch torque_max_nm 0.25 > 0.2 of gimbal 'g30'",
            {"pitch": {**AXIS, "torque_max_nm": 0.25}},
        ),
        (
            "roll enabled true, but gimbal 'g30' has no such axis",
            {"roll": {"angle_min_deg": -30}},
        ),
        (
            "stabilisation mode fpv is not supported by gimbal 'g30' (lock, follow)",
            {"stabilisation": {"mode": "fpv", "horizon_lock": False}},
        ),
    ],
)
def test_what_exceeds_the_hardware_is_a_reason(expected: str, changes: dict[str, Any]) -> None:
    """Each limit of the hardware is held, and the reason has both numbers and the gimbal."""
    assert [expected] == reasons(**changes)


def test_every_reason_is_told() -> None:
    """All limits that are exceeded are told at once."""
    assert 3 == len(
        reasons(yaw={"angle_min_deg": -180, "angle_max_deg": 180, "torque_max_nm": 0.2,
                     "rate_max_deg_s": 120, "accel_max_deg_s2": 500})
    )  # fmt: skip
