"""A reseed: what it may abort, and who must have been heard before (DESIGN §6)."""

from __future__ import annotations

from drone_sim.cores import samples
from orchestrator.protocol.device import Finished
from orchestrator.protocol.records import Adopted, Decided, LockState, Reseeded, Retired
from orchestrator.protocol.types import DeviceId, Epoch
from tests.checker.hand import ABORT, D1, D2, OTHER, Hand, ids

NEW = Epoch(2, 1)
T2 = samples.txn_id(2)


def reseeding() -> Hand:
    """Transaction 2 is open, and a reseed has begun."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    hand.prepare(D1, record)
    hand.prepare(D2, record)
    hand.take(OTHER, LockState.RESOLVING, purpose="reseed", reason="restored", epoch=NEW)
    hand.append(Reseeded(epoch=NEW, last_seq=2, by=OTHER, reason="restored"))
    return hand


def abort(hand: Hand, *unheard: DeviceId) -> None:
    """End the reseed: transaction 2 is aborted."""
    hand.append(
        Adopted(epoch=NEW, last_seq=2, quarantined=unheard),
        Decided(txn=T2, epoch=NEW, outcome=ABORT, cause="reseed: none has recorded COMMIT"),
    )


def test_everybody_was_heard() -> None:
    """Once every member has acknowledged the new incarnation it may be aborted."""
    hand = reseeding()
    hand.store(D1, max_epoch=NEW)
    hand.store(D2, max_epoch=NEW)
    abort(hand)
    assert set() == ids(hand)


def test_a_member_was_not_heard() -> None:
    """I1: the one that was not heard may have recorded COMMIT, in quarantine or not."""
    hand = reseeding()
    hand.store(D1, max_epoch=NEW)
    abort(hand, D2)
    assert {"I1"} == ids(hand)


def test_who_was_not_heard_is_retired() -> None:
    """Who is retired by name is given up, whatever it knows."""
    hand = reseeding()
    hand.store(D1, max_epoch=NEW)
    hand.append(Retired(device=D2, by=OTHER, reason="crashed into the sea"))
    abort(hand)
    assert set() == ids(hand)


def test_somebody_has_recorded_the_abort() -> None:
    """What one device has recorded is adopted, whoever was not heard."""
    hand = reseeding()
    done = (*hand.disks[D1].finished, Finished(txn=T2, seq=2, outcome=ABORT))
    hand.store(D1, prepared=None, last_seq=2, finished=done, max_epoch=NEW)
    abort(hand, D2)
    assert "I1" not in ids(hand)
