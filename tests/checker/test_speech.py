"""Write before send, recorded before told, read back before a decision: one rule for each row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import answers, lease
from orchestrator.protocol.messages import Ask, Blob, Decision, Heuristic, Welcome
from orchestrator.protocol.records import HeuristicDecided, LeaseHorizon
from orchestrator.protocol.types import Digest, Epoch, TxnId
from tests.checker.hand import ABORT, COMMIT, D1, D2, OTHER, Hand, begun, ids


def decision(number: int, epoch: Epoch, **changes: object) -> Decision:
    """Make the DECISION of a transaction, COMMIT if nothing else is said."""
    txn = samples.txn_id(number)
    made = Decision(
        txn=txn, seq=number, epoch=epoch, plan=samples.digest(f"plan-{txn}"), outcome=COMMIT
    )
    return replace(made, **changes)  # type: ignore[arg-type]


# --- devices ------------------------------------------------------------------------------------


def test_what_is_stored_may_be_told() -> None:
    """HELLO, REPORT, a yes, a no and a question are allowed once their record is there."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.say(D1, hand.vote(D1, record, yes=False))
    hand.prepare(D1, record)
    hand.say(D1, hand.vote(D1, record))
    hand.say(D1, Ask(device=D1, txn=record.txn, seq=2))
    hand.say(D1, hand.hello(D1))
    hand.say(D1, hand.report(D1, operating=1))
    assert set() == ids(hand)


def test_a_yes_before_its_record() -> None:
    """D1: a yes is stored before it is sent."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.say(D1, hand.vote(D1, record))
    assert {"I13"} == ids(hand)


def test_a_yes_to_another_epoch() -> None:
    """D1: a yes is for the epoch that was stored with it."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.say(D1, replace(hand.vote(D1, record), epoch=Epoch(1, 99)))
    assert {"I13"} == ids(hand)


@pytest.mark.parametrize("row", ["D2", "F", "D3"])
def test_a_report_before_its_record(row: str) -> None:
    """D2, F, D3: an outcome, an epoch and a new version are stored before they are told."""
    hand = Hand().steady()
    rows: dict[str, dict[str, Any]] = {
        "D2": {"outcome_txn": samples.txn_id(2), "outcome": COMMIT, "outcome_seq": 2},
        "F": {"max_epoch": Epoch(1, 50)},
        "D3": {"operating": 2},
    }
    hand.say(D1, hand.report(D1, **rows[row]))
    assert {"I13"} == ids(hand)
    hand.say(D1, hand.hello(D1, **rows[row]))
    assert {"I13"} == ids(hand)


def test_a_late_report_of_what_once_was() -> None:
    """A message that waited in an outbox tells what was stored then."""
    hand = Hand().steady()
    late = hand.report(D1)
    hand.push(2)
    hand.say(D1, late)
    assert set() == ids(hand)


def test_a_question_about_what_was_never_promised() -> None:
    """Only who is in doubt asks."""
    hand = Hand().steady()
    hand.say(D1, Ask(device=D1, txn=samples.txn_id(2), seq=2))
    assert {"I13"} == ids(hand)


# --- orchestrators ------------------------------------------------------------------------------


def test_prepare_after_begun() -> None:
    """C1: PREPARE says what is begun, and not before."""
    hand = Hand().steady()
    hand.take()
    record = begun(2, hand.fleet, at=hand.now)
    txn = hand.fleet.open
    assert txn is None
    hand.append(record)
    assert hand.fleet.open is not None
    message = answers.prepare(hand.fleet.open)
    hand.say("push", message)
    assert set() == ids(hand)
    hand.say("push", replace(message, seq=3))
    assert {"I13"} == ids(hand)
    hand.say("push", replace(message, txn=samples.txn_id(3)))
    assert {"I13"} == ids(hand)


