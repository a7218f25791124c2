"""What is true of every configuration and every plant in range."""

from __future__ import annotations

from dataclasses import fields, replace
from math import isfinite, isnan
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.aim.criteria import Criteria, Criterion, Finding
from orchestrator.aim.judge import judge
from orchestrator.aim.loop import AxisLoop, nonsense
from orchestrator.aim.margins import Margins, margins
from orchestrator.aim.plant import RANGES, AxisPlant
from orchestrator.aim.simulate import simulate
from tests.aim.axes import GOOD, SMALL

SCHEMA: dict[str, tuple[float, float]] = {
    "angle_p": (0.5, 40.0),
    "rate_p": (1e-3, 2.0),
    "rate_i": (0.0, 20.0),
    "rate_d": (0.0, 0.02),
    "gyro_lpf_hz": (5.0, 400.0),
    "notch_hz": (0.0, 400.0),
    "notch_bandwidth_hz": (2.0, 100.0),
    "notch_attenuation_db": (5.0, 60.0),
    "integrator_max_nm": (0.0, 0.5),
    "torque_max_nm": (0.01, 2.0),
    "rate_max_deg_s": (1.0, 360.0),
    "accel_max_deg_s2": (10.0, 5000.0),
}
SHORT = replace(Criteria(), horizon_s=0.75, settling_max_s=0.5)
SOME = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def loops() -> st.SearchStrategy[AxisLoop]:
    """Whatever the schema lets pass."""
    return st.builds(AxisLoop, **{name: st.floats(*ends) for name, ends in SCHEMA.items()})


def plants() -> st.SearchStrategy[AxisPlant]:
    """Whatever a fleet file may say of a gimbal."""
    ranges: dict[str, Any] = {name: st.floats(*ends) for name, ends in RANGES.items()}
    return st.builds(AxisPlant, **{**ranges, "dead_time_samples": st.integers(1, 20)})


def sound(loop: AxisLoop, plant: AxisPlant) -> bool:
    """Whether there is physics to ask."""
    return not nonsense(loop, plant)


@SOME
@given(loops(), plants())
def test_every_verdict_is_told(loop: AxisLoop, plant: AxisPlant) -> None:
    """No exception, no figure that is none, whatever the schema and the fleet file let pass."""
    found = judge({"pitch": (loop, plant)}, SHORT)
    assert [] == [one for one in found if one.value is not None and isnan(one.value)]
    assert [] == [one for one in found if "nan" in str(one) or "inf" in str(one)]


@SOME
@given(st.builds(AxisLoop, **{f.name: st.floats() for f in fields(AxisLoop)}))
def test_whatever_numbers_there_are_there_is_an_answer(loop: AxisLoop) -> None:
    """Infinite, negative, denormal, not a number: none of them raises."""
    assert all(isinstance(one, Finding) for one in judge({"roll": (loop, SMALL)}, SHORT))


@SOME
@given(loops(), plants())
def test_every_simulation_stays_finite(loop: AxisLoop, plant: AxisPlant) -> None:
    """Unstable ones too: the torque is clamped."""
    if sound(loop, plant):
        for response in simulate(loop, plant, SHORT).values():
            assert np.isfinite(response.angle_deg).all()


@SOME
@given(loops(), plants())
def test_every_margin_is_a_figure(loop: AxisLoop, plant: AxisPlant) -> None:
    """The phase margin is within half a turn; the sensitivity of a sampled loop exceeds one."""
    if sound(loop, plant):
        found = margins(loop, plant)
        assert -180.0 <= found.phase_margin_deg <= 180.0 or not isfinite(found.phase_margin_deg)
        assert not isnan(found.gain_margin_db)
        assert found.sensitivity_peak >= 1.0


STIFF = replace(SMALL, mode_participation=0.0)


def both(loop: AxisLoop, less: AxisPlant, more: AxisPlant) -> tuple[Margins, Margins]:
    """The margins on two plants."""
    return margins(loop, less), margins(loop, more)


