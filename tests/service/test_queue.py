"""Who gets the lock next, and what a living holder can be asked."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.records import (
    Answer,
    LockState,
    LockWithdrawn,
)
from orchestrator.service import holding, locks
from orchestrator.service.asking import request_release
from orchestrator.service.holding import Want, acquire
from orchestrator.service.locks import Held, read_fleet
from orchestrator.service.push import push
from orchestrator.service.results import LockView
from tests.service.fleet import (
    FLEET,
    NEW,
    NEWER,
    fleet_of,
    order,
)
from tests.service.steps import (
    GHOST,
    SLOW,
    are_waiting,
    dead_waiter,
    installed,
    is_open,
    lone_world,
    until,
)

# --- the queue ----------------------------------------------------------------------------------


async def test_waiters_get_the_lock_in_their_order() -> None:
    """First in, first out (I26); each is granted when the one before has released."""
    world = lone_world()
    held = await acquire(world, FLEET, Want(purpose="first"))
    assert isinstance(held, Held)
    order_of: list[str] = []

    async def wait(name: str) -> None:
        mine = await acquire(world, FLEET, Want(purpose=name, wait_s=10.0))
        assert isinstance(mine, Held)
        order_of.append(name)
        await holding.release(world, FLEET, mine.epoch, mine.owner)

    tasks = []
    for number, name in enumerate(("a", "b", "c"), start=1):
        tasks.append(asyncio.create_task(wait(name)))
        await until(lambda count=number: are_waiting(world, count))  # type: ignore[misc]
    await holding.release(world, FLEET, held.epoch, held.owner)
    await asyncio.gather(*tasks)

    assert ["a", "b", "c"] == order_of
    assert () == (await read_fleet(world, FLEET)).lock.waiters


async def test_a_dead_waiter_blocks_nobody() -> None:
    """Whoever comes next takes the dead out of the queue, with the evidence as reason."""
    world = lone_world()
    await dead_waiter(world)
    held = await acquire(world, FLEET, Want(purpose="push"))

    assert isinstance(held, Held)
    records = [entry.record for entry in await world.store.read(FLEET)]
    gone = [record for record in records if isinstance(record, LockWithdrawn)]
    assert ["dead"] == [record.ticket for record in gone]
    assert "pid" in gone[0].reason


async def test_a_living_waiter_goes_first() -> None:
    """A free lock that somebody waits for is not taken past them: HOT, with who is next."""
    world = lone_world()
    held = await acquire(world, FLEET, Want(purpose="first"))
    assert isinstance(held, Held)
    waiting = asyncio.create_task(acquire(world, FLEET, Want(purpose="second", wait_s=10.0)))
    await until(lambda: are_waiting(world, 1))
    view = await acquire(world, FLEET, Want(purpose="third"))

    assert isinstance(view, LockView)
    assert "waiting   1, next is" in locks.hot(view, "a.conf").message
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert () == (await read_fleet(world, FLEET)).lock.waiters


async def test_a_waiter_whose_time_is_up_leaves_the_queue() -> None:
    """--wait-lock ends HOT, and nobody waits behind a place that is empty."""
    world = lone_world()
    await acquire(world, FLEET, Want(purpose="first"))
    view = await acquire(world, FLEET, Want(purpose="second", wait_s=0.2))

    assert isinstance(view, LockView)
    assert () == (await read_fleet(world, FLEET)).lock.waiters


async def test_a_push_that_waited_is_planned_anew() -> None:
    """Another push came first: the plan is made for the version that the fleet is at then."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        names = list(fleet.drones)
        held = await acquire(fleet.world(), FLEET, Want(purpose="first"))
        assert isinstance(held, Held)
        first = replace(order(1, NEW, names), wait_lock_s=10.0)
        anew = replace(
            order(1, NEWER, names),
            wait_lock_s=10.0,
            replan=lambda version: order(version, NEWER, names),
        )
        one = asyncio.create_task(push(fleet.world(), first))
        await until(lambda: are_waiting(fleet.world(), 1))
        two = asyncio.create_task(push(fleet.world(), anew))
        await until(lambda: are_waiting(fleet.world(), 2))
        await holding.release(fleet.world(), FLEET, held.epoch, held.owner)

        assert (2, 3) == ((await one).version, (await two).version)
        assert {3} == fleet.versions()


# --- asking -------------------------------------------------------------------------------------


async def test_a_push_that_has_not_decided_aborts_on_request() -> None:
    """The answer is logged with what it does; the fleet is unchanged and the lock is free."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        fleet.broker.fault = lambda topic, client: 0 if "/vote" in topic else 1
        pushing = asyncio.create_task(push(fleet.world(), order(1, NEW, list(fleet.drones), SLOW)))
        await until(lambda: is_open(fleet))
        epoch = (await read_fleet(fleet.world(), FLEET)).lock.epoch
        asked = await request_release(fleet.world(), FLEET, epoch, "urgent", 10.0)

        assert (Answer.ABORT, True) == (asked.answer, asked.free)
        assert Exit.ABORTED is (await pushing).exit_code
        assert {1} == fleet.versions()


async def test_a_ghost_can_not_be_asked() -> None:
    """A request to a dead holder ends HOT and names the way out."""
    world = lone_world()
    me = world.me("push")
    dead = replace(me, start_ticks=me.start_ticks + 1)
    held = await acquire(world, FLEET, Want(purpose="push", owner=dead))
    assert isinstance(held, Held)
    with pytest.raises(OperatingError) as raised:
        await request_release(world, FLEET, held.epoch, "please", 1.0)

    assert Exit.HOT is raised.value.exit_code
    assert "aimctl recover, the owner is proved gone" in raised.value.message


async def test_only_the_owner_releases() -> None:
    """A stranger is refused by name, a stale epoch is fenced."""
    world = lone_world()
    held = await acquire(world, FLEET, Want(purpose="push"))
    assert isinstance(held, Held)
    with pytest.raises(OperatingError) as foreign:
        await holding.release(world, FLEET, held.epoch, GHOST)
    with pytest.raises(OperatingError) as stale:
        await holding.release(world, FLEET, held.epoch.next(), held.owner)

    assert (Exit.HOT, Exit.FENCED) == (foreign.value.exit_code, stale.value.exit_code)
    freed = await holding.release(world, FLEET, held.epoch, held.owner)
    assert LockState.FREE is freed.lock.state