def test_a_blob_after_begun() -> None:
    """C1: blobs of a transaction are published once it is begun."""
    hand = Hand().steady()
    hand.say("push", Blob(txn=samples.txn_id(1), digest=Digest("d"), data=b""))
    assert set() == ids(hand)
    hand.say("push", Blob(txn=samples.txn_id(2), digest=Digest("d"), data=b""))
    assert {"I13"} == ids(hand)


def test_fence_after_the_lock_is_taken() -> None:
    """L: FENCE carries an epoch that somebody has taken; a roll call fences nobody."""
    hand = Hand().steady()
    hand.take()
    epoch = hand.fleet.lock.epoch
    hand.say("push", replace(answers.ROLL_CALL, epoch=epoch))
    hand.say("push", answers.ROLL_CALL)
    assert set() == ids(hand)
    hand.say("push", replace(answers.ROLL_CALL, epoch=epoch.next()))
    assert {"I13"} == ids(hand)


def test_decision_after_decided() -> None:
    """C2, I17: DECISION says what is stored, of the plan and number that were begun."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    hand.say("push", decision(2, hand.fleet.lock.epoch))
    assert {"I17"} == ids(hand)
    hand.decide(2, ABORT)
    hand.say("push", decision(2, hand.fleet.lock.epoch, outcome=ABORT))
    assert set() == ids(hand)
    hand.say("push", decision(2, hand.fleet.lock.epoch))
    assert {"I17"} == ids(hand)
    hand.say("push", decision(2, hand.fleet.lock.epoch, outcome=ABORT, seq=7))
    assert {"I17"} == ids(hand)


def test_a_presumed_abort() -> None:
    """I17: "it must have been aborted" is not told before it is recorded."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    hand.say("force", decision(2, hand.fleet.lock.epoch, outcome=ABORT))
    assert {"I17"} == ids(hand)


def test_a_lost_answer_is_read_back() -> None:
    """I24: who does not know what became of its append reads before it tells."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    hand.checker.answer_lost("push")
    hand.decide(2, ABORT)
    hand.say("push", decision(1, hand.fleet.lock.epoch))
    assert set() == ids(hand)
    hand.say("push", decision(2, hand.fleet.lock.epoch, outcome=ABORT))
    assert {"I24"} == ids(hand)
    hand.checker.read_back("push", written=True)
    hand.say("push", decision(2, hand.fleet.lock.epoch, outcome=ABORT))
    assert set() == ids(hand)


def test_catch_up_to_what_is_committed() -> None:
    """K, I17: CATCH-UP names a committed version, the device's own digest and a real epoch."""
    hand = Hand().steady()
    message = answers.catch_up(hand.fleet, D1)
    assert message is not None
    hand.say("serve", message, D1)
    assert set() == ids(hand)
    hand.say("serve", message, D2)
    assert {"I17"} == ids(hand)
    hand.say("serve", replace(message, version=2, txn=TxnId("t2")), D1)
    assert {"I17"} == ids(hand)
    hand.say("serve", replace(message, epoch=Epoch(1, 99)), D1)
    assert {"I13"} == ids(hand)


@pytest.mark.parametrize(
    "changes",
    [{"activate_at": 0.0}, {"config": "another.toml"}, {"last_seq": 9}],
    ids=["instant", "config", "last-seq"],
)
def test_catch_up_says_what_the_journal_has(changes: dict[str, Any]) -> None:
    """K: CATCH-UP carries the version's own instant and name, and the fleet's last_seq."""
    hand = Hand().steady()
    message = answers.catch_up(hand.fleet, D1)
    assert message is not None
    hand.say("serve", replace(message, **changes), D1)
    assert {"I13"} == ids(hand)


def test_catch_up_with_the_instant_of_another_version() -> None:
    """K: the activate_at of the version before would let it begin ahead of the others."""
    hand = Hand().steady()
    before = answers.catch_up(hand.fleet, D1)
    hand.push(2)
    message = answers.catch_up(hand.fleet, D1)
    assert message is not None
    assert before is not None
    hand.say("serve", message, D1)
    assert set() == ids(hand)
    hand.say("serve", replace(message, activate_at=before.activate_at), D1)
    assert {"I13"} == ids(hand)


