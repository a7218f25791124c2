"""The verdict on hundreds of random configurations is that of the oracles, made another way."""

from __future__ import annotations

from math import radians

import control
import numpy as np
import pytest

from orchestrator.aim.criteria import Criterion, Finding
from orchestrator.aim.judge import judge
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.plant import AxisPlant
from tests.aim.axes import wild
from tests.aim.by_control import open_loop, response, stable
from tests.aim.oracle import Array, Case, Found, Oracle

SEED, COUNT = 1, 500
FACTORS = (0.7, 1.0, 1.4)
GRID = np.geomspace(0.05, 390.0, 200)
KNIFE_EDGE = 0.02
"""Share of a limit within which two ways to integrate may differ. It is never used for a yes."""

LIMITS = {
    Criterion.OVERSHOOT: ("overshoot_pct", 15.0),
    Criterion.SETTLING: ("settling_s", 1.2),
    Criterion.RESIDUAL: ("residual_deg", 0.05),
    Criterion.BASE_LEAK: ("base_leak_deg", 0.5),
    Criterion.STEADY_ERROR: ("steady_error_deg", 0.3),
}

Configuration = tuple[AxisLoop, AxisPlant]


class Judged:
    """All configurations with what the judge says, and what the oracle measures of them."""

    def __init__(self) -> None:
        self.configurations: list[Configuration] = wild(SEED, COUNT)
        self.verdicts = [judge({"yaw": pair}) for pair in self.configurations]
        self.found = Oracle(
            [(*pair, factor) for pair in self.configurations for factor in FACTORS]
        ).measure()

    def worst(self, criterion: Criterion) -> Array:
        """Of each configuration, the oracle's worst figure as a share of its limit."""
        if criterion == Criterion.RATE:
            limits = np.array([1.25 * loop.rate_max_deg_s for loop, _ in self.configurations])
            share: Array = _worst(self.found.rate_peak_deg_s) / limits
            return share
        name, limit = LIMITS[criterion]
        share = _worst(getattr(self.found, name))
        return share / limit

    def accepted(self) -> list[int]:
        """The numbers of those that the judge lets pass."""
        return [number for number, said in enumerate(self.verdicts) if not said]


def _worst(figures: Array) -> Array:
    worst: Array = figures.reshape(COUNT, len(FACTORS)).max(axis=1)
    return worst


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Made once: all tests look at the same configurations."""
    return Judged()


IN_TIME = (*LIMITS, Criterion.RATE)


def criteria_of(said: tuple[Finding, ...]) -> set[Criterion]:
    """What a verdict is about."""
    return {finding.criterion for finding in said}


@pytest.mark.parametrize("criterion", IN_TIME)
def test_nothing_is_accepted_that_the_simulation_refuses(
    judged: Judged, criterion: Criterion
) -> None:
    """No false accept: each that passes stays inside every limit, to the last digit."""
    worst = judged.worst(criterion)
    assert [] == [number for number in judged.accepted() if worst[number] > 1.0]


@pytest.mark.parametrize("criterion", IN_TIME)
def test_what_is_refused_in_time_is_refused_by_the_simulation(
    judged: Judged, criterion: Criterion
) -> None:
    """Each reason of the experiments is the oracle's too, or on a knife's edge."""
    worst = judged.worst(criterion)
    refused = [n for n, said in enumerate(judged.verdicts) if criterion in criteria_of(said)]
    assert [] == [number for number in refused if worst[number] <= 1.0 - KNIFE_EDGE]


@pytest.mark.parametrize("criterion", IN_TIME)
def test_every_limit_that_the_simulation_exceeds_is_told(
    judged: Judged, criterion: Criterion
) -> None:
    """A stable loop's verdict names each criterion that fails, not only the first."""
    worst = judged.worst(criterion)
    silent = [
        number
        for number, said in enumerate(judged.verdicts)
        if not criteria_of(said) & {criterion, Criterion.STABILITY, Criterion.NONSENSE}
    ]
    assert [] == [number for number in silent if worst[number] > 1.0]


@pytest.fixture(scope="module")
def built(judged: Judged) -> list[tuple[Case, control.StateSpace]]:
    """Every third accepted configuration at every inertia, built by python-control, slowly."""
    some = [judged.configurations[number] for number in judged.accepted()[::3]]
    cases = [(*pair, factor) for pair in some for factor in FACTORS]
    return [(case, open_loop(case)) for case in cases]


def test_what_is_accepted_is_stable_by_python_control(
    built: list[tuple[Case, control.StateSpace]],
) -> None:
    """At every inertia all poles of the closed loop are inside the unit circle."""
    assert (True, []) == (len(built) > 100, [case for case, it in built if not stable(it)])


def test_what_is_called_unstable_is_unstable_by_python_control(judged: Judged) -> None:
    """At the inertia that the reason names."""
    unstable = [
        (*judged.configurations[number], finding.inertia_factor or 0.0)
        for number, said in enumerate(judged.verdicts)
        for finding in said
        if finding.criterion == Criterion.STABILITY
    ]
    assert (True, []) == (len(unstable) > 50, [c for c in unstable if stable(open_loop(c))])


def test_what_is_accepted_has_the_margins_by_python_control(
    built: list[tuple[Case, control.StateSpace]],
) -> None:
    """On a grid of 200 frequencies no sensitivity above 2.5, no gain of one below 30°."""
    assert [] == [case for case, it in built if not _has_margins(response(case, GRID, it))]


def _has_margins(found: Array) -> bool:
    gain = np.abs(found)
    at = np.flatnonzero((gain[1:] > 1.0) != (gain[:-1] > 1.0))
    nearest = np.abs(np.angle(-found))  # the distance from ±180°
    between = np.maximum(nearest[at], nearest[at + 1])
    return bool(np.abs(1.0 / (1.0 + found)).max() <= 2.5 and (between >= radians(30.0)).all())


def test_the_choice_is_a_fair_one(judged: Judged) -> None:
    """Of 250 anywhere few pass, of 250 near a good one many; every criterion has its no."""
    accepted = judged.accepted()
    near = sum(number % 2 for number in accepted)
    told = set().union(*map(criteria_of, judged.verdicts))
    assert (True, True) == (5 <= len(accepted) - near <= 40, 120 <= near <= 200)
    assert set(Criterion) - told == {Criterion.NONSENSE}


def test_the_oracle_is_sure_of_its_own_figures() -> None:
    """Halving its steps changes nothing that could turn a verdict."""
    cases = [(loop, plant, 0.7) for loop, plant in wild(5, 12)]
    cases = [case for case in cases if stable(open_loop(case))]
    coarse, fine = Oracle(cases).measure(), Oracle(cases, substeps=8).measure()
    for name in Found.__dataclass_fields__:
        pair = getattr(coarse, name), getattr(fine, name)
        assert np.allclose(*pair, rtol=1e-3, atol=1e-4), name
