"""The lock and its journal: who may take, keep, pass over and free it, and what it owes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drone_sim.cores import samples
from drone_sim.scenario.model import Verb
from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S
from orchestrator.protocol.records import (
    Answer,
    Decided,
    Ended,
    HeuristicDecided,
    LockReleased,
    LockRequested,
    LockState,
    LockWithdrawn,
    ReleaseAnswered,
    Retired,
)
from orchestrator.protocol.types import Epoch, Owner, Ticket
from tests.checker.hand import (
    ABORT,
    COMMIT,
    D1,
    D2,
    OTHER,
    PUSHER,
    Hand,
    begun,
    ids,
    owner,
    taken,
)

LIFE_S = LEASE_TTL_S + GRACE_S
FAR = owner(9, machine="another", boot="another")


def resolving(hand: Hand, by: Owner, purpose: str, reason: str | None = "gone") -> None:
    """Let somebody take the lock to resolve it."""
    hand.take(by, LockState.RESOLVING, purpose=purpose, reason=reason)


def test_the_verbs_of_the_lock_break_nothing() -> None:
    """A grant, a line, a forced unlock, a release and a turn are all allowed."""
    hand = Hand().steady()
    hand.take()
    ticket = Ticket("w1")
    hand.append(LockRequested(ticket=ticket, owner=OTHER, purpose="push"))
    record = hand.begin(2)
    resolving(hand, FAR, "force-unlock")
    hand.decide(2, ABORT)
    hand.end(2)
    hand.free(FAR)
    hand.take(OTHER, ticket=ticket)
    assert record.txn == samples.txn_id(2)
    assert set() == ids(hand)


# --- the journal alone ------------------------------------------------------------------------


def test_decided_twice() -> None:
    """I7: a second decision is seen, whatever it says."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    hand.decide(2, ABORT)
    epoch = hand.fleet.lock.epoch
    hand.write(Decided(txn=samples.txn_id(2), epoch=epoch, outcome=ABORT, cause="again"))
    assert {"I7"} == ids(hand)


def test_decided_under_another_epoch() -> None:
    """I8: a decision is made under the lock that is held."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    hand.write(Decided(txn=samples.txn_id(2), epoch=Epoch(1, 1), outcome=ABORT, cause="late"))
    assert {"I8"} == ids(hand)


def test_an_epoch_that_does_not_rise() -> None:
    """I9: ownership never changes without a higher epoch."""
    hand = Hand().steady()
    record = taken(hand.fleet.lock.epoch, OTHER)
    lock = replace(hand.fleet.lock, state=LockState.HELD, owner=OTHER, purpose="push")
    hand.write(record, lock=lock)
    assert {"I9"} == ids(hand)


def test_a_number_that_is_not_new() -> None:
    """I11: no sequence number is begun twice."""
    hand = Hand().steady()
    hand.take()
    hand.write(replace(begun(2, hand.fleet), seq=1))
    assert {"I11"} == ids(hand)


def test_a_grant_of_what_is_held() -> None:
    """I14: a lock that is held is not granted."""
    hand = Hand().steady()
    hand.take()
    lock = replace(hand.fleet.lock, epoch=hand.fleet.lock.epoch.next(), owner=OTHER)
    hand.write(taken(lock.epoch, OTHER), lock=lock)
    assert {"I14"} == ids(hand)


def test_a_release_by_somebody_else() -> None:
    """I14: only its owner gives a lock back."""
    hand = Hand().steady()
    hand.take()
    hand.free(OTHER)
    assert {"I14"} == ids(hand)


def test_freed_with_an_open_transaction() -> None:
    """I15: a free lock has no open transaction."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    epoch = hand.fleet.lock.epoch.next()
    lock = replace(hand.fleet.lock, state=LockState.FREE, epoch=epoch, owner=None)
    hand.write(LockReleased(epoch=epoch, by=PUSHER), lock=lock)
    assert {"I15"} == ids(hand)


