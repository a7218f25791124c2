"""Votes, decisions and what devices record of them: each rule is seen broken, and seen kept."""

from __future__ import annotations

from dataclasses import replace

from drone_sim.cores import samples
from orchestrator.protocol.device import Durable, Finished
from orchestrator.protocol.types import Epoch
from tests.checker.hand import ABORT, COMMIT, D1, D2, Hand, ids, prepared


def test_a_healthy_push_breaks_nothing() -> None:
    """Two pushes as they should be pass every rule."""
    hand = Hand().steady()
    hand.push(2)
    assert set() == ids(hand)


def test_one_commits_and_one_aborts() -> None:
    """I1: two devices with different outcomes of one transaction; the journal has one of them."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.prepare(D2, record)
    hand.decide(2)
    hand.finish(D1, COMMIT)
    assert set() == ids(hand)
    hand.finish(D2, ABORT)
    assert {"I1", "I2"} == ids(hand)


def test_a_device_changes_its_mind() -> None:
    """I2: a recorded outcome never becomes the other one."""
    hand = Hand().steady()
    was = hand.disks[D1].finished[-1]
    hand.store(D1, finished=(replace(was, outcome=ABORT),))
    assert "I2" in ids(hand)


def test_a_yes_is_dropped() -> None:
    """I2: a yes ends by a decision alone."""
    hand = Hand().steady()
    hand.take()
    hand.prepare(D1, hand.begin(2))
    assert set() == ids(hand)
    hand.store(D1, prepared=None)
    assert {"I2"} == ids(hand)


def test_a_no_after_a_yes() -> None:
    """I2: a vote never changes; the yes may be told again."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.say(D1, hand.vote(D1, record))
    hand.say(D1, hand.vote(D1, record))
    assert set() == ids(hand)
    hand.say(D1, hand.vote(D1, record, yes=False))
    assert {"I2"} == ids(hand)


def test_a_no_of_another_unit() -> None:
    """I2: a unit that has taken the place of one that said yes does not know of it."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.say(D1, hand.vote(D1, record))
    hand.checker.device_replaced(D1, Durable(fleet=samples.FLEET, device=D1))
    hand.say(D1, hand.vote(D1, record, yes=False))
    assert set() == ids(hand)


def test_commit_without_a_vote() -> None:
    """I3: COMMIT needs a stored yes of every member."""
    hand = Hand().steady()
    hand.take()
    hand.prepare(D1, hand.begin(2))
    hand.decide(2)
    assert {"I3"} == ids(hand)


def test_a_yes_to_other_bytes() -> None:
    """I3: a yes is to the digest that the plan has for this very device."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.store(D1, prepared=prepared(D2, record))
    assert {"I3"} == ids(hand)


def test_a_yes_on_another_base() -> None:
    """I3: a yes is given on the version that the plan is for."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.store(D1, version=9, last_seq=1)
    assert set() == ids(hand)
    hand.prepare(D1, record)
    assert {"I3"} == ids(hand)


def test_an_outcome_that_nobody_has_stored() -> None:
    """I17: a device records what the journal has decided, never before."""
    hand = Hand().steady()
    hand.take()
    hand.prepare(D1, hand.begin(2))
    hand.finish(D1, ABORT)
    assert {"I17"} == ids(hand)


def test_a_prepare_below_the_epoch() -> None:
    """I10: a device that was fenced prepares nothing of an older epoch."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.store(D1, max_epoch=Epoch(1, 99))
    hand.store(D1, prepared=prepared(D1, record))
    assert {"I10"} == ids(hand)


def test_the_epoch_of_a_device_decreases() -> None:
    """I10: what fences a device survives everything."""
    hand = Hand().steady()
    hand.store(D1, max_epoch=Epoch(1, 0))
    assert {"I10"} == ids(hand)


def test_a_replayed_prepare() -> None:
    """I11: nothing is prepared that is decided already."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.store(D1, last_seq=2)
    hand.store(D1, prepared=prepared(D1, record))
    assert {"I11"} == ids(hand)


def test_a_version_goes_back() -> None:
    """I11: a device's version never decreases."""
    hand = Hand().steady()
    hand.store(D1, version=0)
    assert {"I11"} == ids(hand)


def test_a_new_unit_votes_unheard() -> None:
    """I11: a unit without a participant record accepts no PREPARE before a HELLO is answered."""
    hand = Hand()
    hand.take()
    record = hand.begin(1)
    hand.store(D1, prepared=prepared(D1, record))
    assert {"I11"} == ids(hand)
    hand.welcome(D2)
    hand.prepare(D2, record)
    assert set() == ids(hand)


def test_two_promises_at_once() -> None:
    """I12: at most one prepared transaction."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    other = replace(prepared(D1, record), txn=samples.txn_id(7), seq=7)
    hand.store(D1, prepared=other)
    assert {"I12", "I13", "I15"} == ids(hand)


def test_a_yes_before_the_last_activation() -> None:
    """I12: no yes while an activation is pending."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.prepare(D2, record)
    hand.decide(2)
    hand.finish(D1, COMMIT)
    hand.finish(D2, COMMIT)
    hand.end(2, D1, D2)
    third = hand.begin(3)
    hand.prepare(D1, third)
    assert {"I12"} == ids(hand)


def test_what_is_forgiven_after_a_restore() -> None:
    """I1, I2: after a store was rolled back they are detected, not held, for what was lost."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.prepare(D2, record)
    hand.decide(2)
    hand.finish(D1, COMMIT)
    hand.restore(1)
    hand.decide(2, ABORT)
    hand.finish(D2, ABORT)
    assert set() == ids(hand)
    hand.store(D1, max_epoch=Epoch(1, 0))
    assert {"I10"} == ids(hand)


def test_a_write_that_nobody_has_made() -> None:
    """I13: a record changes by writes alone, and a start finds what was told as stored."""
    hand = Hand().steady()
    hand.checker.device_booted(D1, hand.disks[D1])
    assert set() == ids(hand)
    older = replace(hand.disks[D1], last_seq=0)
    hand.checker.device_booted(D1, older)
    assert {"I13"} == ids(hand)
    hand.checker.device_stored(D1, older, hand.disks[D1])
    assert {"I13"} == ids(hand)


def test_a_finished_transaction_of_another() -> None:
    """I17: what a device has recorded of a transaction that never was is seen."""
    hand = Hand().steady()
    done = Finished(txn=samples.txn_id(9), seq=9, outcome=COMMIT)
    hand.store(D1, finished=(*hand.disks[D1].finished, done), last_seq=9)
    assert {"I17"} == ids(hand)
