"""What a figure shows of an axis: it must say the same as the margins and the simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orchestrator.aim.criteria import Criteria
from orchestrator.aim.experiments import Experiment
from orchestrator.aim.loop import AxisLoop, nonsense
from orchestrator.aim.margins import margins, open_loop
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.portrait import LOWEST_HZ, Portrait, portrait
from orchestrator.aim.simulate import simulate
from tests.aim.axes import GOOD, SMALL, SUITED, wild

CRITERIA = Criteria()
CASES = [*((loop, plant) for plant, loop in SUITED), *wild(11, 20)]
SEEN = [(loop, plant) for loop, plant in CASES if not nonsense(loop, plant)]


def seen(loop: AxisLoop, plant: AxisPlant, factor: float = 1.0) -> Portrait:
    """The portrait by the judge's own criteria."""
    return portrait(loop, plant, CRITERIA, factor)


@pytest.mark.parametrize("case", SEEN, ids=range(len(SEEN)))
def test_the_curves_meet_the_margins(case: tuple[AxisLoop, AxisPlant]) -> None:
    """At the crossover the gain is 0 dB, and the phase is the margin away from an odd 180°."""
    one = seen(*case)
    hz = one.margins.crossover_hz
    critical = one.phase_at(hz) - one.margins.phase_margin_deg
    assert 0.0 == pytest.approx(np.interp(hz, one.frequency_hz, one.gain_db), abs=1e-3)
    assert 180.0 == pytest.approx(critical % 360.0, abs=1e-3)


@pytest.mark.parametrize("case", SEEN, ids=range(len(SEEN)))
def test_the_phase_is_one_curve(case: tuple[AxisLoop, AxisPlant]) -> None:
    """It begins with the lag of one to three integrators, and never jumps by half a turn."""
    one = seen(*case)
    assert -275.0 < one.phase_deg[0] < -80.0
    assert np.abs(np.diff(one.phase_deg)).max() < 180.0


def test_frequencies_ascend_to_half_the_sample_rate() -> None:
    """And begin at a tenth of a hertz."""
    hz = seen(GOOD, SMALL).frequency_hz
    assert (LOWEST_HZ, True) == (hz[0], bool((np.diff(hz) > 0).all()))
    assert 0.99 * SMALL.sample_rate_hz / 2 < hz[-1] < SMALL.sample_rate_hz / 2


def test_a_narrow_notch_is_seen_to_its_bottom() -> None:
    """What it takes out at its centre is in the curve, whatever lies between the grid's points."""
    notched = replace(GOOD, notch_hz=83.0, notch_bandwidth_hz=2.0, notch_attenuation_db=40.0)
    one = seen(notched, SMALL)
    dense = open_loop(notched, SMALL, np.linspace(82.0, 84.0, 4001))
    shown = one.gain_db[(one.frequency_hz > 82.0) & (one.frequency_hz < 84.0)]
    assert 20.0 * np.log10(np.abs(dense).min()) == pytest.approx(shown.min(), abs=0.5)


@pytest.mark.parametrize("factor", CRITERIA.inertia_factors)
def test_it_shows_what_the_judge_simulates(factor: float) -> None:
    """Margins and responses are those of the same loop at the same inertia."""
    one = seen(GOOD, SMALL, factor)
    responses = simulate(GOOD, SMALL, CRITERIA, factor)
    assert margins(GOOD, SMALL, factor) == one.margins
    assert set(Experiment) == set(one.responses)
    for kind, response in responses.items():
        assert np.array_equal(response.angle_deg, one.responses[kind].angle_deg)


def test_an_unstable_loop_has_a_portrait() -> None:
    """All of it in numbers: the clamps keep what runs away finite."""
    one = seen(replace(GOOD, rate_p=0.5), SMALL)
    assert not one.margins.stable
    for response in one.responses.values():
        assert np.isfinite(response.angle_deg).all()
    assert np.isfinite(one.gain_db).all()
