"""A small story, and somebody dies at every point of it: what is enumerated, not sampled."""

from __future__ import annotations

import pytest

from drone_sim.explore.crashes import Enumeration, Every
from drone_sim.explore.machine import cores
from drone_sim.explore.pool import Pool
from drone_sim.explore.runs import Case, Told, crash_words
from drone_sim.result import Speed
from drone_sim.scenario.model import Act, Scenario, SimulatedDevice, Verb

pytestmark = pytest.mark.timeout(600)


def one_push(devices: int) -> Scenario:
    """So many devices, and one push to them, on links without faults."""
    return Scenario(
        name=f"one push to {devices}",
        seed=1,
        devices=tuple(SimulatedDevice(id=f"d-{number:02}") for number in range(1, devices + 1)),
        acts=(Act(at_s=0.5, verb=Verb.PUSH, who="mira"),),
        safety_s=10.0,
    )


@pytest.mark.parametrize(
    ("devices", "speed", "every", "least"),
    [
        (2, Speed.CORES, Every.EACH, 40),
        (2, Speed.CORES, Every.AWAITS, 40),
        (2, Speed.SHELLS, Every.EACH, 100),
        (1, Speed.CORES, Every.PAIRS, 300),
    ],
)
def test_no_crash_breaks_anything(devices: int, speed: Speed, every: Every, least: int) -> None:
    """
    Every invariant holds wherever a process or a device dies, and all are well in the end.

    There are at least so many points, so that a story that stopped early would be noticed.
    """
    case = Case(seed=1, speed=speed, source=Told(scenario=one_push(devices)))
    enumeration = Enumeration(case=case, every=every)
    with Pool(jobs=cores()) as pool:
        outcomes = list(enumeration.run(pool, keep_going=True))
    failed = {crash_words(ran.case.crashes): ran.violations for ran in outcomes if not ran.held}
    assert {} == failed
    assert least < len(outcomes) == enumeration.total
    assert len(outcomes) == len({ran.case.crashes for ran in outcomes})
