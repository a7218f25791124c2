"""What controllers aim with, what devices are sure of, files, clocks and what people are told."""

from __future__ import annotations

import pytest

from drone_sim.checker import Said
from drone_sim.cores import samples
from drone_sim.scenario.model import Act, Verb
from orchestrator.protocol.clock import STEP_MEMORY_S
from orchestrator.protocol.records import LeaseHorizon
from tests.checker.hand import ABORT, COMMIT, D1, D2, Hand, ids

OLD, NEW = b"old bytes", b"new bytes"
KNOWN = {OLD, NEW}


def committed(hand: Hand) -> None:
    """Commit version 2; both devices hold."""
    hand.take()
    record = hand.begin(2)
    for name in (D1, D2):
        hand.prepare(name, record)
    hand.decide(2)
    for name in (D1, D2):
        hand.finish(name, COMMIT)
        hand.aim(name, None)


def test_two_versions_at_once() -> None:
    """I5: one device aims with the new version while the other still aims with the old one."""
    hand = Hand().steady()
    committed(hand)
    hand.activate(D1)
    assert set() == ids(hand)
    hand.aim(D2, 1)
    assert {"I5"} == ids(hand)
    hand.aim(D2, None)
    assert set() == ids(hand)


def test_who_was_left_out_may_differ() -> None:
    """I5: a device that the version leaves out is an exception, unless it has a lease."""
    hand = Hand().steady()
    hand.take()
    record = hand.begin(2, members=(D1,))
    hand.prepare(D1, record)
    hand.decide(2)
    hand.finish(D1, COMMIT)
    hand.aim(D1, None)
    hand.activate(D1)
    assert set() == ids(hand)
    hand.aim(D2, 1, leased=True)
    assert {"I5"} == ids(hand)


def test_a_lease_beyond_its_horizon() -> None:
    """I5: no lease runs longer than the journal has it, but for ε."""
    hand = Hand().steady()
    hand.append(LeaseHorizon(lease_s=5.0, until=hand.now + 5.0, devices=(D1,)))
    hand.checker.lease_runs_until(D1, hand.now + 5.04)
    assert set() == ids(hand)
    hand.checker.lease_runs_until(D1, hand.now + 5.06)
    assert {"I5"} == ids(hand)
    hand.checker.lease_runs_until(D2, hand.now + 1.0)
    assert {"I5"} == ids(hand)


def test_a_device_outlives_its_lease() -> None:
    """I5: when its lease is over a device ceases to aim; whoever has a newer one goes on."""
    hand = Hand().steady()
    hand.append(LeaseHorizon(lease_s=5.0, until=hand.now + 9.0, devices=(D1, D2)))
    for name in (D1, D2):
        hand.checker.lease_runs_until(name, hand.now + 5.0)
        hand.aim(name, 1, leased=True)
    hand.wait(4.0)
    hand.checker.lease_runs_until(D1, hand.now + 5.0)
    hand.wait(1.1)
    hand.aim(D2, None, leased=True)
    hand.wait(0.3)
    hand.aim(D2, 1, leased=True)
    assert {"I5"} == ids(hand)


# --- I19: clocks --------------------------------------------------------------------------------


def lying(hand: Hand) -> None:
    """Let D2 go on with the old version by a wrong clock."""
    committed(hand)
    hand.checker.clock_lied(D2)
    hand.aim(D2, 1)
    hand.activate(D1)


def test_a_wrong_clock_excuses_from_i5_alone() -> None:
    """I19: a clock that lies may break I5; what is recorded is judged all the same."""
    hand = Hand().steady()
    lying(hand)
    assert set() == ids(hand)
    hand.store(D2, last_seq=0)
    assert {"I11"} == ids(hand)


@pytest.mark.parametrize(
    ("detected", "measured", "broken"),
    [(True, True, set()), (False, True, {"I19"}), (False, False, set())],
    ids=["detected", "not-detected", "restarted"],
)
def test_a_broken_i5_is_found_out(*, detected: bool, measured: bool, broken: set[str]) -> None:
    """I19: an exchange that puts a wrong clock right has proved the step, if it broke I5."""
    hand = Hand().steady()
    lying(hand)
    assert set() == ids(hand)
    hand.aim(D2, None)
    if detected:
        hand.checker.clock_detected(D2)
    hand.checker.clock_honest(D2, measured=measured)
    assert broken == ids(hand)


def test_a_core_that_remembers_a_step() -> None:
    """I19: a core that has proved a step lately knows that clocks step here."""
    hand = Hand().steady()
    hand.checker.clock_lied(D2)
    hand.checker.clock_detected(D2)
    hand.checker.clock_honest(D2)
    hand.wait(STEP_MEMORY_S / 2)
    lying(hand)
    hand.checker.look()
    hand.aim(D2, None)
    hand.checker.clock_honest(D2)
    assert set() == ids(hand)


def test_a_wrong_clock_that_broke_nothing() -> None:
    """I19: what has broken nothing need not be found out."""
    hand = Hand().steady()
    hand.checker.clock_lied(D2)
    hand.wait(1.0)
    hand.checker.clock_honest(D2)
    assert set() == ids(hand)


