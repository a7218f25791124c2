"""I28: the time that a device holds, its causes, and the budget of each."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from drone_sim.checker.budgets import (
    BUDGETS,
    PROCESSING_S,
    STATED_S,
    Because,
    Terms,
    terms_of,
)
from drone_sim.checker.words import Disturbance
from drone_sim.result import Hold
from drone_sim.scenario.model import Act, Verb
from orchestrator.protocol.device import Holding
from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S
from orchestrator.protocol.records import LockState
from tests.checker.hand import ABORT, COMMIT, D1, D2, ERROR_S, PUSHER, SERVER, Hand, ids, scenario

MOMENT_S = 0.01


def quiet() -> Hand:
    """Return a fleet that has been steady for long."""
    hand = Hand().steady()
    hand.wait(1000.0)
    return hand


def terms(hand: Hand) -> Terms:
    """Return what the budgets of this world are made of."""
    return terms_of(hand.checker.scenario)


def holds(hand: Hand) -> tuple[Hold, ...]:
    """Return every hold so far."""
    return hand.checker.figures(virtual_s=0.0, steps=0, messages=0).holds


def outlast(hand: Hand, seconds: float, *broken: str) -> None:
    """Everything is well until just before the budget is over, and broken just after it."""
    hand.checker.now_s += seconds - MOMENT_S
    assert set() == ids(hand)
    hand.checker.now_s += 2 * MOMENT_S
    assert set(broken) == ids(hand)


def test_every_cause_has_a_budget() -> None:
    """Each verb, each disturbance and each state has its line in the table, with its reason."""
    causes = [*Verb, *Disturbance, *Because]
    assert sorted(causes) == sorted(BUDGETS)
    made = terms_of(scenario())
    assert all(one.recovery_s(made) >= 0 and one.says for one in BUDGETS.values())


@pytest.mark.parametrize("name", STATED_S)
def test_budgets_state_the_products_own_constants(name: str) -> None:
    """A budget has its numbers for itself: whoever changes a constant states it anew here."""
    module, _, constant = name.partition(":")
    assert STATED_S[name] == getattr(importlib.import_module(module), constant)


def test_the_budget_of_a_killed_orchestrator() -> None:
    """TTL 15 s, grace 15 s, a sweep 1 s and 2 s to tell again; then it is followed."""
    made = terms_of(scenario())
    budget_s = BUDGETS[Verb.KILL].recovery_s(made)
    assert pytest.approx(33.0 + made.append_s + made.followed_s) == budget_s


def test_the_budget_of_a_lost_message() -> None:
    """Five seconds to ask again, half a second to look, three activations and 2ε: 6.6 s here."""
    budget_s = BUDGETS[Disturbance.LOSS].recovery_s(terms_of(scenario()))
    assert pytest.approx(5.0 + 0.5 + 4 * PROCESSING_S + 2 * ERROR_S) == budget_s


def test_the_next_pause_is_no_longer_than_the_outage() -> None:
    """Pauses double: after three seconds without a store a server waits for four, not fifteen."""
    short, long = (terms_of(scenario(), lasted_s=lasted_s) for lasted_s in (3.0, 60.0))
    assert (4.0, 15.0) == (short.back_off_s, long.back_off_s)


def test_a_healthy_push_holds_for_two_epsilon() -> None:
    """The hold of a healthy push has no cause, and is recorded with its budget."""
    hand = quiet()
    hand.push(2)
    found = [hold for hold in holds(hand) if hold.device == D1]
    assert [()] == [hold.causes for hold in found]
    assert pytest.approx(0.1) == found[0].lasted_s
    assert pytest.approx(terms(hand).healthy_s) == found[0].budget_s


def test_a_hold_without_a_fault() -> None:
    """A device that holds for longer than a healthy push, and nobody knows why, is seen."""
    hand = quiet()
    hand.aim(D1, None)
    outlast(hand, terms(hand).healthy_s, "I28")
    assert set() == ids(hand)  # once is enough


def test_a_fault_excuses_while_it_lasts_and_for_its_recovery() -> None:
    """The budget runs from the end of the fault."""
    hand = quiet()
    act = Act(at_s=hand.now, verb=Verb.HOOK_FAILS, target=(D1,))
    hand.checker.fault_began(act)
    hand.aim(D1, None)
    hand.wait(1000.0)
    hand.checker.fault_ended(act)
    recovery_s = BUDGETS[Verb.HOOK_FAILS].recovery_s(terms(hand))
    outlast(hand, recovery_s, "I28")
    hand.aim(D1, 1)
    assert [("hook-fails",)] == [hold.causes for hold in holds(hand)[-1:]]
    assert pytest.approx(1000.0 + recovery_s) == holds(hand)[-1].budget_s


DOUBT, ACTIVATING = Holding.DOUBT.value, Holding.ACTIVATING.value


def undecided(hand: Hand) -> float:
    """Begin a push that both have promised; return its hold_at."""
    hand.take()
    record = hand.begin(2)
    for name in (D1, D2):
        hand.prepare(name, record)
    return record.timeline.hold_at


def test_nobody_holds_before_hold_at() -> None:
    """I28: a device in doubt operates the old version until hold_at, but for its clock's error."""
    hand = quiet()
    hold_at = undecided(hand)
    hand.wait(hold_at - ERROR_S - hand.now - MOMENT_S)
    hand.aim(D1, None, DOUBT)
    assert {"I28"} == ids(hand)
    hand.wait(2 * MOMENT_S)
    hand.aim(D2, None, DOUBT)
    assert set() == ids(hand)


