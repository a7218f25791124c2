"""What an engineer would say of each configuration, and what the judge says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any, Final

import pytest

from orchestrator.aim.judge import judge
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from tests.aim.axes import ARM, GOOD, GOOD_ARM, GOOD_MAST, MAST, SMALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A configuration by how it differs from a good one, and every reason against it."""

    name: str
    change: dict[str, Any]
    reasons: tuple[str, ...] = ()
    loop: AxisLoop = GOOD
    plant: AxisPlant = SMALL


def row(name: str, *reasons: str, loop: AxisLoop = GOOD, **change: Any) -> Row:
    """A row for the small camera."""
    return Row(name=name, change=change, reasons=reasons, loop=loop)


def on(plant: AxisPlant, name: str, *reasons: str, loop: AxisLoop = GOOD, **change: Any) -> Row:
    """A row for another plant."""
    return Row(name=name, change=change, reasons=reasons, loop=loop, plant=plant)


SOUND: Final = (
    row("suits the small camera"),
    on(ARM, "suits the loading arm", loop=GOOD_ARM),
    on(MAST, "suits the mast, at 800 Hz", loop=GOOD_MAST),
    row("notch at the mode", notch_hz=55.0),
    row("notch far above", notch_hz=120.0),
    row("less filtered", gyro_lpf_hz=200.0),
    row("more filtered", gyro_lpf_hz=60.0),
    row("softer angle loop", angle_p=4.0),
    row("stiffer angle loop", angle_p=20.0),
    row("four times the integral", rate_i=2.8),
    row("a little derivative", rate_d=1e-4),
    row("sharp profile that the motor can follow", accel_max_deg_s2=5000.0),
    row("fast profile", rate_max_deg_s=360.0, accel_max_deg_s2=3000.0),
    row("slow profile: slowness is no fault", rate_max_deg_s=5.0, accel_max_deg_s2=50.0),
    on(
        replace(SMALL, mode_participation=0.5),
        "loose structure, but a notch at its mode",
        notch_hz=55.0,
    ),
)

RINGING: Final = (
    row(
        "rate gain 1.3 times too high",
        "sensitivity peak 3.6 > 2.5 on yaw at 0.7 × inertia",
        rate_p=0.11,
    ),
    row(
        "rate gain 1.5 times too high",
        "sensitivity peak 5.9 > 2.5 on yaw at 0.7 × inertia",
        rate_p=0.1275,
    ),
    row(
        "angle gain 5 times too high",
        "phase margin 29° < 30° on yaw at 0.7 × inertia",
        angle_p=40.0,
    ),
    row(
        "angle gain 7 times too high",
        "phase margin 20° < 30° on yaw at 0.7 × inertia",
        "sensitivity peak 3.1 > 2.5 on yaw at 0.7 × inertia",
        angle_p=60.0,
    ),
    row(
        "filtered too much",
        "phase margin 23° < 30° on yaw at 0.7 × inertia",
        "sensitivity peak 3.8 > 2.5 on yaw at 0.7 × inertia",
        gyro_lpf_hz=40.0,
    ),
    row(
        "notch near the crossover",
        "phase margin 1.5° < 30° on yaw at 0.7 × inertia",
        "sensitivity peak 41 > 2.5 on yaw at 0.7 × inertia",
        notch_hz=18.0,
    ),
    on(
        replace(SMALL, dead_time_samples=8),
        "8 ms of dead time",
        "phase margin 12° < 30° on yaw at 0.7 × inertia",
        "sensitivity peak 7.6 > 2.5 on yaw at 0.7 × inertia",
    ),
    on(
        replace(SMALL, motor_lag_s=0.01),
        "a slow motor",
        "phase margin 22° < 30° on yaw at 0.7 × inertia",
        "sensitivity peak 3.2 > 2.5 on yaw at 0.7 × inertia",
    ),
)

