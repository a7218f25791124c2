"""Enable leases: how a device counts one, how far a horizon reaches, what a push waits for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from drone_sim.cores.yard import Yard
from orchestrator.protocol import answers, leases
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.device import Holding
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import Fence, Hello, Message
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.records import LeaseHorizon, Record
from orchestrator.protocol.timeline import measured
from orchestrator.protocol.types import DeviceId, Digest, Outcome
from tests.protocol.journals import (
    AGAIN,
    BROKEN,
    D1,
    D2,
    LEASED,
    LEFT_OUT,
    horizon,
    retired,
    told,
)
from tests.protocol.one_desk import hello
from tests.protocol.one_device import BASE, NOW, PROMISE, get, perform, steady, welcome

LEASE_S: Final = 6.0

# --- the device ---------------------------------------------------------------------------------


def leased(core: Participant, *, came_at: float = NOW, lease_s: float = LEASE_S) -> list[Message]:
    """Let a device ask now, and get its lease then."""
    perform(core, dev.Connected(), NOW)
    answer = welcome(core, core.durable)
    return get(core, replace(answer, lease_s=lease_s, sent_at_device_s=NOW), came_at)


def test_a_lease_counts_from_the_question() -> None:
    """However long the answer took: the journal's horizon was set for the instant of asking."""
    core = steady(BASE)
    leased(core, came_at=NOW + 4.0)
    assert NOW + LEASE_S == core.operation.lease_until
    operated = []
    for at in (NOW + LEASE_S - 0.001, NOW + LEASE_S):
        perform(core, dev.Tick(), at)
        operated.append(core.operating)
    assert [4, None] == operated
    assert Holding.LEASE is core.operation.unconfirmed


def test_a_lease_is_renewed_after_a_third() -> None:
    """One lost answer costs no hold; the device asks to be woken for it."""
    core = steady(BASE)
    leased(core)
    ready = core.step(dev.Tick(), NOW + 0.1)
    assert ready.wake_at == pytest.approx(NOW + LEASE_S / 3)
    said = perform(core, dev.Tick(), NOW + LEASE_S / 3)
    assert [Hello] == [type(message) for message in said]


def test_an_answer_that_is_older_than_its_lease_enables_nobody() -> None:
    """A lease that is over when it comes neither enables nor makes the device ask at once."""
    core = steady(BASE, confirmed=False)
    said = leased(core, came_at=NOW + 0.05, lease_s=0.05)
    assert (None, []) == (core.operating, [one for one in said if isinstance(one, Hello)])


def test_it_holds_in_time_during_a_slow_write() -> None:
    """A disk that takes its time does not prolong a lease."""
    core = steady(BASE)
    leased(core)
    assert core.step(dev.Arrived(message=Fence(epoch=samples.epoch(9))), NOW + 1.0).writes
    ready = core.step(dev.Tick(), NOW + LEASE_S)
    assert [dev.Hold] == [type(effect) for effect in ready.effects]


def test_a_restart_forgets_the_lease() -> None:
    """A device that comes up holds until it is enabled anew, whatever it had."""
    core = steady(BASE)
    leased(core)
    again = steady(core.durable, confirmed=False)
    assert (None, None) == (again.operating, again.operation.lease_until)


def test_no_lease_at_all_does_not_enable() -> None:
    """Before its horizon is in the journal a device is told so, and goes on asking."""
    state, _ = told(*AGAIN, horizon(LEASE_S, 0.0))
    answer = answers.welcome(state, hello(D1), received=10.0, now=10.0, clock_error_s=0.1)
    assert (0.0, False) == (answer.lease_s, answer.enable)


@pytest.mark.parametrize(("received", "lease_s"), [(10.0, 5.0), (47.0, 3.0), (51.0, 0.0)])
def test_no_lease_reaches_beyond_the_horizon(received: float, lease_s: float) -> None:
    """What is left until the horizon is all that is issued."""
    state, _ = told(*LEASED)
    assert lease_s == answers.lease_for(state, D1, received)


def test_where_there_are_no_leases_nobody_counts() -> None:
    """An answer without a lease ends the one that there was."""
    core = steady(BASE)
    leased(core)
    perform(core, dev.Connected(), NOW + 1.0)
    get(core, welcome(core, core.durable), NOW + 1.0)
    perform(core, dev.Tick(), NOW + 99.0)
    assert (None, 4) == (core.operation.lease_until, core.operating)


def test_a_word_ends_the_hold_of_a_lease() -> None:
    """In doubt and on a person's word, a device needs no lease."""
    core = steady(replace(BASE, prepared=PROMISE))
    core.operation.lease(LEASE_S, sent_at=NOW)
    core.durable = replace(core.durable, heuristic=Outcome.ABORT)
    perform(core, dev.Tick(), NOW + 99.0)
    assert 4 == core.operating


# --- horizons -----------------------------------------------------------------------------------


def heard(*devices: str, at: float = 10.0, **change: object) -> Witness:
    """What these devices have said of themselves at an instant."""
    found = Witness()
    for device in map(DeviceId, devices):
        usual = hello(device, version=1, last_seq=1, operating=1, digest=mine(device))
        said = replace(usual.state, **change)  # type: ignore[arg-type]
        found.learn(replace(usual, state=said), at)
    return found


def mine(device: DeviceId) -> Digest:
    """The configuration of a device in version 1."""
    return samples.digest(f"t1-{device}")


def due(
    *records: Record, witness: Witness, lease_s: float | None = 5.0, now: float = 10.0
) -> list[LeaseHorizon]:
    """The horizons that are due after a story."""
    state, _ = told(*records)
    found = leases.due(state, witness, lease_s, now)
    return [one for one in found if isinstance(one, LeaseHorizon)]


