"""The simulated store, well and in no time, promises what every store does: the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from drone_sim.scenario.model import StoreQuality
from drone_sim.shells.loop import Process
from drone_sim.shells.store import StoreServer
from orchestrator.ports import Store
from orchestrator.protocol.types import Digest, FleetId
from orchestrator.storage.memory import MemoryStore
from tests.storage.conftest import FakeBoot, FakeClock
from tests.storage.test_conformance import *  # noqa: F403 - pytest collects them here too


class SimulatedWorld:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.boot = FakeBoot()
        self._server = StoreServer(quality=StoreQuality(append_s=0.0))
        self._raw = MemoryStore(now=self.clock, disk=self._server.disk)

    def connect(self) -> Store:
        return self._server.connect(Process("push"), now=self.clock, boot=self.boot)

    def damage(self, fleet: FleetId, index: int, text: str) -> None:
        self._raw.damage(fleet, index, text)

    def damage_blob(self, digest: Digest, data: bytes) -> None:
        self._raw.damage_blob(digest, data)


@pytest.fixture
def world() -> SimulatedWorld:
    """An empty store."""
    return SimulatedWorld()


@pytest.fixture
async def store(world: SimulatedWorld) -> AsyncIterator[Store]:
    """A connection to it."""
    connection = world.connect()
    yield connection
    await connection.close()


@pytest.fixture
async def second(world: SimulatedWorld, store: Store) -> Store:
    """Another connection to the same place, as another process would have it."""
    return world.connect()
