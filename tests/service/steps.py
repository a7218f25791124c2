"""What the tests of the whole lock have in common: a fleet at version 1, and what to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from orchestrator.errors import Exit
from orchestrator.faultpoints import FaultPoints
from orchestrator.protocol import lease
from orchestrator.protocol.records import (
    LockState,
    Record,
)
from orchestrator.protocol.types import DeviceId, Owner, Ticket
from orchestrator.service import locks
from orchestrator.service.locks import read_fleet
from orchestrator.service.push import push
from orchestrator.service.world import World
from orchestrator.transport.memory import MemoryBroker
from tests.service.fleet import (
    FLEET,
    OLD,
    TIMING,
    Fleet,
    new_store,
    order,
)

D1, D2, D3 = (DeviceId(f"d-0{number}") for number in (1, 2, 3))
SLOW = replace(TIMING, window_s=20.0)
GHOST = Owner(
    user="mira",
    host="aim-control",
    machine_id="unknown",
    boot_id="unknown",
    pid_namespace="unknown",
    pid=4121,
    start_ticks=1,
    program="aimctl push",
)


def lone_world() -> World:
    """One orchestrator and its store; nobody is there to be told of anything."""
    return Fleet(broker=MemoryBroker(), store=new_store(), drones={}).world()


async def until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so; the test's own time limit ends it."""
    async with asyncio.timeout(20):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


async def installed(fleet: Fleet) -> None:
    """Bring a fresh fleet to version 1."""
    done = await push(fleet.world(), order(0, OLD, list(fleet.drones)))
    assert (Exit.DONE, 1) == (done.exit_code, done.version)


async def dead_waiter(world: World) -> None:
    """Let a process that this machine's kernel does not have stand in line."""
    me = world.me("push")
    dead = replace(me, start_ticks=me.start_ticks + 1)

    await locks.change(
        world, FLEET, lambda state: _queued(lease.queue(state, dead, "push", Ticket("dead")))
    )


def _queued(records: tuple[Record, ...] | lease.Refused) -> tuple[Record, ...]:
    assert not isinstance(records, lease.Refused)
    return records


async def are_waiting(world: World, count: int) -> bool:
    """Whether so many stand in line."""
    return len((await read_fleet(world, FLEET)).lock.waiters) == count


async def is_open(fleet: Fleet) -> bool:
    """Whether a transaction is open."""
    return (await read_fleet(fleet.world(), FLEET)).open is not None


async def is_resolving(fleet: Fleet) -> bool:
    """Whether somebody resolves the lock."""
    return (await read_fleet(fleet.world(), FLEET)).lock.state is LockState.RESOLVING


async def is_free(fleet: Fleet) -> bool:
    """Whether the lock is free."""
    return (await read_fleet(fleet.world(), FLEET)).lock.state is LockState.FREE


class Killed(BaseException):
    """The process has ended here: nothing after it is done, not even what is meant to be."""


def killed_at(point: str) -> FaultPoints:
    """Fault points that end an orchestrator of this process at ``point``."""

    def strike(_signal: int) -> None:
        raise Killed(point)

    return FaultPoints(f"kill@{point}", strike=strike)