def test_catch_up_after_an_abort() -> None:
    """K: last_seq counts what was aborted since, under the epoch that the message names."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    hand.decide(2, ABORT)
    message = answers.catch_up(hand.fleet, D1)
    assert message is not None
    assert 2 == message.last_seq
    hand.say("serve", message, D1)
    assert set() == ids(hand)
    hand.say("serve", replace(message, last_seq=7), D1)
    assert {"I13"} == ids(hand)


def test_a_word_after_its_record() -> None:
    """H': HEURISTIC is sent when a person's word for this device is in the journal."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    message = Heuristic(txn=record.txn, outcome=COMMIT)
    hand.say("decide", message, D1)
    assert {"I13"} == ids(hand)
    word = HeuristicDecided(device=D1, txn=record.txn, outcome=COMMIT, by=OTHER, reason="fly")
    hand.append(word)
    hand.say("decide", message, D1)
    assert set() == ids(hand)
    hand.say("decide", message, D2)
    assert {"I13"} == ids(hand)


# --- WELCOME ------------------------------------------------------------------------------------


def welcome(hand: Hand, received: float = 0.0, **changes: object) -> Welcome:
    """Ask as D1, and make the answer of the fold of now."""
    hello = hand.hello(D1)
    hand.say(D1, hello)
    made = answers.welcome(hand.fleet, hello, received=received, now=received, clock_error_s=0.05)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_welcome_says_what_the_fleet_is() -> None:
    """The answer to a HELLO is what the journal has had since it was sent."""
    hand = Hand().steady()
    message = welcome(hand)
    hand.say("serve", message, D1)
    assert set() == ids(hand)
    hand.say("serve", replace(message, version=7), D1)
    assert {"I13"} == ids(hand)


def test_welcome_from_an_old_fold() -> None:
    """An answer that was true only before the question was asked is none."""
    hand = Hand().steady()
    old = welcome(hand)
    hand.push(2)
    hello = hand.hello(D1)
    hand.say(D1, hello)
    hand.say("serve", replace(old, boot=hello.boot, nonce=hello.nonce), D1)
    assert {"I13"} == ids(hand)


def test_welcome_of_who_has_not_voted() -> None:
    """While a transaction is undecided, a member that has not shown it is not enabled."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    message = welcome(hand)
    assert not message.enable
    hand.say("serve", message, D1)
    assert set() == ids(hand)
    hand.say("serve", replace(message, enable=True), D1)
    assert {"I13"} == ids(hand)


def test_welcome_with_a_lease() -> None:
    """E: no lease is issued beyond the horizon that is in the journal."""
    hand = Hand().steady()
    hand.append(LeaseHorizon(lease_s=5.0, until=hand.now + 4.0, devices=(D1,)))
    message = welcome(hand, received=hand.now)
    assert message.lease_s == pytest.approx(4.0)
    hand.say("serve", message, D1)
    assert set() == ids(hand)
    hand.say("serve", replace(message, lease_s=5.0), D1)
    assert {"I13"} == ids(hand)
    hand.say("serve", replace(message, lease_s=None), D1)
    assert {"I13"} == ids(hand)


def test_welcome_of_a_device_in_quarantine() -> None:
    """Q: a device in quarantine is enabled after its Rejoined alone."""
    hand = Hand().steady()
    hand.take()
    hand.begin(2)
    broken = lease.break_glass(hand.fleet, hand.fleet.lock.epoch, OTHER, "no time")
    assert isinstance(broken, tuple)
    hand.append(*broken)
    message = welcome(hand)
    assert not message.enable
    hand.say("serve", message, D1)
    assert set() == ids(hand)
    hand.say("serve", replace(message, enable=True), D1)
    assert {"I13"} == ids(hand)
