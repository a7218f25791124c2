"""Fleets in trouble: devices in doubt, or away when it was decided."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.faultpoints import FaultPoints
from orchestrator.ports import Store
from orchestrator.protocol.types import DeviceId, TxnId
from orchestrator.service.push import push
from orchestrator.storage.memory import MemoryStore
from tests.service.fleet import NEW, OLD, Fleet, order

D1, D2 = DeviceId("d-01"), DeviceId("d-02")


class DiedError(Exception):
    """Stands for the end of a process."""


async def left_in_doubt(fleet: Fleet, when: str = "before") -> TxnId:
    """
    Install version 1; end a push of version 2 just before, or after, it is decided.

    Returns the transaction that the devices are in doubt about.
    """

    def die(_number: int) -> None:
        raise DiedError

    names = list(fleet.drones)
    await push(fleet.world(), order(0, OLD, names))
    dying = FaultPoints(f"kill@append:decided:{when}", strike=die)
    with pytest.raises(DiedError):
        await push(fleet.world(faults=dying), order(1, NEW, names))
    prepared = fleet.drones[D1].state.prepared
    assert prepared is not None
    return prepared


async def left_deferred(fleet: Fleet, device: DeviceId = D2) -> None:
    """Install version 1, then version 2 while a device that has voted yes loses power."""
    drone = fleet.drones[device]

    def lose_power(_number: int) -> None:
        assert drone.transport is not None
        drone.transport.kill()

    names = list(fleet.drones)
    await push(fleet.world(), order(0, OLD, names))
    point = FaultPoints(f"kill@votes:{len(names)}:after", strike=lose_power)
    await push(fleet.world(faults=point), order(1, NEW, names))
    await drone.kill()


async def held_in_doubt(fleet: Fleet) -> TxnId:
    """Do the same, and wait until every device holds."""
    txn = await left_in_doubt(fleet)
    clock = fleet.world().clock
    async with asyncio.timeout(20):
        while fleet.versions() != {None}:
            await clock.sleep(0.01)
    return txn


def backup(fleet: Fleet) -> Store:
    """Copy the store as it is now, to put it back later."""
    assert isinstance(fleet.store, MemoryStore)
    return fleet.store.backup()
