"""One device and one orchestrator in a world of memory, for tests of the agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from drone_sim.disk import CrashDisk
from orchestrator.agent import Agent, AgentPorts, DeviceRefused, FileAndHook, open_slots
from orchestrator.agent.device import fits_hardware, fits_name, fits_space
from orchestrator.agent.machine import DeviceClock
from orchestrator.agent.slots import Slots
from orchestrator.faultpoints import FaultPoints
from orchestrator.ports import Clock
from orchestrator.protocol.device import Activate, Check, Durable
from orchestrator.protocol.messages import Message
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.types import DeviceId
from orchestrator.staging.plan import decode_plan
from orchestrator.transport.memory import MemoryBroker, MemoryTransport
from orchestrator.transport.topics import Device as DeviceRole
from orchestrator.transport.topics import Orchestrator as OrchestratorRole
from orchestrator.wiring import RandomIds
from tests.agent.inline import inline
from tests.agent.stub import CONFIG, FLEET, WAIT_S, Orchestrator, Wall, config

D1 = DeviceId("d-01")
STATE = Path("/state")
ACTIVE = Path("/device") / CONFIG
OLD, NEW = config(90), config(110)
T = TypeVar("T")


@dataclass
class Told:
    """Keeps the notices."""

    notices: list[Notice] = field(default_factory=list)

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)

    @property
    def events(self) -> list[str]:
        return [notice.event for notice in self.notices]


@dataclass
class Controller:
    """A device that writes its file and remembers what it was told."""

    file: FileAndHook
    told: list[str] = field(default_factory=list)
    refusing: dict[str, int] = field(default_factory=dict)
    """How often an event is refused before it is obeyed."""
    hanging: bool = False
    """Whether a resume never ends."""
    told_at: list[float] = field(default_factory=list)
    """When it was told, by the loop's clock."""

    def _tell(self, event: str) -> None:
        kind = event.split(maxsplit=1)[0]
        self.told.append(event)
        self.told_at.append(asyncio.get_running_loop().time())
        if self.refusing.get(kind, 0) > 0:
            self.refusing[kind] -= 1
            raise DeviceRefused(f"no {kind} today")

    async def check(self, check: Check) -> tuple[str, ...]:
        return await self.file.check(check)

    async def activate(self, activate: Activate, data: bytes) -> None:
        await self.file.activate(activate, data)
        self._tell(f"activate {activate.version}")

    async def hold(self, reasons: tuple[str, ...]) -> None:
        self._tell("hold")

    async def resume(self, version: int) -> None:
        self._tell(f"resume {version}")
        if self.hanging:
            await asyncio.Event().wait()


class Quick(DeviceClock):
    """Real time, but nobody sleeps: retries are immediate."""

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(0)


class World:
    """One device, one orchestrator, one broker; the device can be started again and again."""

    def __init__(self, *, wall: Clock | None = None, clock: Clock | None = None) -> None:
        wall = wall or Wall()
        self.clock = clock or Quick()
        self.disk_s = 0.0
        """How long the device's disk takes for whatever the agent asks of it."""
        self.disk = CrashDisk()
        self.disk.make_directory(ACTIVE.parent)
        self.broker = MemoryBroker()
        self.told = Told()
        boss = self._client(OrchestratorRole(), "boss", wall)
        self.boss = Orchestrator(boss, [D1], clock=wall)
        self.controller = Controller(self._file())
        self.passed: list[str] = []
        self.sent: list[tuple[Message, Durable]] = []
        """Every message with what the device's disk said when it was handed over."""

    def _client(
        self, role: OrchestratorRole | DeviceRole, client_id: str, clock: Clock
    ) -> MemoryTransport:
        return MemoryTransport(
            self.broker,
            fleet=FLEET,
            role=role,
            client_id=client_id,
            clock=clock,
            audience=self.told,
        )

    def _file(self) -> FileAndHook:
        return FileAndHook(
            fleet=FLEET,
            device=D1,
            active=ACTIVE,
            disk=self.disk,
            judges=(
                fits_name(CONFIG),
                fits_hardware(kind="drone"),
                fits_space(self.disk, STATE, ACTIVE.parent),
            ),
            offload=inline,
        )

    async def _offload(self, work: Callable[[], T]) -> T:
        if self.disk_s:
            await asyncio.sleep(self.disk_s)
        return work()

    @property
    def active(self) -> bytes | None:
        return self.disk.read(ACTIVE, 100_000)

    def slots(self) -> Slots:
        return open_slots(self.disk, STATE, fleet=FLEET, device=D1)

    @asynccontextmanager
    async def orchestrator(self) -> AsyncIterator[Orchestrator]:
        transport = self.boss.transport
        assert isinstance(transport, MemoryTransport)
        async with transport, self.boss:
            yield self.boss

    @asynccontextmanager
    async def device(self) -> AsyncIterator[Agent]:
        """Run the device; leaving is a kill: nothing is said goodbye to."""
        transport = Recording(self._client(DeviceRole(id=D1), D1, self.clock), self)
        slots = self.slots()
        ports = AgentPorts(
            device=self.controller,
            transport=transport,
            clock=self.clock,
            ids=RandomIds(),
            audience=self.told,
            offload=self._offload,
            faults=Passing(self.passed),
        )
        agent = Agent(slots, ports, decode_plan=decode_plan)
        await transport.inner.connect()
        task = asyncio.create_task(agent.run(), name="agent")
        try:
            yield agent
        finally:
            task.cancel()
            await asyncio.wait({task})
            transport.inner.kill()
            slots.close()
        if not task.cancelled():
            task.result()


class Recording:
    """A transport that notes what the disk would say after a power loss at each send."""

    def __init__(self, inner: MemoryTransport, world: World) -> None:
        self.inner = inner
        self.watch_blob = inner.watch_blob
        self.unwatch_blob = inner.unwatch_blob
        self.clear = inner.clear
        self.receive = inner.receive
        self._world = world

    async def send(self, message: Message, to: DeviceId | None = None) -> None:
        self._world.sent.append((message, after_power_loss(self._world.disk)))
        await self.inner.send(message, to)


def after_power_loss(disk: CrashDisk) -> Durable:
    """What a device would remember if the power went now."""
    copy = CrashDisk()
    for path, directory in disk._directories.items():
        copy.make_directory(path)
        for name, content in directory.durable.items():
            copy.damage(path / name, content.durable)
    return open_slots(copy, STATE, fleet=FLEET, device=D1).durable


class Passing(FaultPoints):
    """Fault points that only note that they were passed."""

    def __init__(self, passed: list[str]) -> None:
        super().__init__()
        self._passed = passed

    def hit(self, name: str) -> None:
        self._passed.append(name)


async def until(done: Callable[[], bool]) -> None:
    """Wait until ``done()`` is true, in bounded time."""
    async with asyncio.timeout(WAIT_S):
        while not done():  # noqa: ASYNC110 - of many things, few of which could signal
            await asyncio.sleep(0.002)