def test_a_device_in_doubt_that_nobody_names() -> None:
    """I15: who is in doubt when its transaction ends is deferred by name."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.decide(2, ABORT)
    hand.end(2, D1)
    assert set() == ids(hand)
    third = hand.begin(3)
    hand.prepare(D2, third)
    hand.decide(3, ABORT)
    hand.end(3)
    assert {"I15"} == ids(hand)


# --- I20, I21: heartbeats ---------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["expire", "recover"])
def test_taken_before_the_grace_is_over(purpose: str) -> None:
    """I20: nobody takes a lock unasked before TTL and grace since the last renewal."""
    hand = Hand().steady()
    hand.take()
    hand.wait(5.0)
    hand.checker.renewed(hand.fleet.lock.epoch, PUSHER)
    hand.checker.process_paused(PUSHER, paused=True)
    hand.wait(LIFE_S - 1.0)
    resolving(hand, FAR, purpose)
    assert {"I20"} == ids(hand)


def test_taken_by_what_a_restored_store_knows() -> None:
    """I20: a backup has an older renewal, and only that can be judged by who reads it."""
    hand = Hand().steady()
    hand.take()
    hand.wait(5.0)
    hand.checker.renewed(hand.fleet.lock.epoch, PUSHER)
    hand.append(LockRequested(ticket=Ticket("w"), owner=OTHER, purpose="push"))
    hand.restore(1)
    hand.checker.process_paused(PUSHER, paused=True)
    hand.wait(LIFE_S - 1.0)
    resolving(hand, FAR, "expire")
    assert set() == ids(hand)


def test_taken_after_the_grace() -> None:
    """I20: a lease that is past TTL and grace may be taken."""
    hand = Hand().steady()
    hand.take()
    hand.checker.process_paused(PUSHER, paused=True)
    hand.wait(LIFE_S + 0.1)
    resolving(hand, FAR, "expire")
    assert set() == ids(hand)


def test_a_restart_of_the_manager_counts() -> None:
    """I20: after a restart of the lock manager every lease has a fresh TTL."""
    hand = Hand().steady()
    hand.take()
    hand.checker.process_paused(PUSHER, paused=True)
    hand.wait(LIFE_S - 1.0)
    hand.checker.manager_restarted()
    hand.wait(2.0)
    resolving(hand, FAR, "expire")
    assert {"I20"} == ids(hand)


@pytest.mark.parametrize(
    ("ended", "by", "broken"),
    [
        (True, OTHER, set()),
        (True, FAR, {"I20"}),
        (True, owner(4, boot="later"), set()),
        (False, OTHER, {"I20"}),
    ],
    ids=["seen-dead", "dead-elsewhere", "machine-restarted", "alive"],
)
def test_proved_death_needs_no_waiting(*, ended: bool, by: Owner, broken: set[str]) -> None:
    """I20: only who can see on its own machine that the owner is gone takes the lock at once."""
    hand = Hand().steady()
    hand.take()
    if ended:
        hand.checker.process_ended(PUSHER)
    resolving(hand, by, "recover")
    assert broken == ids(hand)


def test_a_forced_unlock_waits_for_nobody() -> None:
    """I20 is about what is done unasked: a person may force a living owner's lock."""
    hand = Hand().steady()
    hand.take()
    resolving(hand, OTHER, "force-unlock")
    assert set() == ids(hand)


def test_a_renewal_by_somebody_else() -> None:
    """I21: a renewal takes effect for the owner and its epoch alone."""
    hand = Hand().steady()
    hand.take()
    hand.checker.renewed(hand.fleet.lock.epoch, PUSHER)
    assert set() == ids(hand)
    hand.checker.renewed(hand.fleet.lock.epoch, OTHER)
    assert {"I21"} == ids(hand)
    hand.checker.renewed(Epoch(1, 1), PUSHER)
    assert {"I21"} == ids(hand)


# --- I22, I23: what is owed to the reader -------------------------------------------------------


def test_resolved_without_a_reason() -> None:
    """I22: whoever takes a lock from somebody says why."""
    hand = Hand().steady()
    hand.take()
    resolving(hand, OTHER, "force-unlock", reason=None)
    assert {"I22"} == ids(hand)


