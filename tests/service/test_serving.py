"""The lock manager as a service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from orchestrator.ports import Claim, Lease, StoreUnavailable
from orchestrator.protocol.device import Holding
from orchestrator.protocol.records import LeaseHorizon, LockTaken, Verb
from orchestrator.protocol.types import Epoch, FleetId
from orchestrator.service import locks
from orchestrator.service.holding import Want, acquire
from orchestrator.service.locks import Held, read_fleet
from orchestrator.service.serving import Served, Server
from orchestrator.storage.memory import MemoryStore
from orchestrator.wiring import SystemClock
from tests.service.fleet import (
    FLEET,
    TIMING,
    Fleet,
    fleet_of,
)
from tests.service.steps import (
    D1,
    installed,
    is_free,
    until,
)

# --- the server ---------------------------------------------------------------------------------


async def test_the_server_resolves_a_ghost_and_answers_devices() -> None:
    """Proved death needs no waiting; devices that restarted are answered without a command."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        world = fleet.world()
        me = world.me("push")
        dead = replace(me, start_ticks=me.start_ticks + 1)
        held = await acquire(world, FLEET, Want(purpose="push", owner=dead))
        assert isinstance(held, Held)
        await fleet.drones[D1].kill()
        await fleet.drones[D1].start()
        server = Server(fleet.world(), [Served(id=FLEET, timing=TIMING)])
        serving = asyncio.create_task(server.run())
        await until(lambda: is_free(fleet))
        await until(lambda: fleet.versions() == {1})
        await until(lambda: server.cleanup_runs() != {})
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

        assert {"whole": 1} == server.cleanup_runs()
        taken = [e.record for e in await world.store.read(FLEET) if e.record.kind == "lock_taken"]
        assert isinstance(taken[-1], LockTaken)
        assert Verb.EXPIRE.value == taken[-1].purpose


async def test_the_server_leaves_a_living_owner_alone() -> None:
    """A lock whose owner lives is never taken by a timer (I20)."""
    async with fleet_of(1) as fleet:
        await installed(fleet)
        held = await acquire(fleet.world(), FLEET, Want(purpose="push"))
        assert isinstance(held, Held)
        serving = asyncio.create_task(Server(fleet.world(), [Served(id=FLEET)]).run())
        await asyncio.sleep(1.5)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

        assert held.epoch == (await read_fleet(fleet.world(), FLEET)).lock.epoch


async def test_leases_let_the_fleet_operate_and_end_without_the_server() -> None:
    """Renewed while the server lives; once it is gone every device holds within one lease."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        served = Served(id=FLEET, timing=TIMING, members=tuple(fleet.drones), lease_s=1.2)
        serving = asyncio.create_task(Server(fleet.world(), [served]).run())

        def leased() -> bool:
            agents = [drone.agent for drone in fleet.drones.values()]
            return all(a and a.participant.operation.lease_until is not None for a in agents)

        await until(leased)
        await asyncio.sleep(2.5)
        assert {1} == fleet.versions()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await until(lambda: fleet.versions() == {None})

        holds = {hold for drone in fleet.drones.values() for hold in drone.state.holds}
        assert {Holding.LEASE.value} == holds


async def test_epochs_of_two_incarnations_read_as_lock_ids() -> None:
    """A lock id names the incarnation where it is not the first."""
    assert (FLEET, Epoch(2, 7)) == locks.parse_lock_id(f"{FLEET}@2.7")
    assert (FLEET, Epoch(1, 7)) == locks.parse_lock_id(f"{FLEET}@7")


async def test_one_error_of_the_store_ends_nothing() -> None:
    """A store that is away for a moment is told, and tried again."""
    async with fleet_of(1) as fleet:
        await installed(fleet)
        world = fleet.world()
        me = world.me("push")
        dead = replace(me, start_ticks=me.start_ticks + 1)
        held = await acquire(world, FLEET, Want(purpose="push", owner=dead))
        assert isinstance(held, Held)
        assert isinstance(fleet.store, MemoryStore)
        flaky = Flaky(now=SystemClock().now, disk=fleet.store.disk)
        serving = asyncio.create_task(
            Server(fleet.world(flaky), [Served(id=FLEET, timing=TIMING)]).run()
        )
        await until(lambda: is_free(fleet))

        assert (False, 0) == (serving.done(), flaky.failures)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


class Flaky(MemoryStore):
    """Fails to show leases at first."""

    failures = 2

    async def leases(self, fleet: FleetId) -> Mapping[Claim, Lease]:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away for a moment")
        return await super().leases(fleet)


async def test_without_a_file_the_journals_leases_stay_as_they_are() -> None:
    """Two servers of which one has no file of the fleet do not end each other's leases."""
    async with fleet_of(1) as fleet:
        await installed(fleet)
        served = Served(id=FLEET, timing=TIMING, members=tuple(fleet.drones), lease_s=5.0)
        servers = [Server(fleet.world()), Server(fleet.world(), [served])]
        serving = [asyncio.create_task(server.run()) for server in servers]
        await until(lambda: _all_leased(fleet))
        await asyncio.sleep(1.0)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

        entries = await fleet.store.read(FLEET)
        regimes = [e.record.lease_s for e in entries if isinstance(e.record, LeaseHorizon)]
        assert {5.0} == set(regimes)
        assert len(regimes) < 6


async def _all_leased(fleet: Fleet) -> bool:
    return set(fleet.drones) == (await read_fleet(fleet.world(), FLEET)).leased
