"""What each verb does among pure cores; the table of meanings is drone_sim.scenario.verbs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pytest

from drone_sim.cores.lines import HEALTHY
from drone_sim.scenario.model import Act, Link, Scenario, StoreQuality, Verb
from drone_sim.scenario.verbs import VERBS
from drone_sim.trace import Kind
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import Outcome
from tests.cores.scenarios import (
    D1,
    D2,
    D3,
    LINK,
    PUSH,
    act,
    arrived,
    of_kind,
    played,
    records,
    scenario,
    stopped,
    versions,
)

SERVE: Final = Act(at_s=0.0, verb=Verb.SERVE, who="server")

EACH: Final[Mapping[Verb, Act]] = {
    one.verb: one
    for one in (
        PUSH,
        SERVE,
        act(1.1, Verb.FORCE_UNLOCK, who="other"),
        act(1.1, Verb.RECOVER, who="other"),
        act(1.1, Verb.BREAK_GLASS, who="other"),
        act(1.1, Verb.REQUEST_RELEASE, who="other"),
        act(1.1, Verb.ABORT, who="other"),
        act(1.1, Verb.RESEED, who="other"),
        act(0.5, Verb.HOLD_LOCK, who="other", for_s=1.0),
        act(0.5, Verb.RETIRE, D3, who="other"),
        act(1.3, Verb.DECIDE, D1, who="other", word="abort"),
        act(1.1, Verb.KILL, who="ops"),
        act(1.1, Verb.PAUSE, who="ops", for_s=1.0),
        act(1.1, Verb.REUSE_PID, who="ops"),
        act(1.1, Verb.POWER_CUT, who="ops"),
        act(1.1, Verb.STORE_AWAY, for_s=1.0),
        act(1.0, Verb.STORE_SLOW, amount=0.1, for_s=2.0),
        act(1.0, Verb.STORE_LOSES_ANSWERS, amount=0.9, for_s=2.0),
        act(1.3, Verb.STORE_RESTORED, amount=2),
        act(0.9, Verb.STORE_LIES, for_s=0.2),
        act(1.1, Verb.BROKER_KILL, for_s=1.0, word="forgets"),
        act(1.1, Verb.BROKER_FORGETS),
        act(1.0, Verb.BROKER_SLOW, amount=0.05, for_s=2.0),
        act(1.0, Verb.BROKER_DROPS, amount=0.5, for_s=2.0),
        act(1.1, Verb.CUT, D1, for_s=1.0),
        act(1.1, Verb.CLOG, D1, for_s=1.0),
        act(1.0, Verb.LOSSY, D1, amount=0.5, for_s=2.0, word="delays"),
        act(2.0, Verb.REPLAY, amount=20),
        act(1.1, Verb.TAKE_OVER_CLIENT, D1, "ops"),
        act(1.1, Verb.CRASH, D1, word="kill"),
        act(1.0, Verb.CRASH_AT_WRITE, D1, amount=6),
        act(1.1, Verb.REPLACE, D1),
        act(1.1, Verb.SUSPEND, D1, for_s=1.0),
        act(1.0, Verb.DISK_FULL, D1, for_s=1.0),
        act(1.0, Verb.DISK_FAILS, D1, for_s=1.0),
        act(1.0, Verb.FAIL_AT_WRITE, D1, amount=6),
        act(1.0, Verb.DISK_SLOW, D1, amount=0.1, for_s=1.0),
        act(1.0, Verb.DISK_LIES, D1, for_s=0.1),
        act(1.1, Verb.DAMAGE, D1),
        act(1.1, Verb.CLOCK_STEP, D1, amount=0.3, for_s=1.0),
        act(1.1, Verb.CLOCK_DRIFT, D1, amount=100_000, for_s=1.0),
        act(0.9, Verb.LOW_BATTERY, D1, amount=15, for_s=1.0),
        act(0.9, Verb.REFUSE, D1, for_s=1.0, word="lens cap on"),
        act(0.9, Verb.HOOK_FAILS, D1, for_s=2.0),
    )
}
"""One act of each verb, beside a push at 1 s."""


def test_each_verb_is_tried() -> None:
    """No verb of the table is left out here."""
    assert list(VERBS) == [verb for verb in VERBS if verb in EACH]


@pytest.mark.parametrize("verb", list(Verb))
def test_it_takes_place_and_breaks_nothing(verb: Verb) -> None:
    """The act is counted, the story holds, and in the end a push commits."""
    acts = {PUSH, SERVE, EACH[verb]}
    result, _ = played(scenario(*sorted(acts, key=lambda one: one.verb.value), safety_s=8.0))
    assert 1 == result.figures.acts[verb.value]


# --- people -------------------------------------------------------------------------------------


def test_a_push_goes_to_everybody_but_whom_it_leaves_out() -> None:
    """Whoever is left out is no member, though it is away; it is caught up when it is back."""
    away = act(0.5, Verb.CRASH, D3, for_s=3.0)
    without = act(1.0, Verb.PUSH, D3, who="ops")
    town = stopped(scenario(SERVE, away, without), 3.0)
    assert (2, {D1: 2, D2: 2, D3: None}) == (town.state.version, versions(town))
    town.run_until(town.now + 2.0)
    assert {D1: 2, D2: 2, D3: 2} == versions(town)


def test_a_push_back_brings_the_bytes_of_version_1() -> None:
    """It is a version of its own, with the digests of version 1."""
    town = stopped(scenario(PUSH, act(3.0, Verb.PUSH, who="later", word="back")), 6.0)
    assert 3 == town.state.version
    digests = {name: unit.disk.digest for name, unit in town.units.items()}
    assert {D1: "sha256:t1-d-01", D2: "sha256:t1-d-02", D3: "sha256:t1-d-03"} == digests


def test_a_push_of_what_is_there_is_nothing() -> None:
    """The lock is given back, and nothing was begun."""
    _, events = played(scenario(act(1.0, Verb.PUSH, who="ops", word="back")))
    assert ["t2"] == [event.detail["txn"] for event in records(events, "begun")][-1:]
    assert 1 == len(records(events, "begun"))


def test_a_push_with_a_time_out_asks_for_abort() -> None:
    """Without a decision after so long it aborts, whatever the window allows."""
    silent = act(1.0, Verb.CUT, D1, for_s=3.0)
    hasty = act(1.1, Verb.PUSH, who="ops", amount=0.6)
    _, events = played(scenario(silent, hasty))
    (begun, decided) = (records(events, "begun")[0], records(events, "decided")[0])
    assert 0.2 > decided.at_s - begun.at_s


def test_two_pushes_wait_for_each_other() -> None:
    """Who waits in line for the lock has its turn; who does not ends HOT at once."""
    patient = act(1.1, Verb.PUSH, who="patient", for_s=4.0)
    hasty = act(1.2, Verb.PUSH, who="hasty")
    town = stopped(scenario(PUSH, patient, hasty), 6.0)
    assert 3 == town.state.version
    assert not town.processes["hasty"].alive


def test_a_forced_unlock_aborts_what_is_undecided() -> None:
    """Whose lock was forced is fenced; the transaction is aborted, and the lock is free."""
    cut = act(1.0, Verb.CUT, D1, for_s=1.0)
    force = act(1.7, Verb.FORCE_UNLOCK, who="other")
    town = stopped(scenario(PUSH, cut, force), 5.0)
    assert (1, LockState.FREE) == (town.state.version, town.state.lock.state)
    assert town.state.last is not None
    assert Outcome.ABORT is town.state.last.outcome


def test_a_dead_owner_is_seen_from_its_own_machine_alone() -> None:
    """On the same machine `recover` resolves the lock at once; on another it ends HOT."""
    cut = act(1.0, Verb.CUT, D1, for_s=4.0)
    kill = act(1.7, Verb.KILL, who="ops")
    near = stopped(scenario(PUSH, cut, kill, act(1.8, Verb.RECOVER, who="near")), 2.0)
    far = stopped(scenario(PUSH, cut, kill, act(1.8, Verb.RECOVER, who="far@elsewhere")), 2.0)
    states = [town.state.lock.state for town in (near, far)]
    assert [LockState.RESOLVING, LockState.HELD] == states


def test_a_server_resolves_the_lock_of_a_ghost_elsewhere_after_the_grace() -> None:
    """A dead owner on another machine is taken over 30 s after its last renewal, not before."""
    server = act(0.0, Verb.SERVE, who="server@elsewhere")
    kill = act(1.2, Verb.KILL, who="ops")
    cut = act(1.0, Verb.CUT, D1, for_s=4.0)
    _, events = played(scenario(PUSH, server, cut, kill, safety_s=40.0))
    taken = [e for e in records(events, "lock_taken") if e.detail["state"] == "resolving"]
    assert [True] == [31.0 < event.at_s < 33.5 for event in taken]


def test_broken_glass_frees_the_lock_at_once() -> None:
    """In one append; the members are in quarantine until they have re-joined."""
    town = stopped(scenario(PUSH, act(1.15, Verb.BREAK_GLASS, who="other")), 1.16)
    assert LockState.FREE is town.state.lock.state
    assert {D1, D2, D3} == town.state.quarantined


def test_who_holds_a_lock_gives_it_back_when_asked() -> None:
    """`lock run` answers a request and releases; at its end it releases, too."""
    hold = act(0.5, Verb.HOLD_LOCK, who="holder", for_s=20.0)
    ask = act(1.0, Verb.REQUEST_RELEASE, who="other")
    asked = stopped(scenario(hold, ask, safety_s=30.0), 3.0)
    story = scenario(hold, safety_s=30.0)
    alone = [stopped(story, at_s).state.lock.state for at_s in (19.0, 22.0)]
    assert [LockState.FREE, LockState.HELD, LockState.FREE] == [asked.state.lock.state, *alone]


def test_a_retired_device_is_not_waited_for() -> None:
    """Nobody pushes to it any more; it hears of a version without it, and holds unanswered."""
    gone = act(0.5, Verb.RETIRE, D3, who="person")
    town = stopped(scenario(gone, PUSH), 5.0)
    assert {D3} == town.state.retired
    assert {D1: 2, D2: 2, D3: None} == versions(town)


def test_a_device_in_doubt_operates_on_a_word() -> None:
    """Its coordinator is dead; a person decides for it, and it operates the old version."""
    acts = (
        PUSH,
        act(1.08, Verb.STORE_SLOW, amount=10.0, for_s=3.0),
        act(1.5, Verb.KILL, who="ops"),
        act(4.5, Verb.DECIDE, D1, who="person", word="abort"),
    )
    town = stopped(scenario(*acts, safety_s=12.0), 4.4)
    assert {D1: None, D2: None, D3: None} == versions(town)
    town.run_until(town.now + 2.0)
    assert {D1: 1, D2: None, D3: None} == versions(town)


# --- processes ----------------------------------------------------------------------------------


def test_a_paused_process_does_nothing_and_goes_on() -> None:
    """What is sent to it waits; when it goes on it takes that first."""
    pause = act(1.03, Verb.PAUSE, who="ops", for_s=2.0)
    town = stopped(scenario(PUSH, pause), 3.0)
    assert (None, 1) == (town.state.open, town.state.version)
    town.run_until(town.now + 2.0)
    assert 2 == town.state.version


def test_a_zombie_is_fenced() -> None:
    """Paused for long, forced meanwhile: its next append fails, and it stops."""
    pause = act(1.1, Verb.PAUSE, who="ops", for_s=2.0)
    cut = act(1.0, Verb.CUT, D1, for_s=1.5)
    force = act(1.5, Verb.FORCE_UNLOCK, who="other")
    town = stopped(scenario(PUSH, cut, pause, force), 3.5)
    assert not town.processes["ops"].alive
    assert 1 == town.state.version


def test_a_power_cut_takes_every_process_of_its_machine() -> None:
    """Those on other machines go on."""
    far = act(0.0, Verb.SERVE, who="far@elsewhere")
    town = stopped(scenario(SERVE, far, PUSH, act(1.1, Verb.POWER_CUT, who="ops")), 1.2)
    assert ["far@elsewhere"] == list(town.living)


# --- the store ----------------------------------------------------------------------------------


def test_a_store_that_is_away_is_waited_for() -> None:
    """A decision that can't be stored is tried again; after 8 s the outcome is unknown."""
    away = act(1.08, Verb.STORE_AWAY, for_s=3.0)
    town = stopped(scenario(PUSH, away), 6.0)
    assert 2 == town.state.version
    _, events = played(scenario(PUSH, act(1.08, Verb.STORE_AWAY, for_s=20.0), safety_s=22.0))
    ended = [event for event in of_kind(events, Kind.PROCESS, what="ended") if event.who == "ops"]
    assert [True] == [9.0 < event.at_s < 9.6 for event in ended]


