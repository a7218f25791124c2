"""A reseed at work: its coordinator, the devices that it fences, and the fleet afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from drone_sim.cores.yard import Yard
from orchestrator.protocol import answers, lease
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator, Phase
from orchestrator.protocol.device import Finished
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import Fence
from orchestrator.protocol.records import LockTaken
from orchestrator.protocol.types import NOT_KNOWN, Epoch, Outcome
from tests.protocol.journals import (
    D1,
    D2,
    OPEN,
    reborn,
    reseeded,
    told,
)
from tests.protocol.one_desk import NOW, TIMING, hello, resolver
from tests.protocol.one_desk import state as says
from tests.protocol.one_device import BASE, PROMISE, decision, get, steady

OURS: Final = Epoch(2, 1)
ABORT: Final = Outcome.ABORT
OWNER: Final = samples.owner("o")

# --- the coordinator that does it ---------------------------------------------------------------


def adopting(state: FleetState) -> Coordinator:
    """The coordinator of a reseed under the lock of ``state``."""
    return resolver(state, orc.Resolve(members=(D1, D2), config=samples.CONFIG))


def test_it_fences_everybody_and_waits() -> None:
    """Nothing is adopted before the devices were heard, or ``settle_s`` is over."""
    state, _ = told(*OPEN, reborn(), reseeded())
    core = adopting(state)
    ready = core.step(orc.Connected(), NOW)
    assert [Fence(epoch=OURS)] == [send.message for send in ready.messages]
    core.step(orc.Arrived(message=hello(D1, max_epoch=OURS)), NOW + 0.1)
    assert Phase.ADOPTING is core.phase
    assert not core.step(orc.Tick(), NOW + TIMING.settle_s - 0.1).writes
    core.step(orc.Tick(), NOW + TIMING.settle_s)
    assert (Phase.UNHEARD, (D2,)) == (core.phase, core.doubtful and core.doubtful.unheard)


def test_a_device_is_not_enabled_while_it_is_heard() -> None:
    """What this fleet is, the devices are only just telling: no WELCOME before it is adopted."""
    state, _ = told(*OPEN, reborn(), reseeded())
    core = adopting(state)
    core.step(orc.Connected(), NOW)
    ready = core.step(orc.Arrived(message=hello(D1, max_epoch=OURS)), NOW)
    assert not ready.messages


def test_what_was_said_before_the_fence_does_not_count() -> None:
    """A device that has not acknowledged the new incarnation may still take an old decision."""
    state, _ = told(*OPEN, reborn(), reseeded())
    core = adopting(state)
    core.step(orc.Connected(), NOW)
    for device in (D1, D2):
        core.step(orc.Arrived(message=hello(device)), NOW)
    assert Phase.ADOPTING is core.phase


def test_a_device_of_a_higher_incarnation_was_not_heard() -> None:
    """It will not obey: it contradicts the journal until another reseed knows its epoch."""
    state, _ = told(*OPEN, reborn(), reseeded())
    core = adopting(state)
    core.step(orc.Connected(), NOW)
    core.step(orc.Arrived(message=hello(D1, max_epoch=OURS)), NOW)
    core.step(orc.Arrived(message=hello(D2, max_epoch=Epoch(5, 1))), NOW)
    core.step(orc.Tick(), NOW + TIMING.settle_s)
    assert (D2,) == (core.doubtful and core.doubtful.unheard)
    assert "5.1" in (answers.contradiction(state, says(max_epoch=Epoch(5, 1))) or "")


def test_whoever_takes_over_goes_on_hearing() -> None:
    """A second crash in the middle: resolve decides nothing, and what was heard is heard anew."""
    state, entries = told(*OPEN, reborn(), reseeded())
    taken = lease.resolve(state, state.lock.epoch, OWNER, "it died")
    assert not isinstance(taken, lease.NotTheLock)
    assert [LockTaken] == [type(record) for record in taken]
    after, _ = told(*(entry.record for entry in entries), *taken)
    core = adopting(after)
    core.step(orc.Connected(), NOW)
    # One has obeyed the first FENCE, the other this one.
    core.step(orc.Arrived(message=hello(D1, max_epoch=OURS)), NOW)
    ready = core.step(orc.Arrived(message=hello(D2, max_epoch=after.lock.epoch)), NOW)
    assert ["adopted", "decided"] == [record.kind for record in ready.writes[0].records]


# --- the devices --------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", Outcome)
def test_a_fenced_device_refuses_decisions_of_the_old_incarnation(outcome: Outcome) -> None:
    """What is still on its way, or retained, decides nothing after the FENCE."""
    core = steady(replace(BASE, prepared=PROMISE))
    get(core, Fence(epoch=Epoch(2, 1)))
    promised = []
    for incarnation in (1, 2):
        get(core, decision(5, outcome, incarnation=incarnation))
        promised.append(core.durable.prepared)
    assert [PROMISE, None] == promised
    assert Finished(txn=PROMISE.txn, seq=5, outcome=outcome) == core.durable.finished[-1]


def test_a_decision_by_another_plan_is_not_what_was_promised() -> None:
    """A relisted decision whose plan nobody knew is told with the plan that a device names."""
    core = steady(replace(BASE, prepared=PROMISE))
    get(core, replace(decision(5, ABORT), plan=NOT_KNOWN))
    assert (PROMISE, 4) == (core.durable.prepared, core.durable.last_seq)


# --- everybody together -------------------------------------------------------------------------


def test_a_lost_commit_is_got_back() -> None:
    """Two versions are lost with their journal: the fleet goes on from where its devices are."""
    fleet = Yard(3).steady()
    assert isinstance(fleet, Yard)
    for _ in range(2):
        fleet.push_as(fleet.actor())
        fleet.run(4.0)
    fleet.roll_back(10)
    assert 1 == fleet.state.version
    fleet.reseed("r1")
    fleet.run(4.0)
    fleet.settle("s1")
    fleet.run(4.0)
    assert (3, [3, 3, 3]) == (
        fleet.state.version,
        [one.core.operating for one in fleet.devices.values() if one.core],
    )
    fleet.push_as(fleet.actor())
    fleet.run(4.0)
    assert 4 == fleet.state.version


def test_who_was_away_comes_back_through_quarantine() -> None:
    """Nobody that was heard knew its configuration: it holds until the next version has one."""
    fleet = Yard(3).steady()
    assert isinstance(fleet, Yard)
    away = fleet.devices[D1]
    fleet.push_as(fleet.actor())
    fleet.run(4.0)
    fleet.crash(D1)
    fleet.roll_back(5)
    fleet.reseed("r1")
    fleet.run(6.0)
    assert frozenset({D1}) == fleet.state.quarantined
    fleet.boot(D1)
    fleet.settle("s1")
    fleet.event(D1, dev.Connected())
    fleet.run(4.0)
    assert away.core is not None
    before = away.core.operating
    fleet.push_as(fleet.actor())
    fleet.run(4.0)
    assert (None, 3, frozenset()) == (before, away.core.operating, fleet.state.quarantined)
