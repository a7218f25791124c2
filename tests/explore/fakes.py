"""Scenarios, and engines that play nothing: what they answer depends on the case alone."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import replace

from drone_sim.explore.runs import Case, Told
from drone_sim.result import Crash, Figures, Hold, Result, Speed
from drone_sim.scenario.model import (
    Act,
    Link,
    Pace,
    Scenario,
    SimulatedDevice,
    StoreQuality,
    Verb,
)
from drone_sim.trace import Kind, Trace
from orchestrator.protocol.invariants import Violation

MIXED = Violation(id="I5", text="d-01 operates 1, d-02 operates 2")
SEAMS = 4


def device(number: int) -> SimulatedDevice:
    """A device that is not quite well."""
    return SimulatedDevice(
        id=f"d-{number:02}",
        kind="arm",
        offset_s=3.25 * number,
        drift_ppm=12.5,
        link=Link(loss=0.1, jitter_s=0.02),
    )


def story(devices: int = 5, acts: tuple[Act, ...] = ()) -> Scenario:
    """A scenario with these acts."""
    return Scenario(
        name="a story",
        seed=3,
        devices=tuple(device(number) for number in range(1, devices + 1)),
        pace=Pace(settle_s=2.5),
        store=StoreQuality(append_s=0.01, loses_answer=0.05),
        control=Link(loss=0.2),
        acts=acts,
        safety_s=40.0,
    )


STORY = story(
    acts=(
        Act(at_s=0.51234, verb=Verb.PUSH, who="mira"),
        Act(at_s=1.0, verb=Verb.CUT, target=("d-03",), for_s=2.0),
        Act(at_s=1.71828, verb=Verb.KILL, who="mira"),
        Act(at_s=2.0, verb=Verb.CRASH, target=("d-01", "d-02", "d-04"), for_s=1.0),
        Act(at_s=3.0, verb=Verb.FORCE_UNLOCK, who="ops"),
        Act(at_s=4.0, verb=Verb.DISK_FULL, target=("d-05",), for_s=5.0),
        Act(at_s=9.0, verb=Verb.PUSH, who="noor"),
        Act(at_s=30.0, verb=Verb.BROKER_KILL),
    )
)


def case(seed: int = 3, speed: Speed = Speed.CORES, scenario: Scenario = STORY) -> Case:
    """A case of the story."""
    return Case(seed=seed, speed=speed, source=Told(scenario=scenario))


def cases(first: int, last: int, speed: Speed = Speed.CORES) -> list[Case]:
    """Cases of these seeds, both included."""
    return [case(seed, speed) for seed in range(first, last + 1)]


def result(case: Case, *violations: Violation, at_s: float | None = None) -> Result:
    """What an engine answers: figures that tell the seed, and a trace where it is wanted."""
    scenario = case.scenario()
    trace = Trace() if case.traced else None
    if trace is not None:
        trace.note(0.0, Kind.PHASE, "world", "the story begins")
        trace.note(1.0, Kind.NOTICE, "d-01", f"seed {case.seed}")
    return Result(
        scenario=scenario,
        speed=case.speed,
        violations=violations,
        violated_at_s=at_s,
        goals=Counter({"commit": 1}),
        figures=figures(case.seed),
        trace=trace,
    )


def figures(seed: int) -> Figures:
    """Figures of a run that took as many virtual seconds as its seed says."""
    return Figures(
        virtual_s=float(seed),
        steps=10,
        messages=20,
        seams=SEAMS,
        awaits=2,
        acts=Counter({"push": 1, "crash": 2, "loss": 3}),
        committed=1,
        holds=(Hold(device="d-01", began_s=1.0, lasted_s=seed / 10, budget_s=10.0),),
        skews_s=(0.001,),
    )


# --- engines, of a module: they go to other processes ------------------------------------------


def held(case: Case) -> Result:
    """Everything holds."""
    return result(case)


def thirteenth_fails(case: Case) -> Result:
    """Seed 13, and every later one that ends with 3, is mixed at 2.5 s."""
    if case.seed >= 13 and case.seed % 10 == 3:
        return result(case, MIXED, at_s=2.5)
    return held(case)


def fifth_kills_its_process(case: Case) -> Result:
    """What an exhausted machine does."""
    if case.seed == 5:
        signal.raise_signal(signal.SIGKILL)
    return held(case)


def third_interrupts(case: Case) -> Result:
    """Somebody presses Ctrl-C while seed 3 is played in this process."""
    if case.seed == 3:
        signal.raise_signal(signal.SIGINT)
    return held(case)


def second_crash_fails(case: Case) -> Result:
    """
    Without a crash there are SEAMS seams, with one there is one less.

    It is mixed if somebody dies at seam 2 and again at seam 3.
    """
    if case.crashes == (Crash(at=2), Crash(at=3)):
        return result(case, MIXED, at_s=2.5)
    played = result(case)
    seams = SEAMS - len(case.crashes)
    return replace(played, figures=replace(played.figures, seams=seams))


def crash_at_two_fails(case: Case) -> Result:
    """It is mixed if somebody dies at seam 2."""
    if Crash(at=2) in case.crashes:
        return result(case, MIXED, at_s=2.5)
    return held(case)