def test_a_slow_store_delays_each_append() -> None:
    """The lock is taken so much later."""
    _, events = played(scenario(PUSH, act(0.5, Verb.STORE_SLOW, amount=0.2, for_s=4.0)))
    quick = StoreQuality().append_s
    assert 1.02 + 0.2 + quick == pytest.approx(records(events, "lock_taken")[0].at_s)


def test_an_answer_that_is_lost_is_read_back() -> None:
    """Whether it was stored or not, the push comes to an end that is in the journal."""
    loses = act(0.9, Verb.STORE_LOSES_ANSWERS, amount=1.0, for_s=4.0)
    seen = set()
    for seed in range(12):
        result, _ = played(scenario(PUSH, loses, seed=seed))
        seen |= {goal for goal in result.goals if goal.startswith("answer-lost")}
    assert {"answer-lost-written", "answer-lost-not-written"} <= seen


@pytest.mark.parametrize(
    "loss",
    [act(3.0, Verb.STORE_RESTORED, amount=2), act(0.5, Verb.STORE_LIES, for_s=2.5)],
    ids=["restored", "lied"],
)
def test_a_store_may_lose_its_end(loss: Act) -> None:
    """The records are gone, never those of version 1; the devices know better, and it mends."""
    story = scenario(PUSH, loss, safety_s=5.0)
    before, after = stopped(story, 2.9), stopped(story, 3.2)
    assert (10, 8 if loss.verb is Verb.STORE_RESTORED else 5) == (
        before.state.head,
        after.state.head,
    )
    played(story)


