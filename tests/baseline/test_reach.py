"""What happens in a story reaches the scripts and their devices, and does them no wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drone_sim.baseline import SCRIPTS, Mixed, play
from drone_sim.baseline.play import HARMLESS
from drone_sim.scenario.model import Act, Link, Verb
from tests.baseline.stories import PUSH, scenario

EVERYBODY = {"d-1": 2, "d-2": 2, "d-3": 2}
LATER = Act(at_s=2.0, verb=Verb.PUSH, who="mira")


def act(at_s: float, verb: Verb, *target: str, **more: Any) -> Act:
    """Something that happens."""
    return Act(at_s=at_s, verb=verb, target=target, **more)


def pushed(*acts: Act, script: str = "retained") -> Mixed:
    """What comes of a story."""
    return play(scenario(*acts), script)


def after(*acts: Act, script: str = "retained") -> dict[str, int]:
    """What the devices run at the end of a story."""
    return pushed(*acts, script=script).versions


# --- scripts and their machines -----------------------------------------------------------------

LAPTOP = Act(at_s=0.0, verb=Verb.PUSH, who="mira@laptop")


def test_a_process_is_named_with_its_machine() -> None:
    """Killed under the name that it was started under, between two publishes."""
    killed = Act(at_s=0.005, verb=Verb.KILL, who="mira@laptop")
    assert {**EVERYBODY, "d-3": 1} == after(LAPTOP, killed)


def test_another_process_of_that_name_is_another_one() -> None:
    """Mira on the control machine is not mira on the laptop."""
    assert after(LAPTOP, Act(at_s=0.005, verb=Verb.KILL, who="mira")) == EVERYBODY


@pytest.mark.parametrize(("who", "third"), [("noor@laptop", 1), ("noor@desk", 2)])
def test_a_machine_without_power_ends_all_its_scripts(who: str, third: int) -> None:
    """Whoever names it; a script on another machine goes on."""
    cut = Act(at_s=0.005, verb=Verb.POWER_CUT, who=who)
    assert {**EVERYBODY, "d-3": third} == after(LAPTOP, cut)


def test_a_pid_that_is_used_again_is_a_kill() -> None:
    """Its script is gone."""
    assert {**EVERYBODY, "d-3": 1} == after(PUSH, Act(at_s=0.005, verb=Verb.REUSE_PID, who="mira"))


def test_who_was_killed_in_the_line_pushes_nothing() -> None:
    """It waited for the lock, and was killed before that was free."""
    holder = act(0.0, Verb.HOLD_LOCK, who="ops", for_s=5.0)
    waits = Act(at_s=1.0, verb=Verb.PUSH, who="mira", for_s=20.0)
    assert after(holder, waits) == EVERYBODY
    killed = Act(at_s=3.0, verb=Verb.KILL, who="mira")
    assert {"d-1": 1, "d-2": 1, "d-3": 1} == after(holder, waits, killed)


def test_a_script_that_is_cut_off_goes_on_where_it_was() -> None:
    """It waits; then the others are told."""
    cut = act(0.005, Verb.CUT, "mira", for_s=8.0)
    found = pushed(PUSH, cut)
    assert found.versions == EVERYBODY
    assert 7.9 < found.mixed_s < 8.1


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_waits_for_the_broker(script: str) -> None:
    """It was down when the push began; with votes it is too late, with nothing lost."""
    down = act(0.0, Verb.BROKER_KILL, for_s=1.0, word="keeps")
    assert after(down, Act(at_s=0.5, verb=Verb.PUSH, who="mira"), script=script) == EVERYBODY


@pytest.mark.parametrize(("at_s", "third"), [(1.0, 1), (3.0, 2)])
def test_who_is_asked_to_abort_does_so(at_s: float, third: int) -> None:
    """Until the decision: after it nothing changes."""
    asked = Act(at_s=at_s, verb=Verb.ABORT, who="ops")
    assert third == after(PUSH, asked, script="deleted")["d-3"]


@pytest.mark.parametrize(("alive", "second"), [(False, 3), (True, 2)])
def test_recover_deletes_the_lock_of_the_dead_only(second: int, *, alive: bool) -> None:
    """A stopped owner lives: its lock stays, and the next push ends HOT."""
    verb, for_s = (Verb.PAUSE, 20.0) if alive else (Verb.KILL, None)
    stopped = Act(at_s=0.005, verb=verb, who="mira", for_s=for_s)
    recovers = Act(at_s=3.0, verb=Verb.RECOVER, who="ops")
    again = Act(at_s=4.0, verb=Verb.PUSH, who="noor")
    assert second == after(PUSH, stopped, recovers, again)["d-1"]


# --- devices ------------------------------------------------------------------------------------


def test_a_device_that_was_off_finds_what_was_retained() -> None:
    """The benefit of the doubt: a retained message waits for it, and the fleet is whole again."""
    assert after(act(0.0, Verb.CRASH, "d-2", for_s=5.0), PUSH) == EVERYBODY


def test_two_outages_last_to_the_later_end() -> None:
    """The end of the shorter one turns nothing on: it operates nothing before 9 s."""
    outages = act(0.0, Verb.CRASH, "d-2", for_s=9.0), act(1.0, Verb.CRASH, "d-2", for_s=2.0)
    assert pushed(*outages, LATER).mixed_s < 0.1


@pytest.mark.parametrize("verb", [Verb.BROKER_FORGETS, Verb.BROKER_KILL])
def test_a_broker_that_forgets_leaves_it_behind(verb: Verb) -> None:
    """It was off, and what was kept for it is lost."""
    lost = act(2.0, verb, for_s=1.0 if verb is Verb.BROKER_KILL else None)
    assert 1 == after(act(0.0, Verb.CRASH, "d-2", for_s=5.0), PUSH, lost)["d-2"]


def test_a_broker_that_keeps_loses_nothing() -> None:
    """Its queues and retained messages are as they were."""
    away = act(0.0, Verb.CRASH, "d-2", for_s=5.0)
    kept = act(2.0, Verb.BROKER_KILL, for_s=1.0, word="keeps")
    assert after(away, PUSH, kept) == EVERYBODY


def test_a_device_that_stands_still_is_mixed_with_nobody() -> None:
    """Until the end of the safety phase, if nothing is said: it operates nothing meanwhile."""
    found = pushed(act(0.0, Verb.SUSPEND, "d-2"), PUSH)
    assert found.versions == EVERYBODY
    assert found.mixed_s < 0.1


@pytest.mark.parametrize("verb", [Verb.REFUSE, Verb.DISK_FULL, Verb.DISK_FAILS, Verb.HOOK_FAILS])
def test_what_it_can_not_take_it_takes_later(verb: Verb) -> None:
    """It runs the old one for so long, and the others do not."""
    found = pushed(act(0.0, verb, "d-2", for_s=6.0), PUSH)
    assert found.versions == EVERYBODY
    assert 5.9 < found.mixed_s < 6.1


@pytest.mark.parametrize(("verb", "second"), [(Verb.REFUSE, 1), (Verb.HOOK_FAILS, 2)])
def test_a_vote_is_no_where_the_checks_are(verb: Verb, second: int) -> None:
    """The controller is asked only after the decision."""
    assert second == after(act(0.0, verb, "d-2", for_s=6.0), PUSH, script="deleted")["d-1"]


@pytest.mark.parametrize(("percent", "mixed"), [(30.0, False), (15.0, True), (0.0, False)])
def test_a_low_battery_refuses_and_an_empty_one_is_off(percent: float, *, mixed: bool) -> None:
    """Above the reserve nothing happens."""
    low = act(0.0, Verb.LOW_BATTERY, "d-2", for_s=6.0, amount=percent)
    assert mixed == (pushed(low, PUSH).mixed_s > 1.0)


@pytest.mark.parametrize(("write", "version"), [(1.0, 1), (2.0, 2)])
def test_a_device_dies_at_the_write_that_is_said(write: float, version: int) -> None:
    """Before its first one, and what the broker kept for it is forgotten; there is no second."""
    dies = act(0.0, Verb.CRASH_AT_WRITE, "d-2", for_s=4.0, amount=write)
    assert version == after(dies, PUSH, act(2.0, Verb.BROKER_FORGETS))["d-2"]


def test_a_replaced_unit_is_given_what_is_retained() -> None:
    """And operates nothing before that."""
    found = pushed(PUSH, act(5.0, Verb.REPLACE, "d-2"))
    assert found.versions == EVERYBODY
    assert found.mixed_s < 0.1


def test_an_unconfigured_unit_is_mixed_with_nobody() -> None:
    """The broker has forgotten what it would be given."""
    forgot, replaced = act(5.0, Verb.BROKER_FORGETS), act(6.0, Verb.REPLACE, "d-2")
    found = pushed(PUSH, forgot, replaced)
    assert ({**EVERYBODY, "d-2": 0}, False) == (found.versions, found.left_mixed)


def test_who_is_retired_is_out_of_the_fleet() -> None:
    """It is told nothing, and mixed with nobody."""
    found = pushed(act(0.0, Verb.RETIRE, "d-2", who="ops"), LATER)
    assert ({**EVERYBODY, "d-2": 1}, False) == (found.versions, found.left_mixed)


# --- links --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "longest_s"), [(Verb.CUT, 7.2), (Verb.CLOG, 6.1)])
@pytest.mark.parametrize(("word", "waits"), [("", True), ("down", True), ("up", False)])
def test_what_is_sent_to_a_device_waits(
    verb: Verb, word: str, longest_s: float, *, waits: bool
) -> None:
    """Where the way to it is shut; cut off, it must connect anew."""
    found = pushed(act(0.0, verb, "d-2", for_s=6.0, word=word), PUSH)
    assert found.versions == EVERYBODY
    assert waits == (5.9 < found.mixed_s < longest_s)


@pytest.mark.parametrize("verb", [Verb.CUT, Verb.CLOG])
def test_a_vote_that_can_not_be_sent_is_missing(verb: Verb) -> None:
    """The way up alone is shut, for longer than the window."""
    shut = act(0.0, verb, "d-2", for_s=6.0, word="up")
    assert {"d-1": 1, "d-2": 1, "d-3": 1} == after(shut, PUSH, script="deleted")


def test_somebody_with_its_client_id_costs_it_a_connection() -> None:
    """It makes another one, and no more than that."""
    taken = act(0.0, Verb.TAKE_OVER_CLIENT, "d-2")
    assert pushed(taken, PUSH).mixed_s < 2.0


def test_a_lossy_link_sends_again() -> None:
    """It loses everything for four seconds, and TCP gets through after it."""
    found = pushed(act(0.0, Verb.LOSSY, "d-2", for_s=4.0, amount=1.0, word="loses"), PUSH)
    assert found.versions == EVERYBODY
    assert 3.9 < found.mixed_s < 4.4


def test_messages_do_not_overtake_each_other() -> None:
    """On links where one in two is late the second push is still the last word."""
    late = Link(spike=0.5, spike_s=20.0)
    second = Act(at_s=0.1, verb=Verb.PUSH, who="noor")
    slow = scenario(PUSH, second, devices=12)
    devices = tuple(replace(device, link=late) for device in slow.devices)
    found = play(replace(slow, devices=devices), "retained").versions
    assert {3} == set(found.values())


def test_a_full_queue_loses_what_nobody_sends_again() -> None:
    """The broker has said yes to the script: some are told only when they connect anew, healed."""
    dropped = act(0.0, Verb.BROKER_DROPS, for_s=1.0, amount=0.5)
    found = play(scenario(dropped, PUSH, devices=12), "retained")
    assert 29.0 < found.mixed_s < 31.0
    assert {2} == set(found.versions.values())


# --- what does them no harm ---------------------------------------------------------------------


def test_what_is_beyond_our_design_is_not_held_against_theirs() -> None:
    """Stores and clocks do nothing, nor one write that fails; neither do our own ways out."""
    assert {
        *(Verb.STORE_AWAY, Verb.STORE_SLOW, Verb.STORE_LOSES_ANSWERS, Verb.STORE_RESTORED),
        *(Verb.STORE_LIES, Verb.CLOCK_STEP, Verb.CLOCK_DRIFT, Verb.DECIDE, Verb.REPLAY),
        *(Verb.SERVE, Verb.RESEED, Verb.REQUEST_RELEASE, Verb.FAIL_AT_WRITE),
    } == HARMLESS


@pytest.mark.parametrize("verb", [Verb.DISK_LIES, Verb.DAMAGE])
def test_disks_that_lie_or_wear_out_forget_nothing(verb: Verb) -> None:
    """The device is off for a moment, and has what it had."""
    found = pushed(act(0.0, verb, "d-2", for_s=3.0), LATER)
    assert found.versions == EVERYBODY


def test_going_back_to_the_same_bytes_is_not_mixed() -> None:
    """Version 3 has the bytes of version 1, which one device still runs."""
    away = act(0.0, Verb.CUT, "d-2", for_s=29.0)
    twice = PUSH, Act(at_s=2.0, verb=Verb.PUSH, who="noor", word="back")
    assert pushed(away, *twice).mixed_s < 2.1


def test_a_fresh_fleet_is_mixed_with_nobody() -> None:
    """Its devices operate nothing before their first configuration."""
    away = act(0.0, Verb.CUT, "d-2", for_s=20.0)
    found = play(scenario(away, PUSH, fresh=True), "retained")
    assert found.versions == {"d-1": 1, "d-2": 1, "d-3": 1}
    assert found.mixed_s < 0.1
