"""Whom an act touches: the checker is told of those alone, and of the same at its end."""

from __future__ import annotations

from typing import Final

import pytest

from drone_sim.checker import Checker
from drone_sim.cores.engine import Engine
from drone_sim.cores.town import START_S, Setup
from drone_sim.scenario.model import Act, Scenario, Verb
from tests.cores.scenarios import D1, D2, PUSH, act, scenario

SERVE: Final = Act(at_s=0.0, verb=Verb.SERVE, who="server")


class Notes(Checker):
    """A checker that notes which faults it is told of."""

    began: list[Act]
    ended: list[Act]

    def fault_began(self, act: Act) -> None:
        """Note one that begins."""
        self.began.append(act)
        super().fault_began(act)

    def fault_ended(self, act: Act) -> None:
        """Note one that ends."""
        self.ended.append(act)
        super().fault_ended(act)


def told(story: Scenario, verb: Verb, until_s: float = 5.0) -> tuple[list[Act], list[Act]]:
    """Return what the checker was told of a verb: what began, and what ended."""
    checker = Notes(story, utc_at_start_s=START_S)
    checker.began, checker.ended = [], []
    town = Engine(Setup(scenario=story, checker=checker))
    town.begin_story()
    town.begin_acts()
    town.run_until(START_S + until_s)
    return (
        [one for one in checker.began if one.verb is verb],
        [one for one in checker.ended if one.verb is verb],
    )


NOBODY: Final = (
    act(2.0, Verb.CUT, "d-99", for_s=1.0),
    act(2.0, Verb.LOSSY, "d-99", amount=0.5, for_s=1.0),
    act(2.0, Verb.TAKE_OVER_CLIENT, "gone"),
    act(2.0, Verb.REPLAY, "d-99", amount=3),
    act(2.0, Verb.CRASH, "d-99"),
    act(2.0, Verb.CRASH_AT_WRITE, "d-99", amount=1),
    act(2.0, Verb.REPLACE, "d-99"),
    act(2.0, Verb.DISK_LIES, "d-99", for_s=1.0),
    act(2.0, Verb.DAMAGE, "d-99"),
    act(2.0, Verb.CLOCK_STEP, "gone", amount=1.0, for_s=1.0),
    act(2.0, Verb.LOW_BATTERY, "d-99", amount=5, for_s=1.0),
)


@pytest.mark.parametrize("nobody", NOBODY, ids=lambda one: one.verb.value)
def test_an_act_that_touches_nobody_excuses_nobody(nobody: Act) -> None:
    """The checker is not told of it: without a target it would excuse everybody."""
    assert ([], []) == told(scenario(SERVE, PUSH, nobody), nobody.verb)


def test_an_act_on_everybody_names_everybody() -> None:
    """What no target means is said by the engine, which knows who is there."""
    began, ended = told(scenario(SERVE, act(2.0, Verb.CUT, for_s=1.0)), Verb.CUT)
    assert [("d-01", "d-02", "d-03")] * 2 == [one.target for one in (*began, *ended)]


def test_it_ends_for_whom_it_began() -> None:
    """A process that has ended meanwhile was touched all the same: so were those who wait."""
    cut = act(1.0, Verb.CUT, D1, "ops", for_s=2.0)
    kill = act(2.0, Verb.KILL, who="ops")
    began, ended = told(scenario(SERVE, act(0.9, Verb.PUSH, who="ops"), cut, kill), Verb.CUT)
    assert [(D1, "ops")] == [one.target for one in began]
    assert began == ended


def test_who_is_named_twice_is_touched_once() -> None:
    """It counts as one device: the other word for it is no process."""
    began, _ = told(scenario(SERVE, act(2.0, Verb.CUT, D1, D1, for_s=1.0)), Verb.CUT)
    assert [(D1,)] == [one.target for one in began]


def test_a_replay_touches_those_who_have_a_past() -> None:
    """Who never heard such a message hears none again."""
    again = act(4.0, Verb.REPLAY, D1, D2, amount=3, word="catch-up")
    began, _ = told(scenario(SERVE, act(1.0, Verb.REPLACE, D2), again), Verb.REPLAY)
    assert [(D2,)] == [one.target for one in began]


def test_a_lie_that_is_over_is_told_once() -> None:
    """It begins with the loss of power, and ends when the device is back."""
    lies = act(2.0, Verb.DISK_LIES, D1, for_s=0.5)
    began, ended = told(scenario(SERVE, lies), Verb.DISK_LIES)
    assert [2.5] == [one.at_s for one in began]
    assert began == ended