# --- the broker and the network -----------------------------------------------------------------


def test_a_killed_broker_loses_what_is_on_its_way() -> None:
    """While it is down nothing arrives; then everybody connects again."""
    _, events = played(scenario(PUSH, act(1.005, Verb.BROKER_KILL, for_s=2.0)))
    heard = of_kind(events, Kind.MESSAGE, end="arrived")
    assert not [event for event in heard if 1.006 < event.at_s < 3.005]


@pytest.mark.parametrize(("word", "kept"), [("forgets", False), ("keeps", True)])
def test_a_killed_broker_may_forget_what_it_retains(word: str, *, kept: bool) -> None:
    """With 'keeps' what is retained is as it was."""
    town = stopped(scenario(PUSH, act(1.5, Verb.BROKER_KILL, for_s=1.0, word=word)), 1.6)
    assert kept is bool(town.retained)


def test_a_slow_broker_keeps_the_order() -> None:
    """Each message comes so much later."""
    slow = act(0.5, Verb.BROKER_SLOW, amount=0.1, for_s=5.0)
    fast, late = played(scenario(PUSH))[1], played(scenario(PUSH, slow))[1]
    first = arrived(fast, "fence", D1)[0].at_s, arrived(late, "fence", D1)[0].at_s
    assert 0.1 == pytest.approx(first[1] - first[0])


