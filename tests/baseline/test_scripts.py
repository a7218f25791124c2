"""What the scripts do to a fleet: each of their stories in a few lines."""

from __future__ import annotations

import pytest

from drone_sim.baseline import SCRIPTS, play
from drone_sim.scenario.model import Act, Verb
from tests.baseline.stories import PUSH, scenario

OFF = Act(at_s=0.0, verb=Verb.CRASH, target=("d-2",), for_s=5.0)
FORCED = Act(at_s=3.0, verb=Verb.FORCE_UNLOCK, who="ops")
BETWEEN_TWO_S = 0.005
"""After two publishes, before the third."""


def versions(*acts: Act, script: str) -> dict[str, int]:
    """What the devices run in the end."""
    return play(scenario(*acts), script).versions


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_push_without_faults_reaches_everybody(script: str) -> None:
    """The scripts work, as long as nothing goes wrong."""
    mixed = play(scenario(PUSH), script)
    assert ({"d-1": 2, "d-2": 2, "d-3": 2}, False) == (mixed.versions, mixed.left_mixed)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_lock_is_given_back(script: str) -> None:
    """A second push, later, finds it free and reaches everybody too."""
    again = Act(at_s=10.0, verb=Verb.PUSH, who="noor")
    assert {"d-1": 3, "d-2": 3, "d-3": 3} == versions(PUSH, again, script=script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_lock_that_is_there_keeps_others_out(script: str) -> None:
    """The owner is dead and nobody deletes it: HOT for ever."""
    killed = Act(at_s=0.001, verb=Verb.KILL, who="mira")
    second = Act(at_s=5.0, verb=Verb.PUSH, who="noor")
    assert 3 not in versions(PUSH, killed, second, script=script).values()


def test_a_script_that_dies_half_way_leaves_the_fleet_mixed() -> None:
    """Some have the new configuration, and nobody will ever tell the others."""
    mixed = play(scenario(PUSH, Act(at_s=BETWEEN_TWO_S, verb=Verb.KILL, who="mira")), "retained")
    assert {"d-1": 2, "d-2": 2, "d-3": 1} == mixed.versions
    assert mixed.left_mixed


def test_two_phase_commit_waits_for_every_vote() -> None:
    """One that is off keeps the fleet on the old version."""
    assert {"d-1": 1, "d-2": 1, "d-3": 1} == versions(OFF, PUSH, script="deleted")


def test_a_deleted_lock_lets_a_zombie_split_the_fleet() -> None:
    """Stopped between two decisions; the lock is deleted; it goes on twenty seconds later."""
    stopped = Act(at_s=2.0 + BETWEEN_TWO_S, verb=Verb.PAUSE, who="mira", for_s=20.0)
    mixed = play(scenario(PUSH, stopped, FORCED), "deleted")
    assert {"d-1": 2, "d-2": 2, "d-3": 2} == mixed.versions
    assert 19.0 < mixed.mixed_s < 21.0


def test_deleting_the_lock_of_a_dead_coordinator_resolves_nothing() -> None:
    """It died between two decisions: the third device waits for ever."""
    killed = Act(at_s=2.0 + BETWEEN_TWO_S, verb=Verb.KILL, who="mira")
    assert {"d-1": 2, "d-2": 2, "d-3": 1} == versions(PUSH, killed, FORCED, script="deleted")


def test_a_zombie_commits_what_was_pushed_over() -> None:
    """
    Stopped before its decisions, it goes on after another push that one device never heard of.

    Everybody prepared for the second one, which was aborted; the one that was off kept its
    promise to the first, and obeys it.
    """
    stopped = Act(at_s=1.0, verb=Verb.PAUSE, who="mira", for_s=20.0)
    away = Act(at_s=3.0, verb=Verb.CUT, target=("d-3",), for_s=27.0)
    second = Act(at_s=4.0, verb=Verb.PUSH, who="noor")
    lost = Act(at_s=15.0, verb=Verb.BROKER_FORGETS)
    found = play(scenario(PUSH, stopped, FORCED, away, second, lost), "deleted")
    assert ({"d-1": 1, "d-2": 1, "d-3": 2}, True) == (found.versions, found.left_mixed)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_scenario_is_the_same_run(script: str) -> None:
    """Chance comes from the seed alone."""
    acts = (PUSH, Act(at_s=0.0, verb=Verb.LOSSY, amount=0.5))
    assert play(scenario(*acts), script) == play(scenario(*acts), script)
