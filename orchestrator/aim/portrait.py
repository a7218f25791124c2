"""All that a figure shows of one axis at one inertia, as numbers: ``aimctl plot`` draws them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from orchestrator.aim.criteria import Criteria
from orchestrator.aim.experiments import Experiment
from orchestrator.aim.loop import AxisLoop
from orchestrator.aim.margins import Margins, margins, open_loop
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.sampled import Floats
from orchestrator.aim.simulate import Response, simulate

LOWEST_HZ: Final = 0.1
"""Where a Bode plot begins; below it the loops of a gimbal only go on as they come."""

_NYQUIST_SHARE: Final = 0.998
_POINTS: Final = 600
_AROUND: Final = np.linspace(-0.3, 0.3, 201)
"""Where to look closely, as a share of the frequency of a mode or a notch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """
    One axis at one inertia. The Bode plot is of the open loop, at ascending ``frequency_hz``.

    ``phase_deg`` goes on without jumps from between -360° and 0° at the lowest frequency.
    """

    margins: Margins
    responses: Mapping[Experiment, Response]
    frequency_hz: Floats
    gain_db: Floats
    phase_deg: Floats

    def phase_at(self, frequency_hz: float) -> float:
        """Return the phase at a frequency inside the plot, in °."""
        return float(np.interp(frequency_hz, self.frequency_hz, self.phase_deg))


def portrait(
    loop: AxisLoop, plant: AxisPlant, criteria: Criteria, inertia_factor: float = 1.0
) -> Portrait:
    """
    Return what is to be seen of an axis: margins, experiments, Bode plot.

    ``nonsense(loop, plant)`` must be empty. An unstable loop has a portrait too; its margins
    mean nothing.
    """
    found = margins(loop, plant, inertia_factor)
    frequency_hz = _frequencies(loop, plant, found.crossover_hz)
    response = open_loop(loop, plant, frequency_hz, inertia_factor)
    return Portrait(
        margins=found,
        responses=simulate(loop, plant, criteria, inertia_factor),
        frequency_hz=frequency_hz,
        gain_db=20.0 * np.log10(np.abs(response)),
        phase_deg=_unwrapped(np.degrees(np.angle(response))),
    )


def _frequencies(loop: AxisLoop, plant: AxisPlant, crossover_hz: float) -> Floats:
    """Return frequencies even over the decades, and closer where a curve is steep."""
    most_hz = plant.sample_rate_hz / 2.0 * _NYQUIST_SHARE
    close = [hz * (1.0 + _AROUND) for hz in (plant.mode_hz, loop.notch_hz) if hz]
    found = np.concatenate([np.geomspace(LOWEST_HZ, most_hz, _POINTS), [crossover_hz], *close])
    return np.unique(found[(found >= LOWEST_HZ) & (found <= most_hz)])


def _unwrapped(phase_deg: Floats) -> Floats:
    """Join the phase; a loop that integrates begins with lag, so never above 0°."""
    joined = np.unwrap(phase_deg, period=360.0)
    found: Floats = joined - 360.0 * np.ceil(joined[0] / 360.0)
    return found
