"""How a refusal reads, what is remembered, and what a plant may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.aim import judge as judging
from orchestrator.aim.criteria import Criteria, Criterion, Finding, say, unstable
from orchestrator.aim.judge import judge
from orchestrator.aim.plant import AxisPlant
from tests.aim.axes import GOOD, GOOD_MAST, MAST, SMALL


def test_a_reason_reads_as_an_engineer_would_say_it() -> None:
    """What was found, against what is asked, where."""
    finding = Finding(
        axis="yaw",
        criterion=Criterion.PHASE_MARGIN,
        said=say(Criterion.PHASE_MARGIN, 18.04, 30.0),
        value=18.04,
        limit=30.0,
        inertia_factor=1.4,
    )
    assert "phase margin 18° < 30° on yaw at 1.4 × inertia" == str(finding)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (29.9999, "phase margin 29.9999° < 30°"),
        (29.6, "phase margin 29.6° < 30°"),
        (29.4, "phase margin 29° < 30°"),
        (-12.34, "phase margin -12° < 30°"),
    ],
)
def test_as_many_digits_as_tell_the_two_apart(value: float, said: str) -> None:
    """Nobody is told that 30 is less than 30."""
    assert said == say(Criterion.PHASE_MARGIN, value, 30.0)


@pytest.mark.parametrize(
    ("radius", "hz", "said"),
    [
        (1.1, 70.0, "unstable: oscillation of 70 Hz grows tenfold in 24 ms"),
        (1.1, 123.0, "unstable: oscillation of 120 Hz grows tenfold in 24 ms"),
        (1.001, 0.0, "unstable: error grows tenfold in 2300 ms"),
        (1.0, 0.0, "unstable: never comes to rest"),
        (1.0 - 1e-9, 12.0, "unstable: never comes to rest"),
    ],
)
def test_instability_is_told_by_how_it_looks(radius: float, hz: float, said: str) -> None:
    """Its frequency and how fast it grows; or that it neither grows nor dies away."""
    assert said == unstable(radius, hz, 1e-3)


def test_each_axis_is_told_in_the_order_given() -> None:
    """Axis by axis, each with its own plant and sample rate."""
    axes = {
        "pitch": (replace(GOOD_MAST, rate_i=0.0, integrator_max_nm=0.0), MAST),
        "yaw": (GOOD, SMALL),
        "roll": (replace(GOOD, rate_p=0.0), SMALL),
    }
    imbalanced = {**axes, "pitch": (axes["pitch"][0], replace(MAST, imbalance_nm=0.02))}
    assert ["pitch", "roll"] == [one.axis for one in judge(imbalanced)]


def test_no_axis_no_reason() -> None:
    """Nothing to judge is nothing against it."""
    assert () == judge({})


def test_criteria_can_be_stricter() -> None:
    """A fleet that asks for 50° of phase margin refuses what the standard lets pass."""
    strict = replace(Criteria(), phase_margin_min_deg=50.0)
    assert ["phase margin 46° < 50° on yaw at 0.7 × inertia"] == [
        str(one) for one in judge({"yaw": (GOOD, SMALL)}, strict)
    ]


def test_what_was_judged_is_remembered() -> None:
    """The same values, made anew, are not judged again; others are."""
    judging.forget()
    judge({"yaw": (replace(GOOD), replace(SMALL))})
    judge({"yaw": (replace(GOOD), replace(SMALL))})
    judge({"yaw": (replace(GOOD, rate_i=0.6), SMALL)})
    assert (1, 2) == judging.remembered()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"inertia_kg_m2": 0.0}, "inertia_kg_m2 0 is not from 1e-06 to 100"),
        ({"dead_time_samples": 0}, "dead_time_samples 0 is not from 1 to 20"),
        ({"mode_damping": float("nan")}, "mode_damping nan is not from 0.001 to 1"),
    ],
)
def test_a_plant_out_of_range_is_refused(change: dict[str, float], why: str) -> None:
    """The physics is made for gimbals, and says so."""
    values = {name: getattr(SMALL, name) for name in AxisPlant.__dataclass_fields__}
    with pytest.raises(ValueError, match="is not from") as refusal:
        AxisPlant(**{**values, **change})
    assert why == str(refusal.value)
