"""A device that may operate for a while only: it holds in time, whatever else happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from orchestrator.protocol.device import Holding
from orchestrator.protocol.messages import Fence, Hello
from orchestrator.protocol.types import Epoch
from tests.agent.stub import Orchestrator
from tests.agent.virtual import virtual, virtual_world
from tests.agent.worlds import D1, NEW, World, until

LEASE_S = 3.0


@asynccontextmanager
async def leased(world: World) -> AsyncIterator[Orchestrator]:
    """A device that operates version 1 on a lease."""
    world.boss.lease_s = LEASE_S
    async with world.orchestrator() as boss, world.device():
        await boss.push(1, NEW)
        await until(lambda: world.controller.told[-1] == "resume 1")
        yield boss


def ends_at(boss: Orchestrator) -> float:
    """When the last lease that was given ends, by the device's clock."""
    return boss.welcomed[-1].sent_at_device_s + LEASE_S


async def held_at(world: World) -> float:
    """Wait until the controller is told to hold; return when that was."""
    await until(lambda: world.controller.told[-1] == "hold")
    return world.controller.told_at[-1]


@virtual
async def test_it_holds_in_time_when_nobody_answers() -> None:
    """At the end of its lease the aim is frozen, and the device says why."""
    world = virtual_world()
    async with leased(world) as boss:
        boss.answering = False
        assert ends_at(boss) == pytest.approx(await held_at(world), abs=1e-6)
        state = await boss.state(D1, lambda state: Holding.LEASE.value in state.holds)
        assert state.operating is None


@virtual
async def test_it_counts_from_when_it_asked() -> None:
    """What the answer needed on its way is gone from the lease, not added to it."""
    world = virtual_world()
    async with leased(world) as boss:
        boss.answers_after_s = 0.15
        renewed = len(boss.welcomed) + 1
        await until(lambda: len(boss.welcomed) >= renewed)
        boss.answering = False
        assert ends_at(boss) == pytest.approx(await held_at(world), abs=1e-6)


@virtual
async def test_the_next_answer_lets_it_operate_again() -> None:
    """It goes on asking while it holds, and resumes at the first WELCOME that enables it."""
    world = virtual_world()
    async with leased(world) as boss:
        boss.answering = False
        await held_at(world)
        await asyncio.sleep(60.0)
        boss.answering = True
        boss.heard.clear()
        await boss.state(D1, lambda state: state.operating == 1)
        await until(lambda: world.controller.told[-1] == "resume 1")


@virtual
async def test_a_lease_that_is_renewed_costs_no_hold() -> None:
    """It asks after each third; as long as somebody answers, the controller hears nothing."""
    world = virtual_world()
    async with leased(world) as boss:
        told = len(world.controller.told)
        boss.heard.clear()
        await asyncio.sleep(10 * LEASE_S)
        assert [] == world.controller.told[told:]
        assert len(boss.of(Hello)) in {30, 31}


@virtual
async def test_one_lost_answer_costs_no_hold() -> None:
    """There is time to ask again before the lease is over."""
    world = virtual_world()
    async with leased(world) as boss:
        told = len(world.controller.told)
        world.broker.fault = every_second_welcome_is_lost()
        await asyncio.sleep(10 * LEASE_S)
        assert [] == world.controller.told[told:]
        assert len(boss.welcomed) > 30


class every_second_welcome_is_lost:  # noqa: N801 - reads as what it does
    """A fault of the broker."""

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, topic: str, _client_id: str) -> int:
        self.seen += topic.endswith("/welcome")
        return self.seen % 2 if topic.endswith("/welcome") else 1


@virtual
async def test_a_slow_disk_does_not_delay_the_hold() -> None:
    """A lease that ends while a write hangs: the hold comes in time, and ends after the write."""
    world = virtual_world()
    async with leased(world) as boss:
        world.disk_s = 4 * LEASE_S
        boss.epoch = Epoch(1, 9)
        await boss.transport.send(Fence(epoch=boss.epoch))
        assert ends_at(boss) == pytest.approx(await held_at(world), abs=1e-6)
        assert "save:fence:after" not in world.passed, "the disk is still at it"
        boss.heard.clear()
        await boss.state(D1, lambda state: state.max_epoch == boss.epoch)
        await boss.state(D1, lambda state: state.operating == 1)


@virtual
async def test_a_device_that_is_not_enabled_any_more_holds_at_the_end() -> None:
    """enable=false renews nothing, though it answers; a later WELCOME that enables ends it."""
    world = virtual_world()
    async with leased(world) as boss:
        lease_ends_at = ends_at(boss)
        boss.enable = False
        assert lease_ends_at == pytest.approx(await held_at(world), abs=1e-6)
        boss.enable = True
        await until(lambda: world.controller.told[-1] == "resume 1")


@virtual
async def test_a_restart_forgets_the_lease() -> None:
    """However much of it was left, the device holds until it is enabled anew."""
    world = virtual_world()
    async with leased(world):
        pass
    world.disk.reboot()
    world.controller.told.clear()
    async with world.device() as agent:
        await until(lambda: world.controller.told == ["hold", "activate 1"])
        assert (Holding.RESTARTED.value,) == agent.state().holds


@virtual
async def test_an_answer_that_comes_after_its_lease_enables_nothing() -> None:
    """What is over before it is known lets nobody operate, not for a moment."""
    world = virtual_world()
    async with world.orchestrator() as boss:
        async with world.device():
            await boss.push(1, NEW)
        world.disk.reboot()
        world.controller.told.clear()
        boss.lease_s, boss.answers_after_s = 0.1, 0.15
        before = len(boss.welcomed)
        async with world.device():
            await until(lambda: len(boss.welcomed) > before + 5)
            assert ["hold", "activate 1"] == world.controller.told


@virtual
async def test_no_limit_ends_an_earlier_one() -> None:
    """A WELCOME of a fleet without leases: nothing to renew, nothing that could run out."""
    world = virtual_world()
    async with leased(world) as boss:
        boss.lease_s = None
        await until(lambda: boss.welcomed[-1].lease_s is None)
        boss.answering = False
        told, asked = len(world.controller.told), len(boss.of(Hello))
        await asyncio.sleep(100 * LEASE_S)
        assert [] == world.controller.told[told:]
        assert asked + 1 >= len(boss.of(Hello))


# --- quarantine ---------------------------------------------------------------------------------


@virtual
async def test_a_device_in_quarantine_holds_until_it_is_enabled() -> None:
    """It is answered, and holds; it goes on asking, and operates once it is enabled."""
    world = virtual_world()
    async with world.orchestrator() as boss:
        async with world.device():
            await boss.push(1, NEW)
        world.disk.reboot()
        boss.enable = False
        boss.heard.clear()
        world.controller.told.clear()
        async with world.device():
            await until(lambda: len(boss.of(Hello)) > 5)
            assert ["hold", "activate 1"] == world.controller.told
            boss.enable = True
            await until(lambda: world.controller.told[-1] == "resume 1")
