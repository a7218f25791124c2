"""What a scenario must be, whoever made it: a seed, a person, or a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from drone_sim.scenario.model import Act, Link, Scenario, SimulatedDevice
from drone_sim.scenario.phrases import NAME, RESERVED
from drone_sim.scenario.verbs import TIME_MAX_S, problems
from orchestrator.protocol.types import ID_PATTERN
from orchestrator.staging.fleet import LEASE_MIN_S
from orchestrator.staging.kinds import KINDS

DEVICES_MAX: Final = 200
ACTS_MAX: Final = 2_000
NAME_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}"
OFFSET_MAX_S: Final = 1e9
DRIFT_MAX_PPM: Final = 1_000_000.0


def wrong(scenario: Scenario) -> Iterator[str]:
    """Say everything that makes a scenario unplayable. Whom its acts name need not exist."""
    if not re.fullmatch(NAME_PATTERN, scenario.name):
        yield "name: must be letters, digits, blanks, '.', '_' and '-', at most 100"
    yield from _devices(scenario)
    for device in scenario.devices:
        yield from (f"device {device.id}: {found}" for found in _device(device))
    yield from (f"control: {found}" for found in _link(scenario.control))
    yield from _timings(scenario)
    if len(scenario.acts) > ACTS_MAX:
        yield f"acts: may be at most {ACTS_MAX}"
    for index, act in enumerate(scenario.acts):
        yield from (f"acts[{index}] ({act.verb.value}): {found}" for found in wrong_act(act))
    if any(before.at_s > after.at_s for before, after in pairwise(scenario.acts)):
        yield "acts: must be in the order of their time"


def wrong_act(act: Act) -> Iterator[str]:
    """Say what is wrong with one act: its values, and the names in it."""
    yield from problems(act)
    for name in (*((act.who,) if act.who else ()), *act.target):
        if not re.fullmatch(NAME, name) or name in RESERVED:
            yield f"'{name}' is not a name"
    if act.word != " ".join(act.word.split()) or not act.word.isprintable():
        yield "word must be one line of text, with single blanks"
    if len(set(act.target)) < len(act.target):
        yield "target names somebody twice"


def _devices(scenario: Scenario) -> Iterator[str]:
    if not 1 <= len(scenario.devices) <= DEVICES_MAX:
        yield f"devices: must be 1 to {DEVICES_MAX}"
    if len(set(scenario.names)) < len(scenario.names):
        yield "devices: two have the same id"


def _device(device: SimulatedDevice) -> Iterator[str]:
    if not re.fullmatch(ID_PATTERN, device.id) or device.id in RESERVED:
        yield "the id is not a name"
    if device.kind not in KINDS:
        yield f"kind must be {', '.join(KINDS[:-1])} or {KINDS[-1]}"
    yield from _within("offset_s", device.offset_s, -OFFSET_MAX_S, OFFSET_MAX_S)
    yield from _within("drift_ppm", device.drift_ppm, -DRIFT_MAX_PPM / 2, DRIFT_MAX_PPM)
    yield from _within("battery_percent", device.battery_percent, 0, 100)
    yield from (f"link: {found}" for found in _link(device.link))


def _link(link: Link) -> Iterator[str]:
    for name in ("delay_s", "up_s", "jitter_s", "spike_s"):
        yield from _within(name, getattr(link, name), 0, TIME_MAX_S)
    for name in ("loss", "duplicate", "spike"):
        yield from _within(name, getattr(link, name), 0, 1)


def _timings(scenario: Scenario) -> Iterator[str]:
    pace, store = scenario.pace, scenario.store
    if pace.window_s is not None:
        yield from _within("pace: window_s", pace.window_s, 0.05, TIME_MAX_S)
    yield from _within("pace: clock_error_s", pace.clock_error_s, 0.001, 10)
    yield from _within("pace: settle_s", pace.settle_s, 0.1, TIME_MAX_S)
    yield from _within("pace: join_s", pace.join_s, 0.01, TIME_MAX_S)
    if pace.lease_s is not None:
        yield from _within("pace: lease_s", pace.lease_s, LEASE_MIN_S, TIME_MAX_S)
    yield from _within("store: append_s", store.append_s, 0, 60)
    yield from _within("store: loses_answer", store.loses_answer, 0, 1)
    yield from _within("safety_s", scenario.safety_s, 0, TIME_MAX_S)
    yield from _within("liveness_s", scenario.liveness_s, 1, TIME_MAX_S)


def _within(name: str, value: float, least: float, most: float) -> Iterator[str]:
    if not least <= value <= most:  # no number at all is within nothing
        yield f"{name} must be within {least:g} and {most:g}"