UNSTABLE: Final = (
    row(
        "rate gain twice too high",
        "unstable: oscillation of 56 Hz grows tenfold in 1400 ms on yaw at 0.7 × inertia",
        rate_p=0.17,
    ),
    row(
        "rate gain 4 times too high",
        "unstable: oscillation of 55 Hz grows tenfold in 91 ms on yaw at 0.7 × inertia",
        rate_p=0.34,
    ),
    row(
        "rate gain 40 times too high",
        "unstable: oscillation of 70 Hz grows tenfold in 7 ms on yaw at 0.7 × inertia",
        rate_p=3.4,
    ),
    row(
        "rate gain 8 times too low for its integral",
        "unstable: oscillation of 3.5 Hz grows tenfold in 2200 ms on yaw at 1.4 × inertia",
        rate_p=0.0106,
    ),
    row(
        "integral 20 times too high",
        "unstable: oscillation of 23 Hz grows tenfold in 150 ms on yaw at 0.7 × inertia",
        rate_i=14.0,
    ),
    row(
        "derivative that feeds the mode",
        "unstable: oscillation of 80 Hz grows tenfold in 23 ms on yaw at 0.7 × inertia",
        rate_d=2e-3,
    ),
    row(
        "gyro filtered to 8 Hz",
        "unstable: oscillation of 9 Hz grows tenfold in 170 ms on yaw at 0.7 × inertia",
        gyro_lpf_hz=8.0,
    ),
    row(
        "wide notch over the crossover",
        "unstable: oscillation of 9.4 Hz grows tenfold in 2600 ms on yaw at 0.7 × inertia",
        notch_hz=40.0,
        notch_bandwidth_hz=70.0,
    ),
    row(
        "gains of the loading arm",
        "unstable: oscillation of 56 Hz grows tenfold in 120 ms on yaw at 0.7 × inertia",
        loop=GOOD_ARM,
    ),
    on(
        replace(SMALL, mode_participation=0.5),
        "loose structure",
        "unstable: oscillation of 58 Hz grows tenfold in 340 ms on yaw at 0.7 × inertia",
    ),
)

SLUGGISH: Final = (
    row(
        "half the rate gain",
        "error 0.52° > 0.5° while the base moves on yaw at 1.4 × inertia",
        rate_p=0.0425,
    ),
    row(
        "all gains low",
        "settling 2 s > 1.2 s after a step on yaw at 1 × inertia",
        "residual 1.4° rms > 0.05° rms after a step on yaw at 1.4 × inertia",
        "error 2.2° > 0.5° while the base moves on yaw at 1 × inertia",
        "steady error 1.4° > 0.3° under imbalance on yaw at 1.4 × inertia",
        angle_p=2.0,
        rate_p=0.02,
        rate_i=0.05,
    ),
    row(
        "angle gain so low that it creeps",
        "residual 0.052° rms > 0.05° rms after a step on yaw at 1.4 × inertia",
        angle_p=1.5,
    ),
    on(
        ARM,
        "gains of the small camera on the arm",
        "phase margin 28° < 30° on yaw at 1.4 × inertia",
        "overshoot 23 % > 15 % of a step on yaw at 1.4 × inertia",
        "residual 0.2° rms > 0.05° rms after a step on yaw at 1 × inertia",
        "rate 160°/s > 150°/s in a step on yaw at 1.4 × inertia",
        "error 2.2° > 0.5° while the base moves on yaw at 1.4 × inertia",
    ),
    on(
        replace(SMALL, coulomb_nm=0.03),
        "sticky bearings",
        "residual 0.16° rms > 0.05° rms after a step on yaw at 1.4 × inertia",
        "error 1.8° > 0.5° while the base moves on yaw at 1.4 × inertia",
    ),
)

LEANING: Final = (
    row(
        "no integral",
        "steady error 0.42° > 0.3° under imbalance on yaw at 1.4 × inertia",
        rate_i=0.0,
    ),
    row(
        "hardly any integral",
        "steady error 0.32° > 0.3° under imbalance on yaw at 1.4 × inertia",
        rate_i=0.02,
    ),
    row(
        "integrator clamped to nothing",
        "steady error 0.42° > 0.3° under imbalance on yaw at 1.4 × inertia",
        integrator_max_nm=0.0,
    ),
    row(
        "integrator clamped below the imbalance",
        "steady error 0.33° > 0.3° under imbalance on yaw at 1.4 × inertia",
        integrator_max_nm=1e-3,
    ),
    on(
        replace(SMALL, imbalance_nm=0.12),
        "a lens that hangs out",
        "steady error 1.7° > 0.3° under imbalance on yaw at 0.7 × inertia",
    ),
)

