"""
The verdict: every reason why a configuration will not fly on this hardware; none if it will.

A vote asks this on the device, the linter, the plan and ``drone-sim check`` before it. What was
judged before is remembered by value, a few hundred verdicts at the most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import radians
from typing import Final

from orchestrator.aim import sampled
from orchestrator.aim.criteria import Criteria, Criterion, Finding, say, unstable
from orchestrator.aim.experiments import Experiment, inputs
from orchestrator.aim.loop import AxisLoop, nonsense
from orchestrator.aim.margins import Margins, margins_of
from orchestrator.aim.measures import Measures, measure
from orchestrator.aim.plant import AxisPlant
from orchestrator.aim.rig import Rig
from orchestrator.aim.sampled import Floats, Lane

REMEMBERED: Final = 256
STANDARD: Final = Criteria()

Axes = tuple[tuple[str, AxisLoop, AxisPlant], ...]


def judge(
    axes: Mapping[str, tuple[AxisLoop, AxisPlant]], criteria: Criteria = STANDARD
) -> tuple[Finding, ...]:
    """
    Return every reason against these axes, axis by axis; empty means that they are sound.

    A criterion that fails at several inertias is told once per axis, where it is worst. Total:
    whatever numbers a loop has, there is an answer. An axis without any is not asked for: leave
    out those that are switched off. About 24 ms of CPU for three axes at 1 kHz, nothing for what
    was asked before (``python -m drone_sim.benchmark.vote``); it grows with the sample rate.
    """
    return _remembered(tuple((name, *pair) for name, pair in axes.items()), criteria)


def judge_anew(axes: Axes, criteria: Criteria = STANDARD) -> tuple[Finding, ...]:
    """Return the same without looking at what was judged before: for measuring."""
    absurd = {name: nonsense(loop, plant) for name, loop, plant in axes}
    sound = tuple(axis for axis in axes if not absurd[axis[0]])
    found = _judged(sound, criteria) if sound else {}
    for name, reasons in absurd.items():
        found.setdefault(name, [])
        found[name] += [
            Finding(axis=name, criterion=Criterion.NONSENSE, said=reason) for reason in reasons
        ]
    return tuple(finding for name in absurd for finding in found[name])


_remembered = lru_cache(maxsize=REMEMBERED)(judge_anew)


def remembered() -> tuple[int, int]:
    """Return how many verdicts were given from memory, and how many are in it."""
    info = _remembered.cache_info()
    return info.hits, info.currsize


def forget() -> None:
    """Remember nothing any more."""
    _remembered.cache_clear()


def _judged(axes: Axes, criteria: Criteria) -> dict[str, list[Finding]]:
    """Judge axes that make sense, all at once; an unstable one is not simulated."""
    lanes = [
        Lane(loop=loop, plant=plant, inertia_factor=factor)
        for _, loop, plant in axes
        for factor in criteria.inertia_factors
    ]
    held = sampled.held(lanes)
    matrix = sampled.updates(lanes, held)
    margins = margins_of(lanes, held, matrix)
    each = len(criteria.inertia_factors)
    found: dict[str, list[Finding]] = {}
    running: dict[str, slice] = {}
    for number, (name, _, _) in enumerate(axes):
        place = slice(number * each, (number + 1) * each)
        found[name] = _instability(name, lanes[place], margins[place])
        if not found[name]:
            running[name] = place
            found[name] = _tightness(name, lanes[place], margins[place], criteria)
    if running:
        _try(running, lanes, matrix, criteria, found)
    return found


def _try(
    running: Mapping[str, slice],
    lanes: Sequence[Lane],
    matrix: Floats,
    criteria: Criteria,
    found: dict[str, list[Finding]],
) -> None:
    """Run the experiments on the axes that are stable, and add what they show."""
    chosen = [number for place in running.values() for number in range(*place.indices(len(lanes)))]
    some = [lanes[number] for number in chosen]
    rig = Rig(some * len(Experiment), matrix[chosen * len(Experiment)])
    measured = measure(some, rig.run(inputs(some, criteria)), criteria)
    each = len(criteria.inertia_factors)
    for number, (name, place) in enumerate(running.items()):
        own = measured[number * each : (number + 1) * each]
        found[name] += _behaviour(name, lanes[place], own, criteria)


def _instability(name: str, lanes: Sequence[Lane], margins: Sequence[Margins]) -> list[Finding]:
    """Find the inertia at which an axis is unstable, the worst if at several."""
    wrong = [
        (one.pole_radius, one, lane)
        for one, lane in zip(margins, lanes, strict=True)
        if not one.stable
    ]
    if not wrong:
        return []
    radius, worst, lane = max(wrong, key=lambda each: each[0])
    return [
        Finding(
            axis=name,
            criterion=Criterion.STABILITY,
            said=unstable(radius, worst.pole_hz, lane.plant.step_s),
            value=radius,
            limit=1.0,
            inertia_factor=lane.inertia_factor,
        )
    ]


Asked = tuple[Criterion, list[float], list[float]]
"""A criterion, what was found at each inertia, and what is allowed there."""


def _tightness(
    name: str, lanes: Sequence[Lane], margins: Sequence[Margins], criteria: Criteria
) -> list[Finding]:
    """Find margins that are too small, and accelerations that the motor can't give."""
    phase = (
        Criterion.PHASE_MARGIN,
        [abs(one.phase_margin_deg) for one in margins],
        [criteria.phase_margin_min_deg] * len(lanes),
    )
    asked: list[Asked] = [
        (
            Criterion.SENSITIVITY_PEAK,
            [one.sensitivity_peak for one in margins],
            [criteria.sensitivity_peak_max] * len(lanes),
        ),
        (
            Criterion.TORQUE,
            [_torque_needed(lane) for lane in lanes],
            [min(lane.loop.torque_max_nm, lane.plant.torque_peak_nm) for lane in lanes],
        ),
    ]
    return [*_too_small(name, lanes, phase), *_too_large(name, lanes, asked)]


