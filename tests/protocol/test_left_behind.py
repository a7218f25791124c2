"""A device that the fleet has left behind holds, is named, and gets back into the fleet."""

from __future__ import annotations

from dataclasses import replace

from drone_sim.cores import samples
from drone_sim.cores.minifleet import Fleet
from orchestrator.protocol import device as dev
from orchestrator.protocol import order as rules
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Hold
from orchestrator.protocol.messages import Vote
from orchestrator.protocol.types import DeviceId
from tests.protocol.one_device import BASE, NOW, PROMISE, get, perform, prepare, steady, welcome

D1, D2 = samples.device_id(1), samples.device_id(2)


def told_otherwise() -> Fleet:
    """
    One has recorded the COMMIT, the store has lost it, and the other was told ABORT by it.

    That is against I1, and no protocol without a quorum of devices prevents it: so nobody checks
    here until the reseed has ended it.
    """
    fleet = Fleet(2).steady()
    fleet.push("c2", 2)
    fleet.run(0.2, keep=lambda one: one.to == D2 and one.message.kind == "decision")
    the_orchestrator_dies(fleet)
    fleet.roll_back(1)
    fleet.check = lambda: None  # type: ignore[method-assign]
    fleet.force("r1")
    fleet.run(4.0, keep=lambda one: D1 in (one.to, one.sender))
    fleet.drop()
    return fleet


def the_orchestrator_dies(fleet: Fleet) -> None:
    """Nothing of it is left, nor of what was on its way."""
    for driver in fleet.drivers.values():
        fleet.kill(driver)
    fleet.drop()


def reseed(fleet: Fleet) -> None:
    """Reseed, and answer everybody afterwards."""
    fleet.reseed("r2")
    fleet.run(6.0)
    fleet.settle("s")
    fleet.run(10.0)


def versions(fleet: Fleet) -> dict[DeviceId, tuple[int, int | None]]:
    """What each has on its disk, and what it aims with."""
    return {
        name: (device.disk.version, None if device.core is None else device.core.operating)
        for name, device in fleet.devices.items()
    }


def test_what_the_journal_had_planned_is_given_to_who_was_told_otherwise() -> None:
    """The decision was lost, the plan was not: a reseed brings everybody to the lost version."""
    fleet = told_otherwise()
    reseed(fleet)
    assert {D1: (2, 2), D2: (2, 2)} == versions(fleet)
    assert (frozenset(), 2) == (fleet.state.quarantined, fleet.state.version)


def test_nobody_aims_while_a_reseed_has_not_adopted() -> None:
    """A new incarnation: everybody who has heard of it holds until the version is known."""
    fleet = told_otherwise()
    fleet.reseed("r2")
    fleet.deliver_all(lambda one: one.sender == D1)
    before = versions(fleet)
    fleet.run(6.0)
    fleet.settle("s")
    fleet.run(10.0)
    assert {D1: (2, None), D2: (1, None)} == before
    assert {D1: (2, 2), D2: (2, 2)} == versions(fleet)


def test_the_next_push_takes_in_who_has_nothing_in_the_lost_version() -> None:
    """It was left out, and nobody knows what it was to run: it holds until a push includes it."""
    fleet = Fleet(2).steady()
    fleet.push("c2", 2, excused=(D2,))
    fleet.run(1.0, keep=lambda one: D2 in (one.to, one.sender))
    the_orchestrator_dies(fleet)
    begun = [one.index for one in fleet.journal if one.record.kind == "begun"]
    fleet.roll_back(len(fleet.journal) - begun[-1] + 1)
    reseed(fleet)
    held = versions(fleet)
    fleet.push("c3", 3)
    fleet.run(6.0)
    fleet.settle("s2")
    fleet.run(10.0)
    assert {D1: (2, 2), D2: (1, None)} == held
    assert {D1: (3, 3), D2: (3, 3)} == versions(fleet)


def test_only_who_has_nothing_in_the_version_may_vote_from_below() -> None:
    """A device that can be caught up is caught up first: it refuses the plan of a later base."""
    message = replace(prepare(6), base_version=5)
    stale = ("runs version 4, the plan is for 5",)
    assert stale == rules.refusals(message, BASE)
    assert () == rules.refusals(message, BASE, 5)
    assert stale == rules.refusals(message, BASE, 6)


def test_a_vote_waits_for_a_clock_that_may_yet_be_measured() -> None:
    """The middle of a wide bound is past vote_by, its lower end is not: nothing is refused yet."""
    core = steady(BASE)
    core.operation.clock = ClockBound(low=-3.0, high=9.0, at=NOW)
    sent = get(core, prepare(5), NOW + 0.1)
    assert [] == [message for message in sent if isinstance(message, Vote)]


def test_what_is_overdue_does_not_wait_for_the_disk() -> None:
    """An answer puts the clock right, and hold_at is past: it holds while the answer is stored."""
    core = steady(replace(BASE, prepared=PROMISE))
    perform(core, dev.Connected(), NOW)
    before = core.operating
    right = welcome(core, replace(BASE, max_epoch=samples.epoch(9)))
    late = replace(right, received_at=NOW + 3.0, sent_at=NOW + 3.0)
    ready = core.step(dev.Arrived(message=late), NOW)
    meanwhile = core.step(dev.Tick(), NOW)
    assert (4, 1, NOW) == (before, len(ready.writes), ready.wake_at)
    assert [Hold] == [type(effect) for effect in meanwhile.effects]