SATURATING: Final = (
    row(
        "torque clamped to a tenth",
        "accel_max_deg_s2 needs a torque of 0.031 N m > 0.02 N m on yaw at 1.4 × inertia",
        "overshoot 20 % > 15 % of a step on yaw at 1.4 × inertia",
        torque_max_nm=0.02,
    ),
    row(
        "torque clamped below what friction takes",
        "accel_max_deg_s2 needs a torque of 0.031 N m > 0.006 N m on yaw at 1.4 × inertia",
        "settling 1.5 s > 1.2 s after a step on yaw at 1.4 × inertia",
        "residual 0.23° rms > 0.05° rms after a step on yaw at 1.4 × inertia",
        "error 5.5° > 0.5° while the base moves on yaw at 1 × inertia",
        torque_max_nm=0.006,
    ),
    row(
        "acceleration beyond the motor",
        "accel_max_deg_s2 needs a torque of 0.37 N m > 0.25 N m on yaw at 1.4 × inertia",
        accel_max_deg_s2=12_000.0,
    ),
    row(
        "acceleration beyond the motor, whatever the configuration allows it",
        "accel_max_deg_s2 needs a torque of 0.37 N m > 0.25 N m on yaw at 1.4 × inertia",
        accel_max_deg_s2=12_000.0,
        torque_max_nm=2.0,
    ),
    row(
        "acceleration far beyond the motor",
        "accel_max_deg_s2 needs a torque of 1.2 N m > 0.25 N m on yaw at 1.4 × inertia",
        "rate 151°/s > 150°/s in a step on yaw at 0.7 × inertia",
        accel_max_deg_s2=40_000.0,
    ),
    on(
        ARM,
        "acceleration beyond the arm's clamp",
        "accel_max_deg_s2 needs a torque of 0.92 N m > 0.8 N m on yaw at 1.4 × inertia",
        loop=GOOD_ARM,
        accel_max_deg_s2=6000.0,
    ),
)

NONSENSE: Final = (
    row("no rate gain", "rate_p 0 ≤ 0 on yaw", rate_p=0.0),
    row("negative rate gain", "rate_p -0.085 ≤ 0 on yaw", rate_p=-0.085),
    row("negative angle gain", "angle_p -8 ≤ 0 on yaw", angle_p=-8.0),
    row("negative integral", "rate_i -0.7 < 0 on yaw", rate_i=-0.7),
    row("negative derivative", "rate_d -0.0001 < 0 on yaw", rate_d=-1e-4),
    row("no rate", "rate_max_deg_s 0 ≤ 0 on yaw", rate_max_deg_s=0.0),
    row("no torque", "torque_max_nm 0 ≤ 0 on yaw", torque_max_nm=0.0),
    row("no number", "rate_i nan is no sensible number on yaw", rate_i=nan),
    row("infinite", "torque_max_nm inf is no sensible number on yaw", torque_max_nm=inf),
    row("absurdly large", "rate_p 1e+09 is no sensible number on yaw", rate_p=1e9),
    row(
        "filter above half the sample rate",
        "gyro_lpf_hz 500 Hz ≥ 500 Hz, half the sample rate on yaw",
        gyro_lpf_hz=500.0,
    ),
    on(
        MAST,
        "notch above half the sample rate",
        "notch_hz 400 Hz ≥ 400 Hz, half the sample rate on yaw",
        loop=GOOD_MAST,
        notch_hz=400.0,
    ),
    row(
        "notch wider than its frequency",
        "notch_bandwidth_hz 20 Hz reaches below 0 Hz from 10 Hz on yaw",
        notch_hz=10.0,
    ),
    row(
        "notch of nothing",
        "notch_attenuation_db 0 ≤ 0 on yaw",
        notch_hz=55.0,
        notch_attenuation_db=0.0,
    ),
    row(
        "several at once",
        "angle_p -1 ≤ 0 on yaw",
        "rate_i -2 < 0 on yaw",
        "gyro_lpf_hz 600 Hz ≥ 500 Hz, half the sample rate on yaw",
        angle_p=-1.0,
        rate_i=-2.0,
        gyro_lpf_hz=600.0,
    ),
)

ROWS: Final = (
    *SOUND,
    *RINGING,
    *UNSTABLE,
    *SLUGGISH,
    *LEANING,
    *SATURATING,
    *NONSENSE,
)


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
def test_verdict(one: Row) -> None:
    """Every reason, in the judge's own words, and none beside."""
    loop = replace(one.loop, **one.change)
    assert one.reasons == tuple(map(str, judge({"yaw": (loop, one.plant)})))