def test_a_lock_without_an_owner() -> None:
    """I22: a lock that is not free shows its owner."""
    hand = Hand().steady()
    lock = replace(hand.fleet.lock, state=LockState.HELD, epoch=Epoch(1, 9), owner=None)
    hand.write(taken(lock.epoch, PUSHER), lock=lock)
    assert {"I22"} == ids(hand)


def wrong_records(hand: Hand) -> dict[str, Any]:
    """Make records that lack what their reader must know."""
    txn, epoch = samples.txn_id(2), hand.fleet.lock.epoch
    return {
        "no-cause": Decided(txn=txn, epoch=epoch, outcome=ABORT, cause=""),
        "quarantined": Ended(txn=txn, epoch=epoch, quarantined=(D1,)),
        "to-nobody": ReleaseAnswered(epoch=epoch, by=PUSHER, answer=Answer.ABORT),
        "word": HeuristicDecided(device=D1, txn=txn, outcome=COMMIT, by=OTHER, reason=""),
        "retired": Retired(device=D1, by=OTHER, reason=""),
    }


@pytest.mark.parametrize("name", ["no-cause", "quarantined", "to-nobody", "word", "retired"])
def test_a_record_owes_its_reader(name: str) -> None:
    """I23: who decides, quarantines, answers, gives a word or retires says by what right."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    hand.write(wrong_records(hand)[name])
    assert "I23" in ids(hand)


def test_a_record_that_changes_too_much() -> None:
    """I23: a record changes what it is about, and nothing else of the fold."""
    hand = Hand().steady()
    hand.write(LockRequested(ticket=Ticket("w"), owner=OTHER, purpose="p"), last_seq=77)
    assert {"I23"} == ids(hand)


def test_committed_after_it_has_said_abort() -> None:
    """I23: a holder that has answered "abort" does not commit."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    for name in (D1, D2):
        hand.prepare(name, record)
    hand.checker._ledger.lock.answered = Answer.ABORT  # what its answer would have set
    hand.decide(2)
    assert {"I23"} == ids(hand)


# --- I26: the line ------------------------------------------------------------------------------


def line(hand: Hand) -> Ticket:
    """Let somebody stand in line."""
    ticket = Ticket("w1")
    hand.append(LockRequested(ticket=ticket, owner=OTHER, purpose="push"))
    return ticket


def test_granted_past_the_first() -> None:
    """I26: a free lock goes to the first in the line."""
    hand = Hand().steady()
    line(hand)
    epoch = hand.fleet.lock.epoch.next()
    lock = replace(
        hand.fleet.lock, state=LockState.HELD, epoch=epoch, owner=PUSHER, purpose="p", since=1.0
    )
    hand.write(taken(epoch, PUSHER), lock=lock)
    assert {"I26"} == ids(hand)


def test_granted_to_another_with_the_ticket_of_the_first() -> None:
    """I26: a ticket is its owner's."""
    hand = Hand().steady()
    hand.take(PUSHER, ticket=line(hand))
    assert {"I26"} == ids(hand)


@pytest.mark.parametrize(
    ("waited_s", "dead", "broken"),
    [(1.0, False, {"I26"}), (1.0, True, set()), (LEASE_TTL_S + 0.1, False, set())],
    ids=["alive", "seen-dead", "silent"],
)
def test_who_waits_is_passed_over(*, waited_s: float, dead: bool, broken: set[str]) -> None:
    """I26: a waiter is taken out by another only if it is gone, or silent past its TTL."""
    hand = Hand().steady()
    hand.checker.process_started("waiter", OTHER, Verb.PUSH)
    ticket = line(hand)
    hand.wait(waited_s)
    if dead:
        hand.checker.process_ended(OTHER)
    hand.append(LockWithdrawn(ticket=ticket, by=PUSHER, reason="gone"))
    assert broken == ids(hand)


def test_a_waiter_leaves() -> None:
    """I26: who waits may leave at any time."""
    hand = Hand().steady()
    hand.append(LockWithdrawn(ticket=line(hand), by=OTHER, reason="left"))
    assert set() == ids(hand)
