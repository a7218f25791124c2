"""The heartbeat, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from orchestrator.locksmith.keeper import Keeper
from orchestrator.locksmith.processes import LinuxProcesses
from orchestrator.protocol.records import LockState, LockTaken
from orchestrator.protocol.types import Epoch, FleetId
from orchestrator.storage.memory import MemoryStore

FLEET = FleetId("hazard-12")
OWNER = LinuxProcesses().me("test")


@dataclass(slots=True)
class ManualClock:
    """
    Time passes when somebody sleeps, and only then.

    ``woke`` is told the number of each sleep that is over; after ``sleeps_max`` the sleeper is
    cancelled.
    """

    at: float = 0.0
    sleeps: int = 0
    sleeps_max: int = 100
    woke: Callable[[int], None] = lambda _: None

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, delay_s: float) -> None:
        if self.sleeps == self.sleeps_max:
            raise asyncio.CancelledError
        self.at += delay_s
        self.sleeps += 1
        self.woke(self.sleeps)


@dataclass(slots=True)
class Told:
    """What the keeper has said, and when."""

    clock: ManualClock
    lost: list[float] = field(default_factory=list)

    async def on_lost(self) -> None:
        self.lost.append(self.clock.at)


async def held(clock: ManualClock, epoch: int = 1) -> MemoryStore:
    """A store in which OWNER holds the lock."""
    store = MemoryStore(now=clock.now)
    taken = LockTaken(epoch=Epoch(1, epoch), state=LockState.HELD, owner=OWNER, purpose="push")
    await store.append(FLEET, 0, [taken])
    return store


def keeper(store: MemoryStore, told: Told) -> Keeper:
    """A keeper of epoch 1."""
    return Keeper(
        store,
        told.clock,
        fleet=FLEET,
        epoch=Epoch(1, 1),
        owner=OWNER,
        lost=told.on_lost,
    )


async def test_it_renews_every_three_seconds() -> None:
    """The lease moves with each renewal."""
    clock = ManualClock(sleeps_max=3)
    told, store = Told(clock), await held(clock)

    with pytest.raises(asyncio.CancelledError):
        await keeper(store, told).run()

    lease = await store.lease(FLEET)
    assert lease is not None
    assert (9.0, []) == (lease.renewed_at, told.lost)


async def test_it_says_once_that_the_lock_is_somebody_elses() -> None:
    """Another epoch holds the lock: the touch changes nothing, and the holder is told (I21)."""
    clock = ManualClock()
    told, store = Told(clock), await held(clock, epoch=2)

    await keeper(store, told).run()

    assert [3.0] == told.lost


async def test_it_stops_its_holder_after_ten_seconds_without_the_store() -> None:
    """Before anybody else may take over, the holder has stopped itself."""
    clock = ManualClock()
    told, store = Told(clock), await held(clock)
    store.unavailable = True

    await keeper(store, told).run()

    assert [12.0] == told.lost


async def test_a_short_absence_of_the_store_is_survived() -> None:
    """One missed renewal is not the end."""
    clock = ManualClock(sleeps_max=4)
    told, store = Told(clock), await held(clock)
    store.unavailable = True
    clock.woke = lambda sleeps: setattr(store, "unavailable", sleeps < 3)

    with pytest.raises(asyncio.CancelledError):
        await keeper(store, told).run()

    assert [] == told.lost
