"""What the transport's tests share: a clock, an audience that remembers, and bounded waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from orchestrator.ports import Received, Reconnected, Transport
from orchestrator.protocol.messages import Message
from orchestrator.protocol.ready import Notice
from orchestrator.protocol.types import DeviceId
from orchestrator.transport.topics import Role

PATIENCE_S = 15.0
"""How long a condition may take on a loaded machine before its test fails."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class FakeClock(SystemClock):
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


@dataclass
class Remembered:
    """An audience that keeps what it is told."""

    notices: list[Notice] = field(default_factory=list)

    def tell(self, notice: Notice) -> None:
        self.notices.append(notice)

    def events(self) -> list[str]:
        return [notice.event for notice in self.notices]

    def details(self, event: str) -> list[dict[str, Any]]:
        return [dict(notice.detail) for notice in self.notices if notice.event == event]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something outside this process, or without an event of its own, has come true."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.01)


class Client(Transport, Protocol):
    """What both transports offer beyond the port."""

    async def connect(self, timeout_s: float = ...) -> None: ...

    async def close(self) -> None: ...


class Peer:
    """A transport with a reader that remembers, so that tests can wait for a condition."""

    def __init__(self, transport: Client, audience: Remembered) -> None:
        self.transport = transport
        self.audience = audience
        self.items: list[Received | Reconnected] = []
        self._news = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        await self.transport.connect()
        self._reader = asyncio.create_task(self._read(self.transport.receive()))
        await self.until(lambda peer: bool(peer.sessions))
        return self

    async def _read(self, items: AsyncIterator[Received | Reconnected]) -> None:
        async for item in items:
            async with self._news:
                self.items.append(item)
                self._news.notify_all()

    async def stop(self) -> None:
        await self.transport.close()
        if self._reader is not None:
            await asyncio.wait_for(self._reader, PATIENCE_S)

    @property
    def messages(self) -> list[Message]:
        return [item.message for item in self.items if isinstance(item, Received)]

    @property
    def sessions(self) -> int:
        return sum(isinstance(item, Reconnected) for item in self.items)

    async def until(self, condition: Callable[[Peer], bool]) -> None:
        """Wait until what was received fulfils ``condition``."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: condition(self))

    async def until_received(self, *messages: Message) -> None:
        """Wait until each of ``messages`` has come at least once."""
        await self.until(lambda peer: all(message in peer.messages for message in messages))


class Network(Protocol):
    """A broker and a way to make its clients: one for each kind of transport."""

    async def peer(self, role: Role, *, client_id: str | None = None) -> Peer: ...

    async def raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish bytes past the codec."""

    async def kill_broker(self) -> None: ...

    async def start_broker(self) -> None: ...


def name_of(role: Role) -> str:
    """A client id for a role."""
    device: DeviceId | None = getattr(role, "id", None)
    return "orchestrator" if device is None else f"device-{device}"
