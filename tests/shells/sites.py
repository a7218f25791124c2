"""A device and an orchestrator as processes on one simulated network, and what they heard."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from drone_sim.scenario.model import Link
from drone_sim.shells.broker import SimBroker
from drone_sim.shells.clocks import MachineClock
from drone_sim.shells.loop import Process, spawn, spawn_in
from drone_sim.shells.network import Network
from drone_sim.shells.transport import OnSend, SimTransport
from orchestrator.ports import Received, Reconnected, TransportUnavailable
from orchestrator.protocol.messages import Message, Presence
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.types import DeviceId
from orchestrator.transport.examples import DEVICE, FLEET
from orchestrator.transport.topics import Device, Orchestrator, Role

D1 = "d-01"
PUSH = "push"
HERE = Presence(device=DEVICE, online=True)
GONE = Presence(device=DEVICE, online=False)
SURE = Link(delay_s=0.005, jitter_s=0.0)


def now_s() -> float:
    """True time."""
    return asyncio.get_running_loop().time()


class Station:
    """A process with a transport of its own; ``heard`` are messages with the time of each."""

    def __init__(
        self, name: str, role: Role, broker: SimBroker, on_send: OnSend | None = None
    ) -> None:
        self.name = name
        self.heard: list[tuple[float, Message]] = []
        self.sessions_at_s: list[float] = []
        self.notices: list[Notice] = []
        self.process = Process(self.name)
        self.transport = SimTransport(
            broker,
            fleet=FLEET,
            role=role,
            client_id=name,
            clock=MachineClock(),
            audience=self,
            link=name,
            on_send=on_send,
        )
        self._news = asyncio.Condition()

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)

    async def start(self) -> Station:
        """Run the process, and return when it has a session."""
        spawn(self.process, self._run())
        async with self._news:
            await self._news.wait_for(lambda: bool(self.sessions_at_s))
        return self

    async def _run(self) -> None:
        async with self.transport as transport:
            async for item in transport.receive():
                await self._take(item)

    async def _take(self, item: Received | Reconnected) -> None:
        if isinstance(item, Reconnected):
            self.sessions_at_s.append(now_s())
        else:
            self.heard.append((now_s(), item.message))
        async with self._news:
            self._news.notify_all()

    async def say(self, message: Message) -> None:
        """Send, whatever becomes of it; to be run in this process."""
        with suppress(TransportUnavailable):
            await self.transport.send(message)

    def send(self, message: Message, to: DeviceId | None = None) -> asyncio.Task[None]:
        """Send, as this process; the task tells what came of it."""
        return spawn_in(self.process, self.transport.send(message, to))

    @property
    def messages(self) -> list[Message]:
        """What it heard, in order."""
        return [message for _, message in self.heard]

    def all(self) -> list[str]:
        """Return all that it knows, for comparison."""
        told = [f"{notice.event} {dict(notice.detail)}" for notice in self.notices]
        heard = [f"{at_s!r} {message}" for at_s, message in self.heard]
        return [*(repr(at_s) for at_s in self.sessions_at_s), *told, *heard]

    def heard_at_s(self, message: Message) -> list[float]:
        """When it heard a message."""
        return [at_s for at_s, heard in self.heard if heard == message]


class Site:
    """One device and one orchestrator."""

    def __init__(self, quality: Link = SURE, *, seed: int = 1) -> None:
        self.network = Network(seed=seed)
        self.broker = SimBroker(self.network, seed=seed)
        for name in (D1, PUSH):
            self.network.join(name, quality)
        self.device = Station(D1, Device(id=DEVICE), self.broker)
        self.push = Station(PUSH, Orchestrator(), self.broker)

    @property
    def stations(self) -> tuple[Station, Station]:
        """Both."""
        return self.device, self.push

    async def start(self) -> Site:
        """Connect both, the orchestrator first."""
        await self.push.start()
        await self.device.start()
        await asyncio.sleep(0.1)
        return self
