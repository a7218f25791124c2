"""What wrong clocks do among pure cores."""

from __future__ import annotations

from typing import Final

from drone_sim.scenario.model import Act, Verb
from tests.cores.scenarios import D1, PUSH, act, scenario, stopped

SERVE: Final = Act(at_s=0.0, verb=Verb.SERVE, who="server")


def test_a_clock_drifts_and_is_set_right() -> None:
    """While it drifts it gains; then it only keeps what it has gained."""
    drift = act(1.0, Verb.CLOCK_DRIFT, D1, amount=100_000, for_s=1.0)
    ahead = []
    for at_s in (0.9, 1.5, 2.0, 3.0):
        town = stopped(scenario(drift), at_s)
        unit = town.units[next(iter(town.units))]
        ahead.append(round(unit.reading(town.now) - town.now, 6))
    assert [0.0, 0.05, 0.1, 0.1] == ahead


def test_the_clock_of_a_machine_is_wrong_for_later_processes() -> None:
    """A process reads its wall clock once: a jump changes what is started after it."""
    acts = (SERVE, act(0.5, Verb.CLOCK_STEP, "server", amount=60.0), PUSH)
    town = stopped(scenario(*acts), 1.2)
    assert (0.0, 60.0) == (
        town.processes["server"].offset_s,
        town.processes["ops"].offset_s,
    )
