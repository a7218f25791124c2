"""Small scenarios for tests of the engine, and how to look at what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from drone_sim.checker import Checker
from drone_sim.cores import engine
from drone_sim.cores.engine import Engine
from drone_sim.cores.town import START_S, Setup
from drone_sim.result import Crash, Result
from drone_sim.scenario.model import Act, Link, Pace, Scenario, SimulatedDevice, Verb
from drone_sim.trace import Event, Kind, Trace

LINK: Final = Link(delay_s=0.01, jitter_s=0.0)
PACE: Final = Pace(window_s=0.5, settle_s=1.0, join_s=0.5)
PUSH: Final = Act(at_s=1.0, verb=Verb.PUSH, who="ops")
D1, D2, D3 = "d-01", "d-02", "d-03"


def scenario(*acts: Act, devices: int = 3, safety_s: float = 6.0, **change: Any) -> Scenario:
    """A fleet whose links only delay, and what happens to it."""
    made = tuple(SimulatedDevice(id=f"d-{n:02}", link=LINK) for n in range(1, devices + 1))
    usual = Scenario(
        name="test",
        seed=1,
        devices=made,
        pace=PACE,
        control=LINK,
        acts=tuple(sorted(acts, key=lambda act: act.at_s)),
        safety_s=safety_s,
    )
    return replace(usual, **change)


def act(at_s: float, verb: Verb, *target: str, **more: Any) -> Act:
    """An act on these targets."""
    return Act(at_s=at_s, verb=verb, target=target, **more)


def played(story: Scenario, *crashes: Crash) -> tuple[Result, list[Event]]:
    """Play a scenario that must hold; return its trace, too."""
    trace = Trace()
    result = engine.play(story, trace=trace, crashes=crashes)
    assert () == result.violations, "\n".join(map(str, trace.events[-40:]))
    return result, trace.events


def stopped(story: Scenario, until_s: float) -> Engine:
    """Play a scenario up to an instant of the story, and stop there."""
    checker = Checker(story, utc_at_start_s=START_S)
    town = Engine(Setup(scenario=story, checker=checker))
    town.begin_story()
    town.begin_acts()
    town.run_until(START_S + until_s)
    return town


def of_kind(events: Sequence[Event], kind: Kind, /, **detail: object) -> list[Event]:
    """Return the events of a kind that have these details."""
    return [
        event
        for event in events
        if event.kind is kind and all(event.detail.get(k) == v for k, v in detail.items())
    ]


def records(events: Sequence[Event], name: str) -> list[Event]:
    """Return the journal's records of a kind."""
    return of_kind(events, Kind.JOURNAL, record=name)


def arrived(events: Sequence[Event], message: str, to: str) -> list[Event]:
    """Return the messages of a kind that have reached somebody."""
    return of_kind(events, Kind.MESSAGE, kind=message, to=to, end="arrived")


def versions(town: Engine) -> dict[str, int | None]:
    """Return what each device aims with."""
    return {
        unit.id: None if unit.core is None or unit.frozen else unit.core.operating
        for unit in town.units.values()
    }
