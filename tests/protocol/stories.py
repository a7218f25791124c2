"""
Short stories around the lock: each must end well, and names the rule that makes it do so.

A story drives a :class:`Yard` whose cores and rules may be mutants; it asserts what a reader of
the story would expect, and the yard asks the invariants after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from drone_sim.cores import samples
from drone_sim.cores.ground import Packet
from drone_sim.cores.yard import Yard
from orchestrator.protocol import device as dev
from orchestrator.protocol.records import LockState, ReleaseAnswered
from orchestrator.protocol.types import DeviceId, Outcome

D1, D2, D3 = samples.device_id(1), samples.device_id(2), samples.device_id(3)
LEASE_S: Final = 2.0

Story = Callable[[Yard], None]


def operating(fleet: Yard) -> dict[DeviceId, int | None]:
    """Return what each device aims with."""
    return {
        name: None if device.core is None else device.core.operating
        for name, device in fleet.devices.items()
    }


def of(device: DeviceId, *kinds: str) -> Callable[[Packet], bool]:
    """Return what is true of the messages to and from a device, of these kinds if any."""

    def chosen(packet: Packet) -> bool:
        return device in (packet.to, packet.sender) and (not kinds or packet.message.kind in kinds)

    return chosen


# --- break-glass and quarantine -----------------------------------------------------------------


def glass_in_the_middle(fleet: Yard) -> None:
    """Nobody has decided; one has voted, is cut off, and comes back to a fleet that went on."""
    fleet.push_as(fleet.actor())
    fleet.run(0.3, keep=of(D2, "vote"))
    assert fleet.devices[D1].disk.prepared is not None
    fleet.break_glass("glass")
    assert {D1, D2, D3} == fleet.state.quarantined
    assert LockState.FREE is fleet.state.lock.state
    fleet.crash(D1)
    fleet.drop()
    fleet.advance(1.0)
    fleet.boot(D1)
    fleet.settle("s1")
    fleet.run(6.0)
    assert frozenset() == fleet.state.quarantined
    assert {D1: 1, D2: 1, D3: 1} == operating(fleet)


def quarantined_and_left_out(fleet: Yard) -> None:
    """Restarted in quarantine, it is not enabled by a push that leaves it out."""
    glass_at(fleet)
    fleet.crash(D1)
    fleet.push_as(fleet.actor(), (D1,))
    fleet.run(0.2, keep=of(D2, "vote"))
    fleet.boot(D1)
    fleet.run(0.1, keep=of(D2, "vote"))
    assert {D1: None, D2: 1, D3: 1} == operating(fleet)
    fleet.run(6.0)
    fleet.settle("s1")
    fleet.run(6.0)
    assert frozenset() == fleet.state.quarantined
    assert 1 == len(set(operating(fleet).values()))


def glass_at(fleet: Yard) -> None:
    """Break the glass while votes are missing, and let everybody hear of the ABORT."""
    fleet.push_as(fleet.actor())
    fleet.run(0.1, keep=of(D2, "vote"))
    fleet.break_glass("glass")
    fleet.drop()
    fleet.kill(fleet.settle("s0"))
    fleet.deliver_all()


def glass_after_commit(fleet: Yard) -> None:
    """It is committed; one is in doubt: it is not enabled before its ``Rejoined`` is stored."""
    fleet.push_as(fleet.actor())
    fleet.run(0.8, keep=of(D1, "decision"))
    fleet.break_glass("glass")
    fleet.drop()
    fleet.crash(D1)
    fleet.boot(D1)
    fleet.settle("s1")
    fleet.run(6.0)
    assert frozenset() == fleet.state.quarantined
    assert {D1: 2, D2: 2, D3: 2} == operating(fleet)


# --- enable leases ------------------------------------------------------------------------------


def left_out_and_silent(fleet: Yard) -> None:
    """A device that nobody reaches is left out: it stops by itself before the others go on."""
    fleet.serve(LEASE_S)
    fleet.run(1.0)
    assert all(device.leased for device in fleet.devices.values())
    fleet.push_as(fleet.actor(), (D1,))
    fleet.run(8.0, keep=of(D1))
    assert {D1: None, D2: 2, D3: 2} == operating(fleet)
    fleet.run(8.0)
    assert {D1: 2, D2: 2, D3: 2} == operating(fleet)


def late_answer(fleet: Yard) -> None:
    """The answer to a left-out device is a second late: its lease counts from its question."""
    fleet.serve(LEASE_S)
    fleet.run(1.0)
    fleet.push_as(fleet.actor(), (D1,))
    fleet.run(0.5, keep=of(D1))
    horizon = fleet.state.horizons[D1]
    fleet.run(horizon - fleet.now - 0.4, keep=of(D1, "welcome"))
    fleet.drop(lambda one: not of(D1)(one))
    fleet.event(D1, dev.Connected())
    fleet.deliver_all(of(D1, "welcome"))
    fleet.advance(0.3)
    fleet.deliver_all()
    fleet.run(6.0, keep=of(D1))
    assert {D1: None, D2: 2, D3: 2} == operating(fleet)


# --- a person's word ----------------------------------------------------------------------------


def word_in_doubt(fleet: Yard) -> None:
    """In doubt, with its coordinator dead, a device flies on a word; the decision comes later."""
    actor = fleet.actor()
    fleet.push_as(actor)
    fleet.run(0.3, keep=of(D2, "vote"))
    fleet.die(actor)
    fleet.drop()
    fleet.run(1.0)
    assert {D1: None, D2: None, D3: None} == operating(fleet)
    fleet.decide_for(D1, Outcome.COMMIT)
    fleet.settle("s1", for_s=2.0)
    fleet.run(1.0)
    assert {D1: 2, D2: None, D3: None} == operating(fleet)
    assert fleet.devices[D1].disk.prepared is not None
    fleet.force("r1")
    fleet.run(6.0)
    assert {D1: 1, D2: 1, D3: 1} == operating(fleet)
    assert {D1} == set(fleet.state.heuristics)


# --- asking for the lock ------------------------------------------------------------------------


def asked_before_the_decision(fleet: Yard) -> None:
    """Asked while votes are missing, the holder says that it aborts, and does."""
    fleet.push_as(fleet.actor())
    fleet.run(0.1, keep=of(D2, "vote"))
    fleet.ask_release(fleet.actor())
    for driver in list(fleet.drivers.values()):
        fleet.refresh(driver)
    fleet.run(4.0)
    answers = [one.record for one in fleet.journal if isinstance(one.record, ReleaseAnswered)]
    assert ["abort"] == [one.answer.value for one in answers]
    assert {D1: 1, D2: 1, D3: 1} == operating(fleet)
    assert LockState.FREE is fleet.state.lock.state


# --- a store that was rolled back ---------------------------------------------------------------


def lost_decision_and_one_away(fleet: Yard) -> None:
    """Only the one that is away knows that it was committed: without it nothing is decided."""
    fleet.push_as(fleet.actor())
    fleet.run(0.3, keep=lambda one: one.to in {D2, D3} and one.message.kind == "decision")
    assert 2 == fleet.devices[D1].disk.version
    fleet.crash(D1)
    for driver in list(fleet.drivers.values()):
        fleet.kill(driver)
    fleet.drop()
    fleet.roll_back(1)
    assert fleet.state.open is not None
    first = fleet.reseed("r1")
    fleet.run(4.0)
    fleet.boot(D1)
    if first.core.doubtful is not None:
        assert (D1,) == first.core.doubtful.unheard
    fleet.force("r2")
    fleet.run(8.0)
    assert {D1: 2, D2: 2, D3: 2} == operating(fleet)


STORIES: Final[Mapping[str, Story]] = {
    story.__name__: story
    for story in (
        glass_in_the_middle,
        glass_after_commit,
        quarantined_and_left_out,
        left_out_and_silent,
        late_answer,
        word_in_doubt,
        asked_before_the_decision,
        lost_decision_and_one_away,
    )
}
