"""Pushes from end to end, with the real service, cores and agents in one process."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.records import LeaseHorizon, LockState
from orchestrator.protocol.types import DeviceId, Outcome
from orchestrator.service.holding import Want, acquire
from orchestrator.service.locks import Held, change, read_fleet
from orchestrator.service.push import push
from orchestrator.service.reading import status
from orchestrator.service.resolving import force_unlock, recover
from orchestrator.service.story import history
from orchestrator.storage.memory import MemoryStore
from orchestrator.wiring import SystemClock
from tests.service.fleet import FLEET, NEW, OLD, TIMING, Drone, Fleet, fleet_of, order, resolving

D1, D2, D3 = (DeviceId(f"d-0{number}") for number in (1, 2, 3))


async def installed(fleet: Fleet) -> None:
    """Bring a fresh fleet to version 1."""
    done = await push(fleet.world(), order(0, OLD, list(fleet.drones)))
    assert (Exit.DONE, Outcome.COMMIT, 1) == (done.exit_code, done.decision, done.version)


async def test_two_pushes_reach_every_device() -> None:
    """The fleet goes from nothing to version 1 to version 2, whole each time."""
    async with fleet_of(3) as fleet:
        await installed(fleet)
        done = await push(fleet.world(), order(1, NEW, list(fleet.drones)))

        assert (Exit.DONE, 2, ()) == (done.exit_code, done.version, done.deferred)
        assert ({2}, {NEW}) == (fleet.versions(), fleet.files())
        assert done.activation_skew_ms is not None
        assert {"yes"} == {part.vote for part in done.devices.values()}
        assert all(part.hold_ms is not None for part in done.devices.values())
        state = await read_fleet(fleet.world(), FLEET)
        assert LockState.FREE is state.lock.state
        retained = [topic for topic in fleet.broker.retained if "/txn/" in topic]
        assert [] == retained


async def test_the_same_configuration_again_is_nothing_to_do() -> None:
    """Exit 0, and no transaction."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        done = await push(fleet.world(), order(1, OLD, list(fleet.drones)))

        assert (Exit.DONE, None, 1) == (done.exit_code, done.txn, done.version)


async def test_a_no_aborts_with_every_reason_and_changes_nothing() -> None:
    """One refusal leaves every device at the old version, operating."""
    async with fleet_of(3) as fleet:
        await installed(fleet)
        fleet.drones[D2].refuses = ("yaw gain 9 > 8", "no space")
        done = await push(fleet.world(), order(1, NEW, list(fleet.drones)))

        assert (Exit.ABORTED, Outcome.ABORT, 1) == (done.exit_code, done.decision, done.version)
        assert ("yaw gain 9 > 8", "no space") == done.devices[D2].reasons
        assert ({1}, {OLD}) == (fleet.versions(), fleet.files())


async def test_an_offline_device_aborts_and_is_deferred_until_it_has_heard() -> None:
    """The absent device is named; when it is back, recover tells it of the ABORT."""
    async with fleet_of(3) as fleet:
        await installed(fleet)
        await fleet.drones[D3].kill()
        done = await push(fleet.world(), order(1, NEW, list(fleet.drones)))

        assert Exit.ABORTED is done.exit_code
        assert "offline" in done.devices[D3].reasons[0]
        assert (D3,) == done.deferred
        waiting = [topic for topic in fleet.broker.retained if topic.endswith("/decision")]
        assert 1 == len(waiting)

        await fleet.drones[D3].start()
        healed = await recover(fleet.world(), resolving())

        assert (Exit.DONE, ()) == (healed.exit_code, healed.deferred)
        assert ({1}, {OLD}) == (fleet.versions(), fleet.files())
        retained = [topic for topic in fleet.broker.retained if "/txn/" in topic]
        assert [] == retained


async def test_a_device_that_lost_power_after_its_yes_follows_later() -> None:
    """COMMIT stands; the device is deferred, holds after its restart, and recover heals it."""
    async with fleet_of(3) as fleet:
        await installed(fleet)
        drone = fleet.drones[D3]
        pushing = asyncio.create_task(push(fleet.world(), order(1, NEW, list(fleet.drones))))
        while drone.state.prepared is None:  # noqa: ASYNC110 - a device has no event for it
            await asyncio.sleep(0)
        await drone.kill()
        done = await pushing

        assert (Exit.ACTIVATING, (D3,), 2) == (done.exit_code, done.deferred, done.version)
        await drone.start()
        assert drone.state.operating is None
        healed = await recover(fleet.world(), resolving())
        assert Exit.DONE is healed.exit_code
        assert ({2}, {NEW}) == (fleet.versions(), fleet.files())


async def test_a_restarted_fleet_holds_until_somebody_answers() -> None:
    """Devices that come back hold; recover confirms them and they operate again."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        for drone in fleet.drones.values():
            await drone.kill()
            await drone.start()
        assert {None} == fleet.versions()

        await recover(fleet.world(), resolving())

        assert {1} == fleet.versions()


async def test_a_replaced_unit_is_caught_up() -> None:
    """A device with an empty disk gets the fleet's version before it may operate."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        drone = fleet.drones[D2]
        await drone.kill()
        fresh = Drone(id=D2, broker=fleet.broker)
        await fresh.start()
        everybody = {**fleet.drones, D2: fresh}

        await recover(fleet.world(), resolving())

        assert {1} == {one.state.operating for one in everybody.values()}
        assert OLD == fresh.active
        assert fresh.task is not None
        fresh.task.cancel()