def _torque_needed(lane: Lane) -> float:
    """Return what the profile's acceleration takes at full rate, against friction and load."""
    loop, plant = lane.loop, lane.plant
    drag = plant.viscous_nms_rad * radians(loop.rate_max_deg_s) + plant.coulomb_nm
    return lane.inertia_kg_m2 * radians(loop.accel_max_deg_s2) + drag + plant.imbalance_nm


def _behaviour(
    name: str, lanes: Sequence[Lane], measured: Sequence[Measures], criteria: Criteria
) -> list[Finding]:
    """Find what the experiments have shown to be too much."""
    rates = [lane.loop.rate_max_deg_s * criteria.rate_overshoot_max for lane in lanes]
    limits: list[tuple[Criterion, str, list[float]]] = [
        (criterion, figure, [limit] * len(lanes))
        for criterion, figure, limit in (
            (Criterion.OVERSHOOT, "overshoot_pct", criteria.overshoot_max_pct),
            (Criterion.SETTLING, "settling_s", criteria.settling_max_s),
            (Criterion.RESIDUAL, "residual_deg", criteria.residual_max_deg),
            (Criterion.BASE_LEAK, "base_leak_deg", criteria.base_leak_max_deg),
            (Criterion.STEADY_ERROR, "steady_error_deg", criteria.steady_error_max_deg),
        )
    ]
    limits.insert(3, (Criterion.RATE, "rate_peak_deg_s", rates))
    asked = [(which, [getattr(one, f) for one in measured], most) for which, f, most in limits]
    return list(_too_large(name, lanes, asked))


def _too_large(name: str, lanes: Sequence[Lane], asked: Sequence[Asked]) -> Iterator[Finding]:
    for criterion, values, limits in asked:
        excess = [value / limit for value, limit in zip(values, limits, strict=True)]
        worst = excess.index(max(excess))
        if values[worst] > limits[worst]:
            yield _finding(name, lanes[worst], criterion, values[worst], limits[worst])


def _too_small(name: str, lanes: Sequence[Lane], asked: Asked) -> Iterator[Finding]:
    criterion, values, limits = asked
    worst = values.index(min(values))
    if values[worst] < limits[worst]:
        yield _finding(name, lanes[worst], criterion, values[worst], limits[worst])


def _finding(name: str, lane: Lane, criterion: Criterion, value: float, limit: float) -> Finding:
    return Finding(
        axis=name,
        criterion=criterion,
        said=say(criterion, value, limit),
        value=value,
        limit=limit,
        inertia_factor=lane.inertia_factor,
    )
