"""I6 and I4: who is well when the faults are over, and what a healthy push comes to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import lease
from orchestrator.protocol.records import HeuristicDecided, LockRequested, Retired
from orchestrator.protocol.types import Ticket
from tests.checker.hand import ABORT, COMMIT, D1, D2, OTHER, SERVER, Hand, found, ids


def well(hand: Hand) -> set[str]:
    """Ask whether everybody is well."""
    return found(hand.checker.must_be_well)


def held(hand: Hand) -> None:
    """Somebody holds the lock."""
    hand.take()


def opened(hand: Hand) -> None:
    """A transaction is open."""
    hand.take()
    hand.begin(2)


def waited_for(hand: Hand) -> None:
    """Somebody waits for the lock."""
    hand.append(LockRequested(ticket=Ticket("w"), owner=OTHER, purpose="push"))


def deferred(hand: Hand) -> None:
    """A member is deferred."""
    hand.take()
    hand.begin(2)
    hand.decide(2, ABORT)
    hand.end(2, D1)
    hand.free()


def quarantined(hand: Hand) -> None:
    """Glass was broken."""
    hand.take()
    hand.begin(2)
    broken = lease.break_glass(hand.fleet, hand.fleet.lock.epoch, OTHER, "no time")
    assert isinstance(broken, tuple)
    hand.append(*broken)


def on_a_word(hand: Hand) -> None:
    """A person's word is not settled."""
    txn = samples.txn_id(1)
    hand.append(HeuristicDecided(device=D1, txn=txn, outcome=COMMIT, by=OTHER, reason="fly"))


def down(hand: Hand) -> None:
    """A device is down."""
    hand.aim(D1, None, up=False)


def holding(hand: Hand) -> None:
    """A device holds."""
    hand.aim(D1, None, "restarted")


def in_doubt(hand: Hand) -> None:
    """A device is in doubt."""
    hand.take()
    record = hand.begin(2)
    hand.decide(2, ABORT)
    hand.end(2, D1, D2)
    hand.prepare(D1, record)
    hand.free()


def behind(hand: Hand) -> None:
    """A new unit has nothing yet."""
    hand.checker.device_replaced(D1, type(hand.disks[D1])(fleet=samples.FLEET, device=D1))


def rolled_back(hand: Hand) -> None:
    """The store was restored, and a device knows more."""
    hand.push(2)
    hand.restore(3)


ILL = (
    held,
    opened,
    waited_for,
    deferred,
    quarantined,
    on_a_word,
    down,
    holding,
    in_doubt,
    behind,
    rolled_back,
)


def test_everybody_is_well() -> None:
    """I6: a steady fleet is well."""
    hand = Hand().steady()
    hand.checker.begin_liveness()
    assert () == hand.checker.unwell()
    assert set() == well(hand)


@pytest.mark.parametrize("illness", ILL, ids=lambda one: one.__name__)
def test_somebody_is_not_well(illness: Callable[[Hand], None]) -> None:
    """I6: each thing that must not be left over is seen."""
    hand = Hand().steady()
    illness(hand)
    hand.checker.begin_liveness()
    assert hand.checker.unwell()
    assert "I6" in well(hand)


def test_who_is_retired_need_not_be_well() -> None:
    """I6: nobody waits for a device that is out for good."""
    hand = Hand().steady()
    hand.append(Retired(device=D1, by=OTHER, reason="sold"))
    hand.aim(D1, None, up=False)
    assert set() == well(hand)


def test_a_restore_that_nobody_could_notice() -> None:
    """I6: if no device knows more than a restored journal, it is the truth from then on."""
    hand = Hand().steady()
    hand.append(LockRequested(ticket=Ticket("w"), owner=OTHER, purpose="push"))
    hand.restore(1)
    assert set() == well(hand)
    hand.take()
    hand.prepare(D1, hand.begin(2))
    hand.finish(D1, ABORT)
    assert {"I17"} == ids(hand)


def test_not_well_in_time() -> None:
    """I6: looking finds out when the time is over, also where nobody asks."""
    hand = Hand(liveness_s=30.0).steady()
    hand.take(SERVER)
    hand.checker.begin_liveness()
    hand.wait(29.0)
    hand.checker.now_s += 2.0
    assert {"I6"} == ids(hand)


def test_no_scenario_has_longer_than_a_minute() -> None:
    """I6: the bound is stated here, a scenario may only ask for less."""
    hand = Hand(liveness_s=600.0).steady()
    hand.take(SERVER)
    hand.checker.begin_liveness()
    hand.wait(59.0)
    hand.checker.now_s += 2.0
    assert {"I6"} == ids(hand)


def test_once_well_is_enough() -> None:
    """I6: what comes after everybody was well is not its business."""
    hand = Hand(liveness_s=30.0).steady()
    hand.checker.begin_liveness()
    assert () == hand.checker.unwell()
    hand.take(SERVER)
    hand.wait(40.0)
    assert set() == ids(hand)


# --- I4 -----------------------------------------------------------------------------------------


def test_a_healthy_push_commits() -> None:
    """I4: no faults, all yes, in time: COMMIT, and everybody operates it."""
    hand = Hand().steady()
    record = hand.push(2)
    assert set() == found(lambda: hand.checker.must_have_committed(record.txn))
    hand.aim(D1, None)
    assert {"I4"} == found(lambda: hand.checker.must_have_committed(record.txn))


@pytest.mark.parametrize("decided", [False, True])
def test_a_healthy_push_that_does_not_commit(*, decided: bool) -> None:
    """I4: an ABORT, or nothing, is seen."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2)
    if decided:
        hand.decide(2, ABORT)
    assert {"I4"} == found(lambda: hand.checker.must_have_committed(record.txn))


def test_a_healthy_push_that_is_not_begun() -> None:
    """I4: a push that never begins is seen."""
    hand = Hand().steady()
    assert {"I4"} == found(lambda: hand.checker.must_have_committed(None))
