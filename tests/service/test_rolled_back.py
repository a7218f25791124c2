"""A store that is rolled back under a living coordinator."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.errors import Exit
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.service.push import push
from orchestrator.storage.memory import MemoryStore
from tests.service.fleet import NEW, fleet_of, order
from tests.service.steps import installed


async def test_a_push_whose_store_was_rolled_back_ends_and_knows_nothing() -> None:
    """It does not try for ever at a head that is gone, nor say that anything was decided."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        store = fleet.store
        assert isinstance(store, MemoryStore)
        backup = store.disk.live

        def roll_back(seen: Coordinator) -> None:
            if seen.state.open is not None:
                store.disk.live = backup

        wanted = replace(order(1, NEW, list(fleet.drones)), watch=roll_back)
        result = await push(fleet.world(), wanted)

        assert (Exit.UNKNOWN, None) == (result.exit_code, result.decision)