async def test_a_held_lock_is_hot_and_a_forced_unlock_frees_it() -> None:
    """A push that meets a holder ends HOT; force-unlock of the exact lock id resolves it."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        held = await acquire(fleet.world(), FLEET, Want(purpose="push"))
        assert isinstance(held, Held)
        with pytest.raises(OperatingError) as raised:
            await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        assert Exit.HOT is raised.value.exit_code
        assert raised.value.message.startswith("aim_lock_config.conf: HOT\n  held by ")

        with pytest.raises(OperatingError) as stale:
            await force_unlock(fleet.world(), resolving(held.epoch.next()))
        assert Exit.PLAN_STALE is stale.value.exit_code
        freed = await force_unlock(fleet.world(), resolving(held.epoch))
        assert Exit.DONE is freed.exit_code

        done = await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        assert (Exit.DONE, {2}) == (done.exit_code, fleet.versions())


async def test_the_holder_that_is_forced_out_ends_fenced() -> None:
    """The living holder's next append conflicts, it sees the higher epoch, and stops (I14)."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        fleet.broker.fault = lambda topic, client: 0 if "/prepare" in topic else 1
        slow = replace(TIMING, window_s=20.0)
        pushing = asyncio.create_task(push(fleet.world(), order(1, NEW, list(fleet.drones), slow)))
        while (state := await read_fleet(fleet.world(), FLEET)).open is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        resolved = await force_unlock(fleet.world(), resolving(state.lock.epoch))
        done = await pushing

        assert (Exit.DONE, Outcome.ABORT) == (
            resolved.exit_code,
            resolved.txn.outcome if resolved.txn else None,
        )
        assert Exit.FENCED is done.exit_code
        assert ({1}, {OLD}) == (fleet.versions(), fleet.files())


async def test_a_stale_plan_is_refused() -> None:
    """A plan that was made for another version begins nothing."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        with pytest.raises(OperatingError) as raised:
            await push(fleet.world(), order(0, NEW, list(fleet.drones)))

        assert Exit.PLAN_STALE is raised.value.exit_code


async def test_status_shows_what_devices_say_and_changes_nothing() -> None:
    """Status hears every device, and the journal's head stays where it was."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        before = await read_fleet(fleet.world(), FLEET)
        view = await status(fleet.world(), FLEET)

        assert {"active"} == {device.state.value for device in view.devices.values()}
        assert (1, False, True) == (view.version, view.split, view.asked)
        assert before == await read_fleet(fleet.world(), FLEET)
        told = [line.text for line in await history(fleet.world(), FLEET)]
        assert "ended, every member has followed" in told


async def test_a_timeout_before_the_decision_aborts() -> None:
    """``--timeout`` ends with the stored ABORT, exit 10."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        fleet.broker.fault = lambda topic, client: 0 if "/vote" in topic else 1
        slow = replace(order(1, NEW, list(fleet.drones)), timeout_s=0.3)
        slow = replace(slow, timing=replace(TIMING, window_s=20.0))
        done = await push(fleet.world(), slow)

        assert (Exit.TIMED_OUT, Outcome.ABORT) == (done.exit_code, done.decision)
        assert {1} == fleet.versions()


async def test_a_store_that_is_not_the_fleets_begins_nothing() -> None:
    """Devices know of more than an empty or rolled-back journal: it is refused, by name."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        foreign = MemoryStore(now=SystemClock().now)
        done = await push(fleet.world(foreign), order(0, OLD, list(fleet.drones)))

        assert (Exit.UNREACHABLE, None) == (done.exit_code, done.txn)
        assert "rolled back, or is not this fleet's: d-0" in done.message
        state = await read_fleet(fleet.world(foreign), FLEET)
        assert (LockState.FREE, None) == (state.lock.state, state.open)
        assert ({2}, {NEW}) == (fleet.versions(), fleet.files())


async def test_asking_with_another_store_changes_no_device() -> None:
    """Status and recover call the roll; no device learns an epoch from that."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        foreign = MemoryStore(now=SystemClock().now)
        epochs = {drone.state.max_epoch for drone in fleet.drones.values()}
        await status(fleet.world(foreign), FLEET, list(fleet.drones), listen_s=0.2)
        await recover(fleet.world(foreign), resolving())

        assert epochs == {drone.state.max_epoch for drone in fleet.drones.values()}
        assert {1} == fleet.versions()


async def test_recover_claims_nothing_of_devices_that_it_has_not_heard() -> None:
    """With every device switched off the fleet is not called whole."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        for drone in fleet.drones.values():
            await drone.kill()
        found = await recover(fleet.world(), resolving())

        assert Exit.ACTIVATING is found.exit_code
        assert "not heard to operate version 1 yet: d-01, d-02" in found.message


async def test_a_device_that_is_left_out_is_named_until_a_lease_stops_it() -> None:
    """Nothing keeps it from its old version: push says so, and so does every look at the fleet."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        await fleet.drones[D2].kill()
        done = await push(fleet.world(), order(1, NEW, [D1]))
        named = (await status(fleet.world(), FLEET, listen_s=0.2)).exceptions
        state = await read_fleet(fleet.world(), FLEET)
        horizon = LeaseHorizon(lease_s=9.0, until=1.0, devices=(), leased=(D2,))
        await change(fleet.world(), FLEET, lambda _state: (horizon,))
        stopped = (await status(fleet.world(), FLEET, listen_s=0.2)).exceptions

        assert (Exit.DONE, frozenset({D2})) == (done.exit_code, state.outside)
        assert "Left out, and stopped by no lease: d-02" in done.message
        assert ((D2,), ()) == (named, stopped)