def test_a_cut_one_way_lets_the_other_through() -> None:
    """Cut on the way up, a device hears and is not heard."""
    up = act(1.0, Verb.CUT, D1, word="up", for_s=3.0)
    _, events = played(scenario(PUSH, up))
    assert [] == [event for event in arrived(events, "hello", "ops") if event.who == D1]
    assert arrived(events, "fence", D1)


def test_a_cut_shorter_than_the_keep_alive_is_not_noticed() -> None:
    """After a long one the device connects again, and says HELLO."""
    short = played(scenario(act(1.0, Verb.CUT, D1, for_s=2.0), safety_s=12.0))[1]
    long = played(scenario(act(1.0, Verb.CUT, D1, for_s=8.0), safety_s=12.0))[1]
    said = [
        [e for e in of_kind(events, Kind.MESSAGE, kind="hello", end="sent") if e.at_s < 11.0]
        for events in (short, long)
    ]
    assert [0, 1] == [len(one) for one in said]


def test_a_clogged_link_loses_nothing() -> None:
    """All of it comes at the end, in order."""
    clog = act(1.0, Verb.CLOG, D1, for_s=3.0, word="down")
    _, events = played(scenario(PUSH, clog, safety_s=8.0))
    heard = [e for e in of_kind(events, Kind.MESSAGE, to=D1, end="arrived") if e.at_s < 4.5]
    assert {4.0} == {event.at_s for event in heard[:3]}
    assert ["fence", "fence"] == [event.detail["kind"] for event in heard[:2]]