def test_nobody_waits_for_an_activation_before_hold_at() -> None:
    """I28: who knows of the COMMIT operates the old version until hold_at, too."""
    hand = quiet()
    undecided(hand)
    hand.decide(2, COMMIT)
    hand.finish(D1, COMMIT)
    hand.aim(D1, None, ACTIVATING)
    assert {"I28"} == ids(hand)


def test_who_holds_for_something_else_may_be_in_doubt_as_well() -> None:
    """A device that has restarted knows no time yet, and can't say that hold_at is not there."""
    hand = quiet()
    undecided(hand)
    hand.aim(D1, None, Holding.RESTARTED.value, DOUBT)
    assert set() == ids(hand)


def test_who_aims_by_a_wrong_clock_may_hold_early() -> None:
    """I19: a device whose bound is wrong holds when it believes that it is time."""
    hand = quiet()
    undecided(hand)
    hand.checker.clock_lied(D1)
    hand.aim(D1, None, DOUBT)
    assert set() == ids(hand)


def test_a_push_over_a_hold_excuses_no_longer_than_a_push() -> None:
    """Who holds as a push goes over it activates at activate_at, as everybody does."""
    hand = quiet()
    hand.strike(Verb.REFUSE, D1)
    hand.aim(D1, None)
    hand.wait(BUDGETS[Verb.REFUSE].recovery_s(terms(hand)) - 0.5)
    hand.take()
    record = hand.begin(2)
    outlast(hand, record.timeline.activate_at - hand.now + terms(hand).healthy_s, "I28")


def test_who_aims_has_not_waited_for_somebody() -> None:
    """That nobody has answered excuses no hold that begins after somebody does."""
    hand = quiet()
    hand.checker.process_ended(SERVER)
    hand.wait(10.0)
    hand.checker.process_started("serve", SERVER, Verb.SERVE)
    hand.aim(D1, None)
    outlast(hand, terms(hand).healthy_s, "I28")


def test_somebody_elses_fault() -> None:
    """A fault excuses its targets, and nobody else."""
    hand = quiet()
    hand.strike(Verb.CRASH, D2, for_s=1.0)
    hand.aim(D1, None)
    outlast(hand, terms(hand).healthy_s, "I28")


@pytest.mark.parametrize("target", [(), ("push",)], ids=["everybody", "a-process"])
def test_a_fault_of_everybody(target: tuple[str, ...]) -> None:
    """A cut without a target, or of a process that answers, concerns every device."""
    hand = quiet()
    hand.strike(Verb.CUT, *target)
    hand.aim(D1, None)
    short = replace(terms(hand), lasted_s=0.0)
    outlast(hand, BUDGETS[Verb.CUT].recovery_s(short), "I28")


def test_a_lost_message() -> None:
    """A message that the link has lost gives its device the time to ask again."""
    hand = quiet()
    hand.checker.disturbed(Disturbance.LOSS, D1)
    hand.checker.disturbed(Disturbance.DUPLICATE, D2)
    hand.aim(D1, None)
    hand.aim(D2, None)
    hand.checker.now_s += terms(hand).healthy_s + MOMENT_S
    assert {"I28"} == ids(hand)
    hand.aim(D2, 1)
    outlast(hand, terms(hand).rejoined_s - terms(hand).healthy_s - MOMENT_S, "I28")


