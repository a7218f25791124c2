"""A failing scenario becomes as small as it can, and stays one that fails in the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from drone_sim.explore import simpler
from drone_sim.explore.runs import BROKEN, Case
from drone_sim.explore.shrink import Shrunk, kind_of, shrink
from drone_sim.result import Crash, Result
from drone_sim.scenario.checks import wrong
from drone_sim.scenario.model import Act, Link, Pace, Scenario, SimulatedDevice, StoreQuality, Verb
from orchestrator.protocol.invariants import Violation
from tests.explore import fakes

Fails = Callable[[Scenario], bool]


def played_by(fails: Fails, seen: list[Scenario] | None = None) -> Callable[[Case], Result]:
    """An engine in which I5 does not hold where ``fails`` says so."""

    def play(case: Case) -> Result:
        scenario = case.scenario()
        if seen is not None:
            seen.append(scenario)
        if not scenario.devices:
            return fakes.result(case, Violation(id="I3", text="another thing"))
        return fakes.result(case, fakes.MIXED, at_s=9.5) if fails(scenario) else fakes.held(case)

    return play


def shrunk(fails: Fails, scenario: Scenario = fakes.STORY, *, runs_max: int = 2000) -> Shrunk:
    """Shrink a scenario that fails."""
    case, play = fakes.case(scenario=scenario), played_by(fails)
    return shrink(case, play(case), playing=play, runs_max=runs_max)


def verbs(scenario: Scenario) -> list[Verb]:
    """What happens in it, in order."""
    return [act.verb for act in scenario.acts]


def needs(*wanted: Verb) -> Fails:
    """It fails where all of these happen."""
    return lambda scenario: set(wanted) <= set(verbs(scenario))


def test_only_what_matters_is_left() -> None:
    """Two acts of eight are needed, and one device: that is what is left."""
    found = shrunk(needs(Verb.PUSH, Verb.FORCE_UNLOCK))
    smallest = found.result.scenario
    assert [Verb.FORCE_UNLOCK, Verb.PUSH] == sorted(verbs(smallest))
    assert 1 == len(smallest.devices)
    assert found.complete


def test_what_is_left_is_plain() -> None:
    """Links, clocks, store and timing that do not matter are as good as they can be."""
    smallest = shrunk(needs(Verb.PUSH)).result.scenario
    assert (SimulatedDevice(id=smallest.names[0], kind="arm"),) == smallest.devices
    plain = (Link(), StoreQuality(), Pace())
    assert plain == (smallest.control, smallest.store, smallest.pace)


def test_a_quality_that_matters_stays() -> None:
    """One lossy link of five is needed: it stays, the others do not."""

    def fails(scenario: Scenario) -> bool:
        return any(one.id == "d-04" and one.link.loss for one in scenario.devices)

    (device,) = shrunk(fails).result.scenario.devices
    assert ("d-04", 0.1, 0.0) == (device.id, device.link.loss, device.offset_s)


def test_times_are_round() -> None:
    """An instant that does not matter is a whole second, one that does is said coarsely."""

    def fails(scenario: Scenario) -> bool:
        return any(act.verb is Verb.KILL and 1.7 <= act.at_s < 1.73 for act in scenario.acts)

    (act,) = shrunk(fails).result.scenario.acts
    assert (Verb.KILL, 1.7) == (act.verb, act.at_s)


def test_nothing_is_left_after_the_violation() -> None:
    """The safety phase ends soon after it; the time to get well is what it was."""
    smallest = shrunk(needs(Verb.PUSH)).result.scenario
    assert smallest.safety_s <= 11.0
    assert fakes.STORY.liveness_s == smallest.liveness_s


def test_another_violation_is_not_the_same() -> None:
    """A candidate in which only another invariant fails is not taken."""

    def play(case: Case) -> Result:
        few = len(case.scenario().devices) < 3
        broken = Violation(id="I6", text="not well") if few else fakes.MIXED
        return fakes.result(case, broken, at_s=9.5)

    case = fakes.case()
    found = shrink(case, play(case), playing=play, runs_max=2000)
    assert 3 == len(found.result.scenario.devices)


def test_crashes_that_do_not_matter_go() -> None:
    """Of three points one is needed."""
    case = replace(fakes.case(), crashes=(Crash(at=1), Crash(at=2), Crash(at=9, await_=True)))
    play = fakes.crash_at_two_fails
    assert (Crash(at=2),) == shrink(case, play(case), playing=play).case.crashes


def test_the_number_of_runs_is_bounded() -> None:
    """Where there was more to try, that is said; what was found so far is there."""
    found = shrunk(needs(Verb.PUSH, Verb.FORCE_UNLOCK), runs_max=3)
    assert (3, False) == (found.runs, found.complete)
    assert not found.result.held


def test_nothing_is_played_twice() -> None:
    """Every candidate is another scenario."""
    seen: list[Scenario] = []
    play = played_by(needs(Verb.PUSH, Verb.FORCE_UNLOCK), seen)
    case = fakes.case()
    found = shrink(case, play(case), playing=play, runs_max=2000)
    assert len(set(seen)) == len(seen) == found.runs + 1


def test_every_candidate_is_a_scenario() -> None:
    """Nothing that is tried would be refused as a document."""
    seen: list[Scenario] = []
    play = played_by(needs(Verb.PUSH), seen)
    case = fakes.case()
    shrink(case, play(case), playing=play, runs_max=2000)
    assert [] == [list(wrong(scenario)) for scenario in seen if any(wrong(scenario))]


def test_ctrl_c_keeps_what_was_found() -> None:
    """Whoever has seen enough gets the smallest so far."""
    play = played_by(needs(Verb.PUSH))

    def impatient(number: int, _smallest: Scenario) -> None:
        if number == 5:
            raise KeyboardInterrupt

    case = fakes.case()
    found = shrink(case, play(case), playing=play, on_run=impatient)
    assert (5, False) == (found.runs, found.complete)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("KeyError in the simulator itself: 'd-01'", "X: KeyError"),
        ("d-12: ValueError: no device d-3", "X: ValueError"),
        ("everybody waits for ever", "X"),
    ],
)
def test_an_error_of_a_program_keeps_its_kind(text: str, kind: str) -> None:
    """A defect is followed by what kind of error it is, whoever raises it."""
    assert kind == kind_of(Violation(id=BROKEN, text=text))


# --- the ways -----------------------------------------------------------------------------------


def test_an_act_goes_with_its_last_target() -> None:
    """Without its target it would be aimed at everybody."""
    left = simpler.with_devices(fakes.STORY, [fakes.device(1), fakes.device(2)])
    assert Verb.CUT not in verbs(left)
    assert ("d-01", "d-02") == next(a.target for a in left.acts if a.verb is Verb.CRASH)


def test_a_push_stays_without_those_it_leaves_out() -> None:
    """For a push an empty target means that nobody is left out."""
    push = Act(at_s=1.0, verb=Verb.PUSH, who="mira", target=("d-02",))
    left = simpler.with_devices(fakes.story(2, (push,)), [fakes.device(1)])
    assert (replace(push, target=()),) == left.acts


def test_an_amount_is_not_rounded_out_of_its_range() -> None:
    """A value that the verb does not allow is left as it is."""
    drift = Act(at_s=1.06, verb=Verb.LOSSY, target=("d-01",), amount=0.4, for_s=1.0)
    rounded = list(simpler.rounder(fakes.story(1, (drift,))))
    assert [] == [scenario for scenario in rounded if any(wrong(scenario))]
    assert 1.0 == rounded[0].acts[0].at_s
