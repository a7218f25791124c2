"""A store that is rolled back in place under those who use it, and goes on without them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol import lease
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import ReleaseRequested
from orchestrator.service import locks
from orchestrator.service.holding import Want, acquire
from orchestrator.service.locks import Held, read_fleet
from orchestrator.service.push import push
from orchestrator.service.serving import Served, Server
from orchestrator.service.world import World
from orchestrator.storage.memory import MemoryDisk, MemoryStore
from tests.service.fleet import FLEET, NEW, TIMING, Fleet, fleet_of, order
from tests.service.steps import GHOST, installed, lone_world, until


def memory_of(world: World | Fleet) -> MemoryStore:
    """The store, where it can be rolled back."""
    assert isinstance(world.store, MemoryStore)
    return world.store


async def goes_on_from(world: World, backup: Any, records: int) -> Any:
    """What the store comes to where somebody else restores ``backup`` and appends so many."""
    store = MemoryStore(now=world.clock.now, disk=MemoryDisk(backup))
    other = replace(world, store=store, folds={})
    held = await acquire(other, FLEET, Want(purpose="somebody else", owner=GHOST))
    assert isinstance(held, Held)
    asked = ReleaseRequested(epoch=held.epoch, by=GHOST, reason="drill")
    state: FleetState | None = held.state
    for _ in range(records - 1):
        assert state is not None
        state = await locks.append(other, state, (asked,))
    return store.disk.live


async def test_a_push_whose_store_was_rolled_back_ends_and_knows_nothing() -> None:
    """It does not try for ever at a head that is gone, nor say that anything was decided."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        store = memory_of(fleet)
        backup = store.disk.live

        def roll_back(seen: Coordinator) -> None:
            if seen.state.open is not None:
                store.disk.live = backup

        wanted = replace(order(1, NEW, list(fleet.drones)), watch=roll_back)
        result = await push(fleet.world(), wanted)

        assert (Exit.UNKNOWN, None) == (result.exit_code, result.decision)


async def test_a_push_decides_nothing_on_a_history_that_it_has_never_read() -> None:
    """The journal has the number that it expects again, and somebody else's entry there."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        store = memory_of(fleet)
        # As many records as the push has appended when it is about to decide: the lock, Begun.
        rival = await goes_on_from(fleet.world(), store.disk.live, 2)

        def roll_back(seen: Coordinator) -> None:
            if seen.state.open is not None and store.disk.live is not rival:
                assert seen.state.head == len(rival.journals[FLEET])
                store.disk.live = rival

        wanted = replace(order(1, NEW, list(fleet.drones)), watch=roll_back)
        result = await push(fleet.world(), wanted)

        assert (Exit.UNKNOWN, None) == (result.exit_code, result.decision)
        assert rival.journals == store.disk.live.journals


async def test_whoever_serves_begins_again_from_the_journal_that_there_is() -> None:
    """No device is answered from a history that is gone, though the new one is as long."""
    async with fleet_of(1) as fleet:
        await installed(fleet)
        store = memory_of(fleet)
        backup = store.disk.live
        held = await acquire(fleet.world(), FLEET, Want(purpose="calibrate"))
        assert isinstance(held, Held)
        rival = await goes_on_from(fleet.world(), backup, 1)
        server = Server(fleet.world(), [Served(id=FLEET, timing=TIMING)])
        serving = asyncio.create_task(server.run())
        await until(lambda: FLEET in server._desks)
        before = server._desks[FLEET].state.lock.owner
        store.disk.live = rival
        await until(lambda: server._desks[FLEET].state.lock.owner == GHOST)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

        assert held.owner == before
        assert "rolled-back" in [one.event for one in fleet.notices.told]


async def test_a_rollback_is_told_once_and_then_the_journal_is_read_anew() -> None:
    """Exit code 11, the entry is named; the next look folds what there is, not on top of it."""
    world = lone_world()
    store = memory_of(world)
    backup = store.disk.live
    held = await acquire(world, FLEET, Want(purpose="calibrate"))
    assert isinstance(held, Held)
    known = await read_fleet(world, FLEET)
    store.disk.live = await goes_on_from(world, backup, known.head)
    with pytest.raises(OperatingError, match=f"{FLEET}: entry 1 .* rolled back") as caught:
        await read_fleet(world, FLEET)
    assert (Exit.UNREACHABLE, f"aimctl reseed --fleet {FLEET} --dry-run", GHOST) == (
        caught.value.exit_code,
        caught.value.next_command,
        (await read_fleet(world, FLEET)).lock.owner,
    )


async def test_a_change_that_was_thought_of_before_a_rollback_is_not_made() -> None:
    """Neither appended at the number that fits again, nor taken for somebody who was faster."""
    world = lone_world()
    store = memory_of(world)
    backup = store.disk.live
    held = await acquire(world, FLEET, Want(purpose="calibrate"))
    assert isinstance(held, Held)
    store.disk.live = rival = await goes_on_from(world, backup, held.state.head)
    released = lease.release(held.state, held.epoch, held.owner)
    assert not isinstance(released, lease.NotTheLock)
    assert None is await locks.append(world, held.state, released)
    with pytest.raises(OperatingError, match="rolled back"):
        await locks.refresh(world, held.state)
    assert rival.journals == store.disk.live.journals