def test_i5_is_judged_again_after_the_lie() -> None:
    """I5: a clock that is right again excuses until its device agrees, and no longer."""
    hand = Hand().steady()
    lying(hand)
    assert set() == ids(hand)
    hand.checker.clock_honest(D2, measured=False)
    assert set() == ids(hand)
    hand.aim(D2, None)
    assert set() == ids(hand)
    hand.aim(D2, 1)
    assert {"I5"} == ids(hand)


def test_a_clock_that_is_right_does_not_excuse_for_long() -> None:
    """I5: a device that goes on with another version although its clock is right is seen."""
    hand = Hand().steady()
    lying(hand)
    assert set() == ids(hand)
    hand.checker.clock_honest(D2, measured=False)
    hand.wait(4.9)
    hand.checker.now_s += 0.2
    assert {"I5"} == ids(hand)


# --- I25, I27 -----------------------------------------------------------------------------------


def test_sure_of_a_version_that_is_gone() -> None:
    """I25: a device is enabled only as what the fleet was after it had asked."""
    hand = Hand().steady()
    hand.checker.confirmed(D1, hand.disks[D1], hand.folds[-1:])
    assert set() == ids(hand)
    hand.store(D1, last_seq=9)
    hand.checker.confirmed(D1, hand.disks[D1], hand.folds)
    assert {"I25"} == ids(hand)


def test_whole_files() -> None:
    """I27: the active file is old or new, whole; and once it is there it never goes."""
    hand = Hand().steady()
    for data in (None, OLD, NEW):
        hand.checker.active_file(D1, data, KNOWN)
    assert set() == ids(hand)
    hand.checker.active_file(D1, OLD + NEW, KNOWN)
    assert {"I27"} == ids(hand)
    hand.checker.active_file(D1, NEW, KNOWN)
    hand.checker.active_file(D1, None, KNOWN)
    assert {"I27"} == ids(hand)


def test_a_disk_that_has_forgotten_may_have_forgotten_the_file() -> None:
    """I27: what a disk has lost with its record is no torn file, and comes again whole."""
    hand = Hand().steady()
    hand.checker.active_file(D1, OLD, KNOWN)
    hand.checker.device_replaced(D1, hand.disks[D1])
    hand.checker.active_file(D1, None, KNOWN)
    hand.checker.active_file(D1, NEW, KNOWN)
    assert set() == ids(hand)


def test_worn_flash_is_written_anew() -> None:
    """I27: a file that worn flash has damaged may stand, and is not what a device aims with."""
    hand = Hand().steady()
    hand.checker.active_file(D1, OLD, KNOWN)
    hand.checker.fault_began(Act(at_s=0.0, verb=Verb.DAMAGE, target=(D1,)))
    hand.aim(D1, None, up=False)
    hand.checker.active_file(D1, b"worn", KNOWN)
    assert set() == ids(hand)
    hand.aim(D1, 1)
    assert {"I27"} == ids(hand)
    hand.aim(D1, None)
    hand.checker.active_file(D1, OLD, KNOWN)
    hand.aim(D1, 1)
    assert set() == ids(hand)
    hand.checker.active_file(D1, b"torn", KNOWN)
    assert {"I27"} == ids(hand)


def test_a_new_unit_has_no_file() -> None:
    """I27: another unit begins without a file."""
    hand = Hand().steady()
    hand.checker.active_file(D1, OLD, KNOWN)
    hand.checker.device_replaced(D1, type(hand.disks[D1])(fleet=samples.FLEET, device=D1))
    hand.checker.active_file(D1, None, KNOWN)
    assert set() == ids(hand)


# --- I17, I29: what is said ---------------------------------------------------------------------


def test_what_is_said_of_a_device() -> None:
    """I29: what is said is what the device had told by then, or "unknown"."""
    hand = Hand().steady()
    hand.say(D1, hand.report(D1, operating=1))
    heard_s = hand.now
    hand.wait(1.0)
    said = Said(device=D1, known=True, version=1, operating=1, heard_at_s=heard_s)
    hand.checker.told(said)
    hand.checker.told(Said(device=D2, known=False))
    assert set() == ids(hand)
    hand.checker.told(Said(device=D1, known=True, version=2, operating=2, heard_at_s=heard_s))
    assert {"I29"} == ids(hand)
    hand.checker.told(Said(device=D2, known=True, version=1, operating=1))
    assert {"I29"} == ids(hand)


def test_what_is_said_as_of_too_early() -> None:
    """I29: the stated time is not before the device has told it."""
    hand = Hand().steady()
    early_s = hand.now
    hand.wait(1.0)
    hand.say(D1, hand.report(D1, operating=1))
    hand.checker.told(Said(device=D1, known=True, version=1, operating=1, heard_at_s=early_s))
    assert {"I29"} == ids(hand)


def test_an_outcome_that_a_person_is_told() -> None:
    """I17: a person is told no outcome that is not stored."""
    hand = Hand().steady()
    hand.checker.told_outcome("push", samples.txn_id(1), COMMIT)
    assert set() == ids(hand)
    hand.checker.told_outcome("push", samples.txn_id(1), ABORT)
    assert {"I17"} == ids(hand)


def test_the_program_breaks() -> None:
    """X: an exception of the program itself is a violation."""
    hand = Hand().steady()
    hand.checker.unexpected("push", ValueError("what?"))
    assert {"X"} == ids(hand)
    assert set() == ids(hand)