@SOME
@given(st.floats(1.0, 30.0), st.floats(0.02, 0.3), st.floats(0.0, 2.0), st.integers(1, 12))
def test_dead_time_never_adds_phase(
    angle_p: float, rate_p: float, rate_i: float, samples: int
) -> None:
    """Of a stiff, stable loop one more sample of dead time takes phase margin away."""
    loop = replace(GOOD, angle_p=angle_p, rate_p=rate_p, rate_i=rate_i)
    less, more = both(
        loop,
        replace(STIFF, dead_time_samples=samples),
        replace(STIFF, dead_time_samples=samples + 1),
    )
    if less.stable and more.stable:
        assert more.phase_margin_deg < less.phase_margin_deg


@SOME
@given(st.floats(0.02, 0.3), st.floats(1e-3, 8e-3), st.floats(1.05, 3.0))
def test_a_slower_motor_never_adds_phase(rate_p: float, lag_s: float, factor: float) -> None:
    """Of a stiff, stable loop a slower motor takes phase margin away."""
    less, more = both(
        replace(GOOD, rate_p=rate_p),
        replace(STIFF, motor_lag_s=lag_s),
        replace(STIFF, motor_lag_s=lag_s * factor),
    )
    if less.stable and more.stable:
        assert more.phase_margin_deg < less.phase_margin_deg


@SOME
@given(st.floats(0.3, 3.0), st.floats(0.3, 3.0))
def test_only_ratios_count_in_the_linear_loop(gain: float, size: float) -> None:
    """Torque gains and inertia, friction with them, times the same factor: the same margins."""
    loop = replace(GOOD, rate_p=GOOD.rate_p * gain, rate_i=GOOD.rate_i * gain)
    scaled = replace(loop, rate_p=loop.rate_p * size, rate_i=loop.rate_i * size)
    heavy = replace(
        SMALL,
        inertia_kg_m2=SMALL.inertia_kg_m2 * size,
        viscous_nms_rad=SMALL.viscous_nms_rad * size,
    )
    first, second = margins(loop, SMALL), margins(scaled, heavy)
    assert np.allclose(first.sensitivity_peak, second.sensitivity_peak, rtol=1e-6)
    assert np.allclose(first.phase_margin_deg, second.phase_margin_deg, atol=1e-5)


@SOME
@given(st.floats(0.03, 0.25), st.floats(0.6, 2.0))
def test_the_gain_margin_is_what_the_gain_may_grow_by(rate_p: float, part: float) -> None:
    """A loop stays stable with a little less than its gain margin added, and not with more."""
    loop = replace(GOOD, rate_p=rate_p)
    found = margins(loop, SMALL)
    if found.stable and 0.5 < found.gain_margin_db < 20.0:
        factor = 10 ** (found.gain_margin_db * (0.98 if part < 1 else 1.02) / 20)
        more = replace(loop, rate_p=rate_p * factor, rate_i=loop.rate_i * factor)
        assert (part < 1) == margins(more, SMALL).stable


@SOME
@given(loops())
def test_a_verdict_does_not_depend_on_the_other_axes(loop: AxisLoop) -> None:
    """What is said of an axis beside others is what is said of it alone."""
    others = {"pitch": (GOOD, SMALL), "roll": (replace(GOOD, rate_p=0.34), SMALL)}
    together = judge({"yaw": (loop, SMALL), **others}, SHORT)
    alone = judge({"yaw": (loop, SMALL)}, SHORT)
    assert list(map(str, alone)) == [str(one) for one in together if one.axis == "yaw"]


@SOME
@given(st.floats(0.0, 0.2), st.floats(0.0, 0.2))
def test_a_larger_imbalance_never_makes_a_no_a_yes(first: float, second: float) -> None:
    """Refused for its steady error at some imbalance, refused for it at a larger one."""
    less, more = sorted((first, second))
    said = [
        {one.criterion for one in judge({"yaw": (GOOD, replace(SMALL, imbalance_nm=load))})}
        for load in (less, more)
    ]
    assert (Criterion.STEADY_ERROR in said[0]) <= (Criterion.STEADY_ERROR in said[1])
