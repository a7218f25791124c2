"""
Ways to make a scenario smaller or plainer: pure functions, each of which keeps it a scenario.

None makes a time shorter in which everybody must be well again: what is not well by then would
be a violation of our own making.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from drone_sim.scenario.model import Act, Link, Pace, Scenario, SimulatedDevice, StoreQuality
from drone_sim.scenario.verbs import VERBS, Target, problems

AFTER_S: Final = 1.0
"""How much of the safety phase is left after the instant of the violation."""

DECIMALS: Final = (0, 1, 2, 3)
"""How coarsely a time is said: the coarsest first."""


def with_acts(scenario: Scenario, acts: Sequence[Act]) -> Scenario:
    """Return it with these acts only, in the order of their time."""
    return replace(scenario, acts=tuple(sorted(acts, key=lambda act: act.at_s)))


def with_devices(scenario: Scenario, devices: Sequence[SimulatedDevice]) -> Scenario:
    """
    Return it with these devices only.

    An act that was aimed at others alone goes with them: an empty target would mean everybody,
    but for a push, which leaves its targets out.
    """
    gone = set(scenario.names) - {device.id for device in devices}
    acts = tuple(act for each in scenario.acts if (act := _spared(each, gone)) is not None)
    return replace(scenario, devices=tuple(devices), acts=acts)


def _spared(act: Act, gone: set[str]) -> Act | None:
    target = tuple(name for name in act.target if name not in gone)
    if act.target and not target and VERBS[act.verb].target is not Target.LEFT_OUT:
        return None
    return replace(act, target=target) if target != act.target else act


def cut_off(scenario: Scenario, violated_at_s: float | None) -> Scenario:
    """Return it without what comes after the violation, if that was in the safety phase."""
    if violated_at_s is None or violated_at_s >= scenario.safety_s:
        return scenario
    end_s = min(scenario.safety_s, float(math.ceil(violated_at_s + AFTER_S)))
    acts = tuple(act for act in scenario.acts if act.at_s <= violated_at_s)
    return replace(scenario, acts=acts, safety_s=end_s)


def plainer(scenario: Scenario) -> Iterator[Scenario]:
    """Yield it with qualities that are as good as they can be: all at once, then one by one."""
    parts: list[Callable[[Scenario], Scenario]] = [
        lambda one: replace(one, control=Link()),
        lambda one: replace(one, store=StoreQuality()),
        lambda one: replace(one, pace=Pace()),
        lambda one: replace(one, devices=tuple(_plain(device) for device in one.devices)),
    ]
    all_plain = scenario
    for part in parts:
        all_plain = part(all_plain)
    yield all_plain
    yield from (part(scenario) for part in parts)
    for index, device in enumerate(scenario.devices):
        for better in _better(device):
            devices = list(scenario.devices)
            devices[index] = better
            yield replace(scenario, devices=tuple(devices))


def _plain(device: SimulatedDevice) -> SimulatedDevice:
    return SimulatedDevice(id=device.id, kind=device.kind)


def _better(device: SimulatedDevice) -> Iterator[SimulatedDevice]:
    yield _plain(device)
    yield replace(device, link=Link())
    yield replace(device, offset_s=0.0, drift_ppm=0.0)


def fewer_targets(scenario: Scenario) -> Iterator[Scenario]:
    """Yield it with an act that is aimed at one device instead of several."""
    for index, act in enumerate(scenario.acts):
        if len(act.target) > 1:
            for name in act.target:
                yield _with_act(scenario, index, replace(act, target=(name,)))


def rounder(scenario: Scenario) -> Iterator[Scenario]:
    """Yield it with times and amounts of fewer digits: all at once, then act by act."""
    for decimals in DECIMALS:
        yield with_acts(scenario, [_rounded(act, decimals) for act in scenario.acts])
    for index, act in enumerate(scenario.acts):
        for decimals in DECIMALS:
            yield _with_act(scenario, index, _rounded(act, decimals))


def _rounded(act: Act, decimals: int) -> Act:
    """Round what of it may be rounded: an act that its verb does not allow is left alone."""
    times = replace(
        act,
        at_s=round(act.at_s, decimals),
        for_s=None if act.for_s is None else round(act.for_s, decimals),
    )
    every = replace(times, amount=round(times.amount, decimals))
    return next((one for one in (every, times) if not any(problems(one))), act)


def _with_act(scenario: Scenario, index: int, act: Act) -> Scenario:
    acts = list(scenario.acts)
    acts[index] = act
    return with_acts(scenario, acts)


def shorter(scenario: Scenario) -> Iterator[Scenario]:
    """Yield it with a shorter safety phase: down to the last act, or half of what it is."""
    last_s = max((act.at_s + (act.for_s or 0.0) for act in scenario.acts), default=0.0)
    for end_s in (float(math.ceil(last_s + AFTER_S)), float(math.ceil(scenario.safety_s / 2))):
        if end_s < scenario.safety_s:
            yield replace(scenario, safety_s=end_s)
    for index, act in enumerate(scenario.acts):
        if act.for_s:
            yield _with_act(scenario, index, replace(act, for_s=round(act.for_s / 2, 3)))
