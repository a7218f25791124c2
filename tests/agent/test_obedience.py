"""An agent whose controller does not hold when it is told to."""

from __future__ import annotations

from orchestrator.protocol.device import Holding
from orchestrator.staging.canonical import digest_of
from tests.agent.worlds import D1, NEW, OLD, World, until


async def test_nobody_is_caught_up_whose_controller_still_aims() -> None:
    """The record stays at the old version through every refusal, and follows when it obeys."""
    world = World()
    async with world.orchestrator() as boss, world.device() as agent:
        await boss.push(1, OLD)
        boss.version = boss.last_seq = 2  # the fleet has moved on without it
        boss.digests = {D1: digest_of(NEW)}
        before = world.controller.told.count("hold")
        world.controller.refusing["hold"] = 1_000_000
        await boss.catch_up(D1, NEW)
        await boss.state(D1, lambda state: Holding.DISOBEYED.value in state.holds)
        await until(lambda: world.controller.told.count("hold") > before + 20)
        waited = agent.participant.durable.version
        world.controller.refusing.clear()
        await boss.state(D1, lambda state: state.version == state.operating == 2)
    assert (1, NEW) == (waited, world.active)
