"""I14, I21: who works under a lock that it has read to be lost, or can't renew; whose lease is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drone_sim.checker.holders import COMMAND_ENDS_S, ENDS_S, STOP_S, TELLS_ON_S
from drone_sim.scenario.model import Act, Verb
from orchestrator.ports import Claim, Lease, Stamp
from orchestrator.protocol import answers, lease
from orchestrator.protocol.messages import Message
from orchestrator.protocol.records import LockRequested, LockState
from orchestrator.protocol.types import Owner, Ticket
from tests.checker.hand import D1, OTHER, PUSHER, SERVER, Hand, ids

MOMENT_S = 0.01


def forced() -> tuple[Hand, dict[str, Message]]:
    """A push whose lock is taken in the middle; what it would have told of its own."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    assert hand.fleet.open is not None
    caught_up = answers.catch_up(hand.fleet, D1)
    assert caught_up is not None
    said: dict[str, Message] = {
        "prepare": answers.prepare(hand.fleet.open),
        "fence": replace(answers.ROLL_CALL, epoch=hand.fleet.lock.epoch),
        "catch-up": caught_up,
    }
    taken = lease.resolve(hand.fleet, hand.fleet.lock.epoch, OTHER, "in a hurry")
    assert isinstance(taken, tuple)
    hand.append(*taken)
    return hand, said


# --- who knows that its lock is lost ------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prepare", "fence", "catch-up"])
def test_a_zombie_may_talk(kind: str) -> None:
    """Who has not read that its lock was taken is made harmless by its epoch, and not blamed."""
    hand, said = forced()
    hand.checker.has_read("push", len(hand.journal) - 2)
    hand.wait(100.0 * TELLS_ON_S)
    hand.say("push", said[kind], D1)
    assert set() == ids(hand)


@pytest.mark.parametrize("kind", ["prepare", "fence", "catch-up"])
def test_who_has_read_it_is_silent(kind: str) -> None:
    """I14: who has itself read the takeover tells nothing more under its old epoch."""
    hand, said = forced()
    hand.checker.has_read("push", len(hand.journal))
    hand.say("push", said[kind], D1)
    assert set() == ids(hand)  # it was on its way
    hand.wait(TELLS_ON_S + MOMENT_S)
    hand.say("push", said[kind], D1)
    assert {"I14"} == ids(hand)


def test_a_slow_store_tells_late() -> None:
    """Where reading takes longer, what was read before it ended is on its way for longer."""
    slow = Act(at_s=0.0, verb=Verb.STORE_SLOW, amount=1.0, for_s=1.0)
    hand = Hand(acts=(slow,)).steady()
    hand.take()
    fence = replace(answers.ROLL_CALL, epoch=hand.fleet.lock.epoch)
    hand.take(OTHER, LockState.RESOLVING, purpose="force-unlock", reason="in a hurry")
    hand.checker.has_read("push", len(hand.journal))
    hand.wait(2.0)
    hand.say("push", fence)
    assert set() == ids(hand)
    hand.wait(TELLS_ON_S + MOMENT_S)
    hand.say("push", fence)
    assert {"I14"} == ids(hand)


def test_who_was_stopped_needs_a_moment() -> None:
    """A process that was paused after it had read says first what was on its way."""
    hand, said = forced()
    hand.checker.has_read("push", len(hand.journal))
    hand.checker.process_paused(PUSHER, paused=True)
    hand.wait(100.0)
    hand.checker.process_paused(PUSHER, paused=False)
    hand.say("push", said["prepare"])
    assert set() == ids(hand)
    hand.wait(TELLS_ON_S + MOMENT_S)
    hand.say("push", said["prepare"])
    assert {"I14"} == ids(hand)


def test_what_was_read_of_a_lost_journal_is_void() -> None:
    """A store that was restored has another journal: its epochs come again."""
    hand, said = forced()
    hand.checker.has_read("push", len(hand.journal))
    hand.restore(2)
    hand.wait(TELLS_ON_S + MOMENT_S)
    hand.say("push", said["prepare"])
    assert set() == ids(hand)


