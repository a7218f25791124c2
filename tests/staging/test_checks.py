"""The limits of a gimbal's hardware, and whether loops are stable on it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from orchestrator.staging.checks import check_against_gimbal, outside_reported
from orchestrator.staging.fleet import GimbalProfile
from orchestrator.staging.models import AimConfig
from orchestrator.staging.physics import judged_axes
from tests.staging.texts import ROOT

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
        "schema": 2,
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


PLANT: dict[str, Any] = {
    "inertia_kg_m2": 1.2e-3,
    "viscous_nms_rad": 2e-3,
    "coulomb_nm": 4e-3,
    "imbalance_nm": 5e-3,
    "motor_lag_s": 0.002,
    "dead_time_samples": 2,
    "sample_rate_hz": 1000,
    "mode_hz": 55,
    "mode_damping": 0.03,
    "mode_participation": 0.12,
}
REAL: dict[str, Any] = {
    **PROFILE,
    "roll": {"min_deg": -40, "max_deg": 40},
    "rate_max_deg_s": 120,
    "accel_max_deg_s2": 600,
    "torque_peak_nm": 0.25,
    "plant": PLANT,
}


def configured(**changes: Any) -> AimConfig:
    """The defaults for a drone, with changes."""
    return AimConfig.model_validate(
        {"schema": 2, "yaw": {"angle_min_deg": -90, "angle_max_deg": 90}, "pitch": {},
         "roll": {}, "drone": {}, **changes}
    )  # fmt: skip


def verdict(profile: dict[str, Any] = REAL, **changes: Any) -> list[str]:
    """What a gimbal with physics says to the defaults with changes."""
    return check_against_gimbal(configured(**changes), GimbalProfile.model_validate(profile))


def test_the_defaults_fly_on_the_camera_that_they_were_made_for() -> None:
    """The defaults of the schema are sound on a small inspection camera."""
    assert [] == verdict()


def test_a_loop_that_will_not_fly_is_a_reason_with_numbers() -> None:
    """The reason names the axis, what was found, what is asked, and at which inertia."""
    assert "phase margin 11° < 30° on pitch at 0.7 × inertia" in verdict(pitch={"gyro_lpf_hz": 30})


def test_limits_and_physics_are_told_together() -> None:
    """A person sees everything at once, the limits first."""
    first, *rest = verdict(pitch={"rate_p": 2, "torque_max_nm": 0.3})
    assert "pitch torque_max_nm 0.3 > 0.25 of gimbal 'g30'" == first
    assert all("on pitch" in reason for reason in rest)
    assert rest


def test_an_axis_that_is_off_is_not_judged() -> None:
    """Gains of an axis that is not driven harm nobody."""
    wild = {"enabled": False, "rate_p": 2, "angle_p": 40}
    assert [] == verdict(roll=wild, stabilisation={"horizon_lock": False})


def test_without_physics_nothing_is_judged() -> None:
    """A profile without plant has limits alone."""
    limits = {key: value for key, value in REAL.items() if key != "plant"}
    assert [] == verdict(limits, pitch={"rate_p": 2})


def test_a_notch_beyond_half_the_sample_rate_is_refused() -> None:
    """A filter that can't be made at the rate of this gimbal's controller is a reason."""
    slow = {**REAL, "plant": {**PLANT, "sample_rate_hz": 400, "mode_hz": 55}}
    assert ["notch_hz 200 Hz ≥ 200 Hz, half the sample rate on yaw"] == verdict(
        slow, yaw={"angle_min_deg": -90, "angle_max_deg": 90, "notch_hz": 200},
        pitch={"enabled": False}, roll={"enabled": False},
        stabilisation={"horizon_lock": False}, tracking={"enabled": False},
    )  # fmt: skip


def test_every_number_reaches_the_judge() -> None:
    """The judge gets the axis as configured, and as built, with its own numbers."""
    plant = {**PLANT, "pitch": {"inertia_kg_m2": 2e-3, "torque_peak_nm": 0.3}}
    profile = GimbalProfile.model_validate({**REAL, "plant": plant})
    config = configured(pitch={"notch_hz": 55, "notch_bandwidth_hz": 30, "rate_p": 0.1})
    asked = judged_axes(config, profile)
    assert ["yaw", "pitch", "roll"] == list(asked)
    assert AxisLoop(
        angle_p=8, rate_p=0.1, rate_i=0.7, rate_d=0, gyro_lpf_hz=120, notch_hz=55,
        notch_bandwidth_hz=30, notch_attenuation_db=30, integrator_max_nm=0.1,
        torque_max_nm=0.25, rate_max_deg_s=120, accel_max_deg_s2=600,
    ) == asked["pitch"][0]  # fmt: skip
    assert (
        AxisPlant(**{**PLANT, "inertia_kg_m2": 2e-3, "torque_peak_nm": 0.3}) == asked["pitch"][1]
    )
    assert AxisPlant(**PLANT, torque_peak_nm=0.25) == asked["yaw"][1]


def test_what_a_gimbal_reports_of_itself_counts_too() -> None:
    """Angles outside the range that the hardware tells are reasons."""
    config = configured()
    assert (
        "yaw angle_min_deg -90 < -60 as reported",
        "pitch angle_max_deg 20 > 10 as reported",
    ) == outside_reported(config, {"yaw": (-60.0, 90.0), "pitch": (-90.0, 10.0)})
    assert () == outside_reported(config, {"yaw": (-90.0, 90.0)})


def test_reading_files_does_not_load_numpy() -> None:
    """Only who judges physics waits for numpy: the linter without profiles stays quick."""
    code = (
        "import sys, orchestrator.staging.lint, orchestrator.agent; print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "False" == done.stdout.strip()