def test_nobody_answers() -> None:
    """While nobody is at work who answers devices, a hold is excused, however long it is."""
    hand = quiet()
    hand.checker.process_ended(SERVER)
    hand.aim(D1, None)
    hand.wait(10_000.0)
    hand.checker.process_started("serve", SERVER, Verb.SERVE)
    outlast(hand, terms(hand).rejoined_s, "I28")


def test_a_paused_server_answers_nobody() -> None:
    """A process that is stopped is not at work; nor is one that only holds the lock."""
    hand = quiet()
    hand.checker.process_paused(SERVER, paused=True)
    hand.checker.process_started("keep", PUSHER, Verb.HOLD_LOCK)
    hand.take(PUSHER)
    hand.aim(D1, None)
    hand.wait(15.0)
    hand.checker.renewed(hand.fleet.lock.epoch, PUSHER)
    hand.checker.process_paused(SERVER, paused=False)
    outlast(hand, terms(hand).rejoined_s, "I28")


def orphan(hand: Hand) -> None:
    """Kill a push in the middle; D1 is in doubt."""
    hand.take()
    hand.prepare(D1, hand.begin(2))
    hand.checker.process_started("push", PUSHER, Verb.PUSH)
    hand.checker.fault_began(Act(at_s=hand.now, verb=Verb.KILL, who="push"))
    hand.checker.process_ended(PUSHER)
    hand.wait(0.6)
    hand.aim(D1, None)


def test_an_orphan_is_resolved_by_who_serves() -> None:
    """With somebody who serves, TTL + grace + sweep and a re-join are the budget of a kill."""
    hand = quiet()
    orphan(hand)
    outlast(hand, BUDGETS[Verb.KILL].recovery_s(terms(hand)) - 0.6, "I28")
    assert "kill" in holds(hand)[-1].causes


def test_an_orphan_waits_for_somebody_who_can_resolve() -> None:
    """Without one, the orchestrator that was killed is a fault in force until one is there."""
    hand = quiet()
    hand.checker.process_ended(SERVER)
    orphan(hand)
    hand.wait(1000.0)
    hand.checker.process_started("serve", SERVER, Verb.SERVE)
    outlast(hand, BUDGETS[Verb.KILL].recovery_s(terms(hand)), "I28")


def test_a_forced_unlock_ends_the_wait() -> None:
    """Once somebody has taken the lock, the decision is told within its budget."""
    hand = quiet()
    orphan(hand)
    hand.wait(LEASE_TTL_S + GRACE_S)
    hand.take(SERVER, LockState.RESOLVING, purpose="expire", reason="gone")
    hand.decide(2, ABORT)
    outlast(hand, BUDGETS[Because.RESOLVED].recovery_s(terms(hand)), "I28")


def test_a_restored_store_is_a_fault_until_the_reseed() -> None:
    """Nobody is enabled from a journal that was rolled back."""
    hand = quiet()
    hand.push(2)
    hand.restore(2)
    hand.aim(D1, None)
    hand.wait(1000.0)
    assert "store-rolled-back" in holds(hand)[-1].causes


def test_a_new_device_holds_until_its_first_activation() -> None:
    """What has never aimed is not counted as holding."""
    hand = Hand()
    hand.aim(D1, None, "no configuration yet")
    hand.wait(1000.0)
    assert () == holds(hand)


def test_a_hold_that_lasts_is_among_the_figures() -> None:
    """A hold that is not over has what it has lasted."""
    hand = quiet()
    hand.aim(D1, None)
    hand.wait(0.2)
    lasting = holds(hand)[-1]
    assert D1 == lasting.device
    assert pytest.approx(0.2) == lasting.lasted_s


def test_who_aimed_on_an_aborted_word_alone_has_nothing_to_aim_with() -> None:
    """A device without any version, whose word was overruled, need not aim again."""
    hand = Hand()
    hand.aim(D1, 1)
    hand.aim(D1, None, Holding.NEW)
    assert [D1] == [hold.device for hold in holds(hand)]
    hand.store(D1, last_seq=1)
    hand.checker.now_s += 1000.0
    assert "I28" not in ids(hand)