def test_whoever_answers_says_the_epoch_that_it_has_read() -> None:
    """A roll call names no epoch, and the present one is nobody's old one."""
    hand, _ = forced()
    hand.checker.has_read("serve", len(hand.journal))
    hand.wait(TELLS_ON_S + MOMENT_S)
    message = answers.catch_up(hand.fleet, D1)
    assert message is not None
    hand.say("serve", message, D1)
    hand.say("serve", answers.ROLL_CALL)
    assert set() == ids(hand)


# --- who can't renew ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "ends_s"), [(Verb.PUSH, ENDS_S), (Verb.HOLD_LOCK, COMMAND_ENDS_S)]
)
def test_a_holder_that_cannot_renew_stops_itself(verb: Verb, ends_s: float) -> None:
    """I14: ten seconds without a renewal and the time to end are all that a holder has."""
    hand = Hand().steady()
    hand.checker.process_started("holder", OTHER, verb)
    hand.take(OTHER)
    hand.wait(3.0)
    hand.checker.renewed(hand.fleet.lock.epoch, OTHER)
    hand.wait(STOP_S + ends_s - MOMENT_S)
    hand.checker.now_s += 2 * MOMENT_S
    assert {"I14"} == ids(hand)


def test_who_is_gone_or_stopped_holds_nothing() -> None:
    """A ghost's lock is nobody's fault, and who was paused has the time again when it goes on."""
    hand = Hand().steady()
    hand.checker.process_started("holder", OTHER, Verb.HOLD_LOCK)
    hand.take(OTHER)
    hand.checker.process_paused(OTHER, paused=True)
    hand.wait(100.0)
    hand.checker.process_paused(OTHER, paused=False)
    hand.wait(STOP_S)
    hand.checker.process_ended(OTHER)
    hand.wait(100.0)
    assert set() == ids(hand)


def test_a_server_outlives_its_lock() -> None:
    """Who serves drives a lock and goes on serving: its session ends, not its process."""
    hand = Hand().steady()
    hand.take(SERVER, LockState.HELD)
    hand.wait(100.0)
    assert set() == ids(hand)


# --- leases as they are shown -------------------------------------------------------------------

WAITER, PLACE = OTHER, Ticket("w-1")


def shown(hand: Hand, claim: Claim, owner: Owner, at_s: float) -> Lease:
    """A lease as the store shows it, renewed at an instant of its owner's clock."""
    return Lease(
        fleet=hand.fleet.fleet, claim=claim, owner=owner, renewed=Stamp(utc_s=1000.0 + at_s)
    )


def waiting() -> Hand:
    """PUSHER holds the lock, WAITER waits for it; both leases were shown once."""
    hand = Hand().steady()
    hand.take()
    hand.append(LockRequested(ticket=PLACE, owner=WAITER, purpose="push"))
    hand.wait(1.0)
    both: list[tuple[Claim, Owner]] = [(hand.fleet.lock.epoch, PUSHER), (PLACE, WAITER)]
    hand.checker.leases_are([shown(hand, claim, owner, 0.0) for claim, owner in both])
    return hand


def test_a_lease_that_its_owner_has_renewed() -> None:
    """I21: a waiter's own renewal shows in its own place."""
    hand = waiting()
    hand.wait(3.0)
    hand.checker.renewed(PLACE, WAITER)
    hand.checker.leases_are([shown(hand, PLACE, WAITER, 4.0)])
    hand.checker.leases_are([shown(hand, PLACE, WAITER, 4.0)])
    assert set() == ids(hand)


def test_a_lease_that_somebody_else_has_renewed() -> None:
    """I21: a renewal of one waiter changes nothing but its own place."""
    hand = waiting()
    hand.wait(3.0)
    hand.checker.renewed(hand.fleet.lock.epoch, PUSHER)
    hand.checker.leases_are([shown(hand, PLACE, WAITER, 4.0)])
    assert {"I21"} == ids(hand)


def test_a_place_in_the_line_is_its_owners() -> None:
    """I21: a waiter's renewal takes effect for its own ticket, and for no ticket that is gone."""
    hand = waiting()
    hand.checker.renewed(PLACE, WAITER)
    assert set() == ids(hand)
    hand.checker.renewed(PLACE, PUSHER)
    assert {"I21"} == ids(hand)
    hand.append(*lease.withdraw(hand.fleet, (PLACE,), WAITER, "left"))
    hand.checker.renewed(PLACE, WAITER)
    assert {"I21"} == ids(hand)