def test_a_regime_begins_before_anybody_is_heard() -> None:
    """Whoever asks first is to find it in the journal."""
    (first,) = due(*AGAIN, witness=Witness())
    assert (5.0, ()) == (first.lease_s, first.devices)


def test_horizons_are_raised_for_all_at_once() -> None:
    """One record for everybody, two leases ahead, as soon as one of them needs it."""
    (raised,) = due(*LEASED, witness=heard("d1", at=46.0), now=46.0)
    assert ((D1,), 56.0) == (raised.devices, raised.until)
    assert [] == due(*LEASED, witness=heard("d1", at=45.0), now=45.0)


@pytest.mark.parametrize(
    ("records", "witness"),
    [
        ((*LEASED, retired(D1)), heard("d1", at=46.0)),
        (LEASED, heard("d1", at=33.9)),
        (LEASED, heard("d1", at=46.0, version=0, digest=None)),
        (LEFT_OUT, heard("d2", at=46.0)),
        (BROKEN, heard("d1", at=46.0)),
        (LEASED, heard("d9", at=46.0)),
    ],
)
def test_no_horizon_is_raised_for_who_is_not_with_the_fleet(
    records: tuple[Record, ...], witness: Witness
) -> None:
    """Retired, silent, behind, left out by the open txn, in quarantine, or nobody's at all."""
    assert [()] == [one.devices for one in due(*records, witness=witness, now=46.0, lease_s=6.0)]


def test_the_deferred_get_a_lease_once_they_have_followed() -> None:
    """Without one they could never operate, and would stay deferred for ever."""
    story = (*AGAIN, horizon(5.0, 0.0))
    in_doubt = heard("d2", last_seq=0, prepared=samples.txn_id(1))
    assert [] == due(*story, witness=in_doubt)
    (raised,) = due(*story, witness=heard("d2", operating=None))
    assert (D2,) == raised.devices


def test_a_regime_that_ends_is_written_down() -> None:
    """From then on answers have no limit, and whoever is left out is an exception again."""
    (ended,) = due(*LEASED, witness=Witness(), lease_s=None)
    assert None is ended.lease_s
    assert [] == due(*AGAIN, witness=Witness(), lease_s=None)


# --- what a push waits for ----------------------------------------------------------------------


@pytest.mark.parametrize("until", [0.0, NOW, NOW + 30.0])
def test_the_timeline_waits_for_the_leases_of_those_left_out(until: float) -> None:
    """Both instants move, and nobody hovers for a whole lease; the time to vote stays."""
    timing = orc.Timing(window_s=1.0, clock_error_s=0.05)
    free = measured(NOW, timing, [], 0.0)
    made = measured(NOW, timing, [], 0.0, until)
    assert free.vote_by == made.vote_by
    assert max(free.hold_at, until + 0.1) == made.hold_at
    assert made.activate_at == pytest.approx(made.hold_at + 0.1)


# --- everybody together -------------------------------------------------------------------------


def served() -> Yard:
    """A fleet with leases of 2 s, and somebody who serves."""
    fleet = Yard(3).steady()
    assert isinstance(fleet, Yard)
    fleet.serve(2.0)
    fleet.run(1.0)
    return fleet


def test_serving_is_quiet_once_everybody_has_a_lease() -> None:
    """A few messages for each lease and device, not one for each message that comes."""
    fleet = served()
    before, head = len(fleet.history), len(fleet.journal)
    fleet.run(20.0)
    assert 2 * 3 * 10 < len(fleet.history) - before < 2 * 3 * 45
    assert len(fleet.journal) - head <= 14


def test_whoever_serves_no_more_stops_the_fleet() -> None:
    """Without anybody who renews, all hold within two leases: the stated hover budget."""
    fleet = served()
    fleet.kill(fleet.drivers["serve"])
    fleet.run(2.0)
    assert {None} == {one.core.operating for one in fleet.devices.values() if one.core}


def test_devices_that_operated_without_limit_get_leases() -> None:
    """A regime that begins reaches everybody that can be reached, at once or when it can be."""
    fleet = Yard(3).steady()
    assert isinstance(fleet, Yard)
    fleet.serve(2.0)
    fleet.run(1.0, keep=lambda packet: D1 in (packet.to, packet.sender))
    fleet.drop()
    away = [name for name, device in fleet.devices.items() if not device.leased]
    fleet.run(6.0)
    assert ([D1], []) == (away, [n for n, one in fleet.devices.items() if not one.leased])


def test_the_end_of_a_regime_does_not_cut_a_lease_short() -> None:
    """A push without a device waits for its lease, also where there are leases no more."""
    fleet = served()
    fleet.serve(None)
    until = fleet.state.horizons[D1]
    fleet.push_as(fleet.actor(), (D1,))
    fleet.run(0.5, keep=lambda packet: D1 in (packet.to, packet.sender))
    assert fleet.state.open is not None
    assert fleet.state.open.begun.timeline.hold_at >= until


def state_of(fleet: FleetState) -> tuple[float | None, int]:
    """The regime, and how many have a horizon."""
    return fleet.lease_s, len(fleet.horizons)


def test_a_push_leases_nothing() -> None:
    """Only whoever serves raises horizons: a push that ends leaves nobody to renew them."""
    fleet = Yard(3).steady()
    assert isinstance(fleet, Yard)
    fleet.push_as(fleet.actor())
    fleet.run(4.0)
    assert (None, 0) == state_of(fleet.state)
