"""A whole fleet in one process: real agents and cores, over a broker and disks in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drone_sim.disk import CrashDisk
from orchestrator.agent import Agent, AgentPorts, FileAndHook, open_slots
from orchestrator.agent.machine import DeviceClock
from orchestrator.faultpoints import FaultPoints
from orchestrator.locksmith.processes import LinuxProcesses
from orchestrator.ports import Store
from orchestrator.protocol.device import Check
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.types import DeviceId, Digest, Epoch, FleetId, Plan
from orchestrator.service.push import PushOrder
from orchestrator.service.resolving import Order
from orchestrator.service.world import World
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.plan import decode_plan, encode_plan
from orchestrator.storage.memory import MemoryStore
from orchestrator.transport.memory import MemoryBroker, MemoryTransport
from orchestrator.transport.topics import Device as DeviceRole
from orchestrator.transport.topics import Orchestrator as OrchestratorRole
from orchestrator.wiring import RandomIds, SystemClock
from tests.agent.inline import inline
from tests.agent.stub import CONFIG, config

FLEET = FleetId("hazard-12")
TIMING = Timing(window_s=0.5, clock_error_s=0.02, settle_s=1.0, join_s=0.5)
ACTIVE = Path("/device") / CONFIG


@dataclass
class Notices:
    """Keeps what was told."""

    told: list[Notice] = field(default_factory=list)

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)


@dataclass
class Drone:
    """One device: its disk survives its agent."""

    id: DeviceId
    broker: MemoryBroker
    disk: CrashDisk = field(default_factory=CrashDisk)
    refuses: tuple[str, ...] = ()
    agent: Agent | None = None
    task: asyncio.Task[None] | None = None
    transport: MemoryTransport | None = None

    def judge(self, _check: Check) -> Sequence[str]:
        return self.refuses

    async def start(self) -> None:
        audience = Notices()
        clock = DeviceClock()
        self.transport = MemoryTransport(
            self.broker,
            fleet=FLEET,
            role=DeviceRole(id=self.id),
            client_id=self.id,
            clock=clock,
            audience=audience,
        )
        await self.transport.connect()
        device = FileAndHook(
            fleet=FLEET, device=self.id, disk=self.disk, active=ACTIVE, judges=(self.judge,)
        )
        ports = AgentPorts(
            device=device,
            transport=self.transport,
            clock=clock,
            ids=RandomIds(),
            audience=audience,
            offload=inline,
        )
        self.disk.make_directory(ACTIVE.parent)
        slots = open_slots(self.disk, Path("/state"), fleet=FLEET, device=self.id)
        self.agent = Agent(slots, ports, decode_plan=decode_plan)
        self.task = asyncio.create_task(self.agent.run())

    async def kill(self) -> None:
        """End it as a power cut does: nothing that was not synced is left."""
        assert self.task is not None
        assert self.transport is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        self.transport.kill()
        self.disk.cut_power()
        self.disk.reboot()

    @property
    def state(self) -> DeviceState:
        assert self.agent is not None
        return self.agent.state()

    @property
    def active(self) -> bytes | None:
        return self.disk.read(ACTIVE, 1 << 20)


@dataclass
class Fleet:
    """Devices, a broker, and one store."""

    broker: MemoryBroker
    store: Store
    drones: Mapping[DeviceId, Drone]
    notices: Notices = field(default_factory=Notices)

    def world(self, store: Store | None = None, faults: FaultPoints | None = None) -> World:
        """Another orchestrator process, as it were."""
        clock = SystemClock()

        def connect(fleet: FleetId) -> MemoryTransport:
            return MemoryTransport(
                self.broker,
                fleet=fleet,
                role=OrchestratorRole(),
                client_id=RandomIds().new(),
                clock=clock,
                audience=self.notices,
            )

        return World(
            store=store or self.store,
            connect=connect,
            clock=clock,
            ids=RandomIds(),
            audience=self.notices,
            processes=LinuxProcesses(),
            faults=faults or FaultPoints(),
        )

    def versions(self) -> set[int | None]:
        """What the devices operate."""
        return {drone.state.operating for drone in self.drones.values()}

    def files(self) -> set[bytes | None]:
        """What stands in the active files."""
        return {drone.active for drone in self.drones.values()}


def resolving(epoch: Epoch | None = None, reason: str = "drill", **more: Any) -> Order:
    """Whose lock to resolve: the fleet's, as its file would say."""
    members = tuple(more.pop("members", ()))
    return Order(
        fleet=FLEET,
        epoch=epoch or Epoch(),
        reason=reason,
        timing=TIMING,
        members=members,
        config=CONFIG,
        **more,
    )


def new_store() -> MemoryStore:
    """A store that stamps what it writes as that of a real process does."""
    clock, processes = SystemClock(), LinuxProcesses()

    def boot() -> tuple[str, float] | None:
        boot_id = processes.boot_id
        return None if boot_id is None else (boot_id, clock.monotonic())

    return MemoryStore(now=clock.now, boot=boot)


def order(base: int, data: bytes, devices: Sequence[str], timing: Timing = TIMING) -> PushOrder:
    """A push of the same bytes to every device."""
    digest = digest_of(data)
    digests: dict[DeviceId, Digest] = {DeviceId(device): digest for device in devices}
    plan = Plan(fleet=FLEET, config=CONFIG, base_version=base, bundle=digest, digests=digests)
    blob = encode_plan(plan)
    return PushOrder(plan=plan, plan_digest=digest_of(blob), blobs=(blob, data), timing=timing)


OLD, NEW, NEWER = config(90), config(110), config(115)


@asynccontextmanager
async def fleet_of(count: int) -> AsyncIterator[Fleet]:
    """A fleet whose devices have just been switched on."""
    broker = MemoryBroker()
    names = [DeviceId(f"d-{number:02}") for number in range(1, count + 1)]
    drones = {name: Drone(id=name, broker=broker) for name in names}
    async with AsyncExitStack() as stack:
        for drone in drones.values():
            await drone.start()
            stack.push_async_callback(_stop, drone)
        yield Fleet(broker=broker, store=new_store(), drones=drones)


async def _stop(drone: Drone) -> None:
    if drone.task is not None and drone.transport is not None:
        drone.task.cancel()
        with suppress(asyncio.CancelledError):
            await drone.task
        await drone.transport.close()
