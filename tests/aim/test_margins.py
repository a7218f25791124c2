"""Margins and poles of the open loop, against python-control, which makes them another way."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from orchestrator.aim.margins import Margins, margins, open_loop
from tests.aim.axes import GOOD, SMALL, SUITED, wild
from tests.aim.by_control import Known, known, response
from tests.aim.oracle import Case

CASES: list[Case] = [
    *((loop, plant, factor) for plant, loop in SUITED for factor in (0.7, 1.4)),
    *((loop, plant, (0.7, 1.0, 1.4)[n % 3]) for n, (loop, plant) in enumerate(wild(3, 36))),
]


def apart(mine: Margins, theirs: Known) -> tuple[float, float, float]:
    """How far two are apart: phase margin in °, gain margin in dB, sensitivity as a share."""
    return (
        abs(mine.phase_margin_deg - theirs.phase_margin_deg),
        abs(mine.gain_margin_db - theirs.gain_margin_db),
        abs(mine.sensitivity_peak * theirs.modulus - 1.0),
    )


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_margins_are_those_of_python_control(case: Case) -> None:
    """Whether stable; phase margin to 0.001°, gain margin to 0.001 dB, peak to 1 in 10,000."""
    mine, theirs = margins(*case), known(case)
    assert theirs.stable == mine.stable
    assert (True, True, True) == tuple(
        difference < most
        for difference, most in zip(apart(mine, theirs), (1e-3, 1e-3, 1e-4), strict=True)
    )


@pytest.mark.parametrize("case", CASES[:12], ids=range(12))
def test_open_loop_is_that_of_python_control(case: Case) -> None:
    """The whole frequency response, from 0.01 Hz nearly to half the sample rate."""
    hz = np.geomspace(0.01, 0.49 * case[1].sample_rate_hz, 200)
    loop, plant, factor = case
    ratio = open_loop(loop, plant, hz, factor) / response(case, hz)
    assert np.abs(ratio - 1.0).max() < 1e-9


def test_of_several_crossings_the_worst_counts() -> None:
    """A structural mode that lifts the gain over one again decides, though the first is sound."""
    loud = replace(SMALL, mode_participation=0.5)
    quiet = margins(GOOD, replace(SMALL, mode_participation=0.0))
    worst = margins(GOOD, loud)
    assert (True, True) == (quiet.crossover_hz < 12, worst.crossover_hz > 50)
    assert quiet.phase_margin_deg > 50 > abs(worst.phase_margin_deg)


def test_without_any_crossing_the_phase_margin_is_infinite() -> None:
    """A loop whose gain never is one has nothing to measure a phase at; here it is unstable."""
    found = margins(replace(GOOD, rate_p=1e5, gyro_lpf_hz=400.0), SMALL)
    assert (False, inf, 0.0) == (found.stable, found.phase_margin_deg, found.crossover_hz)


def test_a_wild_loop_without_a_crossing_is_unstable() -> None:
    """Stability is decided by the poles, not by margins that cannot be had."""
    found = margins(replace(GOOD, rate_p=1e5, gyro_lpf_hz=400.0), SMALL)
    assert found.pole_radius > 1.5


@pytest.mark.parametrize("damping", [0.001, 0.003, 0.01])
def test_no_resonance_is_too_narrow_to_be_seen(damping: float) -> None:
    """The peak of the sensitivity is that of a million frequencies, however sharp the mode."""
    plant = replace(SMALL, mode_damping=damping, mode_participation=damping * 3)
    hz = np.concatenate([np.geomspace(0.02, 499, 500_000), np.linspace(50, 60, 500_000)])
    dense = (1.0 / np.abs(1.0 + open_loop(GOOD, plant, hz))).max()
    assert margins(GOOD, plant).sensitivity_peak == pytest.approx(dense, rel=1e-4)