@pytest.mark.parametrize("word", ["loses", "repeats"])
def test_a_link_may_lose_or_repeat(word: str) -> None:
    """At rate 1 every message of the device is lost, or comes twice."""
    lossy = act(0.5, Verb.LOSSY, D1, amount=1.0, for_s=3.0, word=word)
    _, events = played(scenario(PUSH, lossy))
    fences = [event for event in arrived(events, "fence", D1) if event.at_s < 1.1]
    assert (0 if word == "loses" else 2) == len(fences)


def test_a_replay_brings_the_past_back() -> None:
    """The last messages of a kind arrive once more; nothing comes of it."""
    again = act(4.0, Verb.REPLAY, D1, amount=1, word="prepare")
    _, events = played(scenario(PUSH, again))
    assert [4.0] == [event.at_s for event in arrived(events, "prepare", D1)[1:]][:1]


def test_a_client_id_that_is_taken_over_connects_again() -> None:
    """The device says HELLO over its new connection."""
    _, events = played(scenario(act(2.0, Verb.TAKE_OVER_CLIENT, D1)))
    said = of_kind(events, Kind.MESSAGE, kind="hello", end="sent")
    assert [D1] == [event.who for event in said if event.at_s < 5.9]


def test_links_differ() -> None:
    """Loss, repetition and delay are those of each device's own link."""
    town = stopped(scenario(), 0.0)
    town.units[town.units[next(iter(town.units))].id].line.be(Link(loss=1.0))
    town.take_place(PUSH)
    town.run_until(town.now + 0.2)
    assert {D2, D3} <= set(town.processes["ops"].sessions[0].core.witness.devices)
    assert D1 not in town.processes["ops"].sessions[0].core.witness.devices
    assert LINK != HEALTHY


# --- devices ------------------------------------------------------------------------------------


def test_a_crashed_device_is_down_for_so_long() -> None:
    """Not said: for a second. What it has stored it still has."""
    town = stopped(scenario(PUSH, act(3.0, Verb.CRASH, D1, word="power")), 3.9)
    assert not town.units[next(iter(town.units))].up
    town.run_until(town.now + 0.5)
    unit = town.units[next(iter(town.units))]
    assert (True, 2) == (unit.up, unit.disk.version)


def test_a_device_may_lose_power_at_a_write() -> None:
    """Just before the first change after the act: what it was about to store is not there."""
    town = stopped(scenario(PUSH, act(0.9, Verb.CRASH_AT_WRITE, D1, amount=1, for_s=3.0)), 1.5)
    unit = town.units[next(iter(town.units))]
    assert (False, None, 1) == (unit.up, unit.disk.prepared, unit.boots)


def test_a_replaced_unit_knows_nothing() -> None:
    """It has an empty record, and is caught up by the server."""
    town = stopped(scenario(SERVE, act(1.0, Verb.REPLACE, D1)), 1.0)
    unit = town.units[next(iter(town.units))]
    assert (0, False) == (unit.disk.version, unit.disk.known)
    town.run_until(town.now + 2.0)
    assert (1, 1) == (unit.disk.version, versions(town)[D1])


def test_a_frozen_device_operates_nothing_and_goes_on() -> None:
    """What is sent to it waits."""
    town = stopped(scenario(PUSH, act(0.9, Verb.SUSPEND, D1, for_s=0.3)), 1.1)
    assert {D1: None, D2: 1, D3: 1} == versions(town)
    town.run_until(town.now + 3.0)
    assert {D1: 2, D2: 2, D3: 2} == versions(town)


