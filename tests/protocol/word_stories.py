"""Stories that are told to the last word: between them, everything that a core can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from drone_sim.cores import samples
from drone_sim.cores.ground import DiskPlan, Driver, Packet
from drone_sim.cores.yard import Yard
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.messages import Fence, Presence
from orchestrator.protocol.types import Outcome
from tests.protocol.stories import D1, D2, Story, of
from tests.protocol.stories import STORIES as LOCK_STORIES


def trickle(fleet: Yard, for_s: float, delay_s: float) -> None:
    """Let everything happen, each message after a delay."""
    until = fleet.now + for_s
    while fleet.now < until:
        under_way = list(fleet.bag)
        fleet.advance(delay_s)
        for packet in under_way:
            fleet.deliver(packet)
        for driver in list(fleet.drivers.values()):
            fleet.land(driver)
            fleet.tick(driver)


def pushed(fleet: Yard, *, without: bool = False) -> Driver:
    """Somebody pushes, to everybody or without D2."""
    driver = fleet.push_as(fleet.actor(), (D2,) if without else ())
    assert driver is not None
    return driver


def first_push(fleet: Yard) -> None:
    """A new fleet gets its first configuration over a slow network."""
    for name in fleet.devices:
        fleet.boot(name)
    fleet.drop()
    pushed(fleet)
    trickle(fleet, 2.5, 0.03)


def second_push(fleet: Yard) -> None:
    """One that operates gets the next, with its window measured."""
    timing = replace(fleet.timing, window_s=None)
    fleet.push_as(fleet.actor(), timing=timing)
    trickle(fleet, 2.5, 0.02)


def refused(fleet: Yard) -> None:
    """One refuses, for two reasons; the other is offline."""
    fleet.devices[D1].refuses = ("no room", "the gimbal is narrower")
    driver = pushed(fleet)
    fleet.tell(driver, orc.Arrived(message=Presence(device=D2, online=False)))
    fleet.run(4.0, keep=of(D2))


def no_vote(fleet: Yard) -> None:
    """One is ready and its vote never comes: ABORT at vote_by, told again until it is heard."""
    pushed(fleet)
    fleet.run(0.3, keep=of(D2, "vote", "decision"))
    fleet.tick(next(iter(fleet.drivers.values())))
    fleet.run(1.2, keep=of(D2, "vote", "decision"))
    fleet.run(2.0)


def blobs_lost(fleet: Yard) -> None:
    """The plan and one configuration are lost: they are wanted, and published again."""
    pushed(fleet)
    fleet.deliver_all(of(D2, "blob"))
    fleet.drop()
    fleet.run(0.6, keep=of(D1, "vote"))
    fleet.drop(of(D2))
    fleet.run(2.5)


def left_behind(fleet: Yard) -> None:
    """One is away and left out; it comes back, refuses its catch-up, and takes it at last."""
    fleet.crash(D2)
    pushed(fleet, without=True)
    fleet.run(1.5)
    fleet.devices[D2].refuses = ("too big",)
    fleet.boot(D2)
    fleet.settle("s", for_s=3.0)
    fleet.run(0.5)
    fleet.devices[D2].refuses = ()
    fleet.run(3.0)


def behind_at_the_push(fleet: Yard) -> None:
    """One has missed a version: the next push catches it up while it joins."""
    fleet.crash(D2)
    pushed(fleet, without=True)
    fleet.run(3.0)
    fleet.boot(D2)
    fleet.drop()
    pushed(fleet)
    fleet.run(3.0)


def disks_refuse(fleet: Yard) -> None:
    """A yes, an outcome and the end of an activation can't be stored at first."""
    fleet.slow.add(D1)
    pushed(fleet)
    fleet.deliver_all()
    checked = dev.Checked(txn=samples.txn_id(2), digest=samples.digest("t2-d1"), reasons=())
    fleet.devices[D1].tasks.clear()
    fleet.event(D1, checked, DiskPlan(fail_at=0))
    fleet.slow.clear()
    fleet.run(3.0)
    pushed(fleet)
    fleet.run(0.3, keep=of(D1, "decision"))
    for packet in [one for one in fleet.bag if of(D1, "decision")(one)]:
        fleet.deliver(packet, DiskPlan(fail_at=0))
    fleet.run(0.5)
    fleet.run(2.5)


