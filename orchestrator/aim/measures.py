"""What is read off the experiments, in the units in which it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from orchestrator.aim.criteria import Criteria
from orchestrator.aim.experiments import Experiment, step_profile, times
from orchestrator.aim.rig import Trace
from orchestrator.aim.sampled import Floats, Lane


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """
    One lane's figures; :class:`.criteria.Criteria` says what each is.

    ``settling_s`` is the horizon where the step has not settled in it.
    """

    overshoot_pct: float
    settling_s: float
    residual_deg: float
    rate_peak_deg_s: float
    base_leak_deg: float
    steady_error_deg: float


def measure(lanes: Sequence[Lane], trace: Trace, criteria: Criteria) -> list[Measures]:
    """Measure each of ``lanes`` in the ``trace`` of all experiments on them."""
    count = len(lanes)
    time_s = times(lanes, len(trace.angle)) + np.array([lane.plant.step_s for lane in lanes])
    step, load, base = (trace.angle[:, kind * count : (kind + 1) * count] for kind in Experiment)
    within = time_s <= criteria.horizon_s * (1.0 + 1e-9)
    resting = within & (time_s > criteria.horizon_s - criteria.rest_s)
    swinging = within & (time_s > criteria.horizon_s - 1.0 / criteria.base_hz)
    target = np.array([step_profile(lane.loop, criteria).target for lane in lanes])
    rate = np.where(within, np.abs(trace.rate[:, :count]), 0.0).max(axis=0)
    figures = (
        100.0 * np.where(within, step / target - 1.0, 0.0).max(axis=0),
        _settling(np.where(within, step - target, 0.0), target, time_s, criteria),
        np.degrees(_rms(step - target, resting)),
        np.degrees(rate),
        np.degrees(_most(base, swinging)),
        np.degrees(_most(load, resting)),
    )
    names = [field.name for field in fields(Measures)]
    return [
        Measures(**dict(zip(names, lane, strict=True))) for lane in np.array(figures).T.tolist()
    ]


def _most(error: Floats, when: Floats) -> Floats:
    found: Floats = np.where(when, np.abs(error), 0.0).max(axis=0)
    return found


def _rms(error: Floats, when: Floats) -> Floats:
    found: Floats = np.sqrt(np.where(when, error * error, 0.0).sum(axis=0) / when.sum(axis=0))
    return found


def _settling(error: Floats, target: Floats, time_s: Floats, criteria: Criteria) -> Floats:
    """Return the last instant outside the band."""
    least = np.radians(criteria.settling_band_min_deg)
    band = np.maximum(target * criteria.settling_band_pct / 100.0, least)
    found: Floats = np.where(np.abs(error) > band, time_s, 0.0).max(axis=0)
    return found