@pytest.mark.parametrize(
    "why",
    [
        act(0.9, Verb.DISK_FULL, D1, for_s=3.0),
        act(0.9, Verb.LOW_BATTERY, D1, amount=15, for_s=3.0),
        act(0.9, Verb.REFUSE, D1, for_s=3.0, word="lens cap on"),
    ],
    ids=lambda one: one.verb.value,
)
def test_a_device_may_refuse(why: Act) -> None:
    """It votes no, and the transaction is aborted."""
    town = stopped(scenario(PUSH, why), 3.0)
    assert town.state.last is not None
    assert town.state.last.decided is not None
    assert [D1] == list(town.state.last.decided.refused)


def test_an_empty_battery_takes_the_device_down() -> None:
    """It is back when it is charged."""
    town = stopped(scenario(act(1.0, Verb.LOW_BATTERY, D1, amount=0, for_s=2.0)), 2.0)
    unit = town.units[next(iter(town.units))]
    assert not unit.up
    town.run_until(town.now + 1.5)
    assert unit.up


def test_a_slow_disk_takes_its_time() -> None:
    """Each write so much longer; the vote says how long, and the fleet waits."""
    town = stopped(scenario(PUSH, act(0.9, Verb.DISK_SLOW, D1, amount=0.1, for_s=5.0)), 5.0)
    unit = town.units[next(iter(town.units))]
    assert unit.core is not None
    assert 0.1 <= unit.core.state(unit.reading(town.now)).staging_s
    assert {D1: 2, D2: 2, D3: 2} == versions(town)


def test_a_disk_that_lies_forgets() -> None:
    """At the end the device loses power and finds nothing of what it had stored meanwhile."""
    story = scenario(PUSH, act(0.9, Verb.DISK_LIES, D1, for_s=2.0), safety_s=8.0)
    town = stopped(story, 2.8)
    unit = town.units[next(iter(town.units))]
    assert 2 == unit.disk.version
    town.run_until(town.now + 0.2)
    assert (False, 1) == (unit.up, unit.disk.version)
    played(story)


def test_a_hook_that_fails_keeps_the_device_on_hold() -> None:
    """It tries again, and operates once the controller obeys."""
    town = stopped(scenario(PUSH, act(0.9, Verb.HOOK_FAILS, D1, for_s=3.0)), 3.5)
    assert {D1: None, D2: 2, D3: 2} == versions(town)
    town.run_until(town.now + 6.0)
    assert {D1: 2, D2: 2, D3: 2} == versions(town)


def test_a_clock_jumps_and_jumps_back() -> None:
    """Said twice, the later jump counts, until the later end."""
    acts = (
        act(1.0, Verb.CLOCK_STEP, D1, amount=2.0, for_s=1.0),
        act(1.5, Verb.CLOCK_STEP, D1, amount=3.0, for_s=1.0),
    )
    ahead = []
    for at_s in (0.9, 1.1, 1.6, 2.1, 2.6):
        town = stopped(scenario(*acts), at_s)
        unit = town.units[next(iter(town.units))]
        ahead.append(round(unit.reading(town.now) - town.now, 6))
    assert [0.0, 2.0, 3.0, 3.0, 0.0] == ahead


def test_what_is_said_twice_lasts_to_the_later_end() -> None:
    """The later amount counts."""
    acts = (
        act(1.0, Verb.STORE_SLOW, amount=0.1, for_s=3.0),
        act(2.0, Verb.STORE_SLOW, amount=0.2, for_s=0.5),
    )
    slow = [stopped(scenario(*acts), at_s).store_slow_s for at_s in (0.5, 1.5, 2.2, 3.5, 4.1)]
    assert [0.0, 0.1, 0.2, 0.2, 0.0] == slow


def test_everything_is_repaired_at_the_end() -> None:
    """What lasts ends with the safety phase, whatever it is."""
    acts = [one for one in EACH.values() if VERBS[one.verb].lasts and not VERBS[one.verb].who]
    story: Scenario = scenario(PUSH, SERVE, *acts, safety_s=5.0)
    result, _ = played(story)
    assert () == result.violations