def activation_fails(fleet: Yard) -> None:
    """The controller refuses the new version, twice, and to hold, once."""
    fleet.slow.add(D1)
    pushed(fleet)
    fleet.deliver_all()
    fleet.finish(D1)
    fleet.run(0.55)
    fleet.event(D1, dev.Held(refused="busy"))
    fleet.event(D1, dev.Held())
    fleet.run(0.3)
    fleet.finish(D1, fails="no gimbal")
    fleet.run(0.25)
    fleet.finish(D1, fails="no gimbal")
    fleet.slow.clear()
    fleet.run(2.0)


def in_doubt(fleet: Yard) -> None:
    """A decision does not reach one: it holds, asks, is deferred, and told by who settles."""
    pushed(fleet)
    fleet.run(4.0, keep=of(D1, "decision"))
    fleet.drop()
    fleet.settle("s", for_s=3.0)
    fleet.run(2.0)


def restarted_in_doubt(fleet: Yard) -> None:
    """One restarts while it is in doubt, and again before its activation."""
    pushed(fleet)
    fleet.run(0.2, keep=of(D1, "decision"))
    fleet.crash(D1)
    fleet.boot(D1)
    fleet.run(0.2)
    fleet.crash(D1)
    fleet.boot(D1)
    fleet.run(2.5)


def clocks(fleet: Yard) -> None:
    """A slow exchange makes a bound too wide; a clock that steps is noticed."""
    pushed(fleet)
    trickle(fleet, 1.0, 0.12)
    fleet.run(2.0)
    fleet.clocks_are_honest = False
    fleet.devices[D2].offset -= 0.3
    pushed(fleet)
    trickle(fleet, 2.5, 0.01)


def asked_to_stop(fleet: Yard) -> None:
    """Somebody aborts; another can't renew, or loses its store; a third goes home early."""
    driver = pushed(fleet)
    fleet.run(0.1, keep=of(D2, "vote"))
    fleet.tell(driver, orc.AbortAsked(cause="changed my mind"))
    fleet.run(1.0)
    driver = pushed(fleet)
    fleet.run(0.1, keep=of(D2, "vote"))
    fleet.request_abort(driver.core.goal.txn)  # type: ignore[union-attr]
    fleet.refresh(driver)
    fleet.run(1.0)
    driver = pushed(fleet)
    fleet.run(0.2, keep=of(D2, "decision", "report"))
    fleet.tell(driver, orc.Detach())
    fleet.run(2.0, keep=of(D2, "decision", "report"))


def answer_lost(fleet: Yard) -> None:
    """The append of a COMMIT vanishes: the next one is an ABORT."""
    driver = pushed(fleet)
    fleet.deliver_all(of(D2, "vote"))
    fleet.patient = True
    fleet.deliver_all()
    fleet.vanish(driver)
    fleet.patient = False
    fleet.run(1.5)


def fenced(fleet: Yard) -> None:
    """A push is forced out of the lock before its decision; its zombie says no more."""
    driver = pushed(fleet)
    fleet.run(0.1, keep=of(D2, "vote"))
    fleet.force("r")
    fleet.run(0.1)
    fleet.refresh(driver)
    fleet.run(1.5)


def retired_meanwhile(fleet: Yard) -> None:
    """A member is retired while a push waits for it to join."""
    driver = pushed(fleet)
    fleet.run(0.1, keep=of(D2))
    fleet.retire(D2)
    fleet.refresh(driver)
    fleet.run(1.0)


def reseeded(fleet: Yard) -> None:
    """The store has lost a version: what the devices are at is adopted."""
    pushed(fleet)
    fleet.run(3.0)
    fleet.roll_back(4)
    fleet.settle("s", for_s=0.5)
    fleet.run(0.6)
    fleet.reseed("r")
    fleet.run(3.0)
    pushed(fleet)
    fleet.run(1.5)


def reseeded_in_doubt(fleet: Yard) -> None:
    """The store has lost a transaction that everybody doubts: it is aborted, and told."""
    driver = pushed(fleet)
    fleet.run(0.2, keep=lambda one: one.message.kind == "vote")
    fleet.kill(driver)
    fleet.drop()
    fleet.roll_back(2)
    fleet.reseed("r")
    fleet.run(2.0)
    fleet.settle("s", for_s=2.0)
    fleet.run(1.0)


def reseeded_without_one(fleet: Yard) -> None:
    """One is away in a reseed: it is in quarantine, called for, and comes back."""
    fleet.crash(D2)
    fleet.reseed("r")
    fleet.run(3.0)
    fleet.settle("s", for_s=3.0)
    fleet.run(1.0)
    fleet.boot(D2)
    fleet.run(1.5)


def told_by_who_serves(fleet: Yard) -> None:
    """An ABORT is told by whoever serves, who takes it back when nobody waits for it."""
    pushed(fleet)
    fleet.run(3.5, keep=lambda one: of(D2, "vote")(one) or of(D1, "decision")(one))
    fleet.drop()
    fleet.crash(D1)
    fleet.serve(None)
    fleet.run(0.5)
    fleet.boot(D1)
    fleet.run(1.0)


def taken_over_late(fleet: Yard) -> None:
    """A COMMIT that was told to one alone is driven long after: the other has its time."""
    actor = fleet.actor()
    fleet.push_as(actor)
    fleet.run(0.2, keep=of(D2, "decision"))
    fleet.die(actor)
    fleet.drop()
    fleet.advance(5.0)
    fleet.force("r")
    fleet.run(1.5, keep=of(D2, "decision", "welcome"))
    fleet.drop()
    fleet.run(1.5)


def regime_kept(fleet: Yard) -> None:
    """Who serves without a file keeps the leases that the journal has."""
    fleet.serve(4.0)
    fleet.run(0.3)
    fleet.kill(fleet.drivers["serve"])
    fleet.crash(D2)
    fleet.settle("s", leases=orc.Leases(keep=True))
    fleet.run(5.0)


def over_in_the_middle(fleet: Yard) -> None:
    """Whoever settles ends while another's push is open: it leaves that one's topics alone."""
    fleet.settle("s", for_s=0.3)
    pushed(fleet)
    fleet.deliver_all(of(D1, "blob"))
    fleet.drop()
    fleet.run(0.6, keep=of(D1, "vote"))
    fleet.run(1.0)


def words(fleet: Yard) -> None:
    """Both are in doubt and fly on words, one of them on COMMIT; then it is an ABORT."""
    actor = fleet.actor()
    fleet.push_as(actor)
    fleet.run(0.3, keep=of(D2, "vote"))
    fleet.die(actor)
    fleet.drop()
    fleet.run(1.0)
    fleet.decide_for(D1, Outcome.COMMIT)
    fleet.decide_for(D2, Outcome.ABORT)
    fleet.settle("s", for_s=1.0)
    fleet.run(0.6)
    fleet.force("r")
    fleet.run(2.0)
    fleet.settle_words()
    assert {} == dict(fleet.state.heuristics)


def served(fleet: Yard) -> None:
    """Leases are issued and renewed; one is left out, and stops; leases end."""
    fleet.serve(1.0)
    fleet.run(0.8)
    pushed(fleet, without=True)
    fleet.run(3.5, keep=of(D2))
    fleet.serve(None)
    fleet.run(0.5)


def broken_glass(fleet: Yard) -> None:
    """Glass is broken while a vote is missing: both re-join, one after a restart."""
    pushed(fleet)
    fleet.run(0.3, keep=of(D2, "vote"))
    fleet.break_glass("g")
    fleet.crash(D1)
    fleet.drop()
    fleet.boot(D1)
    fleet.settle("s", for_s=4.0)
    fleet.run(2.0)


def replayed(fleet: Yard) -> None:
    """Everything of a push arrives once more, when it is long over; and a foreign fence."""
    pushed(fleet)
    fleet.run(2.0)
    past: list[Packet] = [one for one in fleet.history if one.to == D1]
    for packet in past:
        fleet.deliver(packet)
    fleet.event(D1, dev.Arrived(message=Fence(epoch=samples.epoch(1))))
    fleet.run(0.3)


FRESH: Final = ("first_push",)
"""These begin with devices that have nothing yet, all others at version 1."""

MINE: Final[tuple[Story, ...]] = (
    first_push,
    second_push,
    refused,
    no_vote,
    blobs_lost,
    left_behind,
    behind_at_the_push,
    disks_refuse,
    activation_fails,
    in_doubt,
    restarted_in_doubt,
    clocks,
    asked_to_stop,
    answer_lost,
    fenced,
    retired_meanwhile,
    reseeded,
    reseeded_in_doubt,
    reseeded_without_one,
    told_by_who_serves,
    taken_over_late,
    regime_kept,
    over_in_the_middle,
    words,
    served,
    broken_glass,
    replayed,
)

STORIES: Final[Mapping[str, Callable[[Yard], None]]] = {
    story.__name__: story
    for story in (
        *MINE,
        LOCK_STORIES["glass_after_commit"],
        LOCK_STORIES["quarantined_and_left_out"],
        LOCK_STORIES["asked_before_the_decision"],
        LOCK_STORIES["lost_decision_and_one_away"],
    )
}
