"""
Bare MQTT clients of a real Mosquitto and of the simulated broker, behind one face.

They say what a test tells them to and nothing else: no ping, no reconnection.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Protocol

from drone_sim.scenario.model import Link
from drone_sim.shells.broker import Connection, SimBroker
from drone_sim.shells.network import Network
from drone_sim.shells.packets import (
    Acknowledged,
    Answer,
    Closed,
    Connack,
    Connect,
    Delivered,
    Disconnect,
    Ping,
    Publish,
    Subscribe,
    Unsubscribe,
)
from orchestrator.transport.codec import Outgoing
from tests.conftest import Mosquitto
from tests.transport.peers import PATIENCE_S

Heard = tuple[str, bytes]
LONG_S = 60
"""A keep-alive that no test waits for."""


class Bare(ABC):
    """One connection of a client. ``heard`` is what it was sent, oldest first."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.is_lost = False
        self._news = asyncio.Condition()
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[None]] = {}

    async def until(self, condition: Callable[[Bare], bool]) -> None:
        """Wait until what this client knows fulfils ``condition``."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: condition(self))

    async def until_heard(self, *wanted: Heard) -> None:
        """Wait until each of ``wanted`` has come."""
        await self.until(lambda client: all(one in client.heard for one in wanted))

    async def until_lost(self) -> None:
        """Wait until the broker has ended the connection."""
        await self.until(lambda client: client.is_lost)

    async def subscribe(self, *patterns: str) -> None:
        """Subscribe and wait for the SUBACK."""
        await self._answered(lambda number: self._subscribe(number, patterns))

    async def unsubscribe(self, pattern: str) -> None:
        """Unsubscribe and wait for the UNSUBACK."""
        await self._answered(lambda number: self._unsubscribe(number, pattern))

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1 and wait for the PUBACK."""
        outgoing = Outgoing(topic=topic, payload=payload, qos=1, retain=retain)
        await self._answered(lambda number: self._publish(number, outgoing))

    async def _answered(self, ask: Callable[[int], None]) -> None:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        ask(number)
        async with asyncio.timeout(PATIENCE_S):
            await answer

    def _acknowledged(self, number: int) -> None:
        self._answers.pop(number).set_result(None)

    async def _changed(self) -> None:
        async with self._news:
            self._news.notify_all()

    # What each kind does in its own way:

    @abstractmethod
    def _subscribe(self, number: int, patterns: tuple[str, ...]) -> None:
        """Send SUBSCRIBE."""

    @abstractmethod
    def _unsubscribe(self, number: int, pattern: str) -> None:
        """Send UNSUBSCRIBE."""

    @abstractmethod
    def _publish(self, number: int, outgoing: Outgoing) -> None:
        """Send PUBLISH."""

    @abstractmethod
    async def goodbye(self) -> None:
        """Say DISCONNECT and close."""

    @abstractmethod
    async def vanish(self) -> None:
        """Close without a word, as the kernel does for a process that was killed."""


class Broker(Protocol):
    """A broker and its bare clients."""

    async def client(
        self, client_id: str, *, will: Outgoing | None = None, keepalive_s: int = LONG_S
    ) -> Bare:
        """Connect with a clean session; raise OSError where nobody listens."""

    async def kill(self) -> None:
        """End it with kill -9."""

    async def stop(self) -> None:
        """End it in order."""

    async def start(self) -> None:
        """Start it again."""

    async def keep(self) -> None:
        """Have it keep what is retained over a restart; before the first client."""


# --- the simulated one ------------------------------------------------------------------------


class SimulatedClient(Bare):
    def __init__(self, broker: SimBroker, link: str) -> None:
        super().__init__()
        context = contextvars.copy_context()
        self._connection: Connection = broker.dial(link, self._take, context)
        self._accepted = asyncio.get_running_loop().create_future()
        self._told: set[asyncio.Task[None]] = set()

    async def connect(self, hello: Connect) -> None:
        self._connection.ask(hello)
        async with asyncio.timeout(PATIENCE_S):
            await self._accepted

    def _take(self, answer: Answer) -> None:
        match answer:
            case Connack():
                self._accepted.set_result(None)
            case Delivered(topic=topic, payload=payload):
                self.heard.append((topic, payload))
            case Acknowledged(number=number):
                self._acknowledged(number)
            case Closed():
                self.is_lost = True
                if not self._accepted.done():
                    self._accepted.set_exception(ConnectionRefusedError())
            case Ping():
                raise AssertionError("nobody has asked for it")
        task = asyncio.ensure_future(self._changed())
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    def _subscribe(self, number: int, patterns: tuple[str, ...]) -> None:
        self._connection.ask(Subscribe(number=number, patterns=patterns))

    def _unsubscribe(self, number: int, pattern: str) -> None:
        self._connection.ask(Unsubscribe(number=number, pattern=pattern))

    def _publish(self, number: int, outgoing: Outgoing) -> None:
        self._connection.ask(Publish(number=number, outgoing=outgoing))

    async def goodbye(self) -> None:
        self._connection.ask(Disconnect())
        self._connection.hang_up()

    async def vanish(self) -> None:
        self._connection.hang_up()


class SimulatedBroker:
    def __init__(self, sim: SimBroker | None = None) -> None:
        self.sim = SimBroker(Network()) if sim is None else sim

    async def client(
        self, client_id: str, *, will: Outgoing | None = None, keepalive_s: int = LONG_S
    ) -> Bare:
        self.sim.network.join(client_id, Link(jitter_s=0.0))
        client = SimulatedClient(self.sim, client_id)
        await client.connect(Connect(client_id=client_id, keepalive_s=keepalive_s, will=will))
        return client

    async def kill(self) -> None:
        self.sim.kill()

    async def stop(self) -> None:
        self.sim.stop()

    async def start(self) -> None:
        self.sim.start()

    async def keep(self) -> None:
        self.sim.keeps = True

    async def close(self) -> None:
        """Nothing is left behind."""


# --- the real one -----------------------------------------------------------------------------

_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _UNSUBACK = 0x20, 0x30, 0x40, 0x90, 0xB0


class MosquittoClient(Bare):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._reading: asyncio.Task[None] | None = None

    async def connect(self, hello: Connect) -> None:
        flags, last = 0x02, b""
        if hello.will is not None:
            flags |= 0x04 | hello.will.qos << 3 | int(hello.will.retain) << 5
            last = _text(hello.will.topic) + struct.pack("!H", len(hello.will.payload))
            last += hello.will.payload
        head = _text("MQTT") + bytes((4, flags)) + struct.pack("!H", int(hello.keepalive_s))
        self._send(0x10, head + _text(hello.client_id.encode().decode()) + last)
        async with asyncio.timeout(PATIENCE_S):
            assert (_CONNACK, b"\x00\x00") == await self._read()
        self._reading = asyncio.create_task(self._read_all())

    async def _read_all(self) -> None:
        try:
            while True:
                self._take(*await self._read())
                await self._changed()
        except (OSError, EOFError):
            self.is_lost = True
            await self._changed()

    def _take(self, kind: int, body: bytes) -> None:
        if kind & 0xF0 in {_PUBACK, _SUBACK, _UNSUBACK}:
            self._acknowledged(struct.unpack("!H", body[:2])[0])
        elif kind & 0xF0 == _PUBLISH:
            size = struct.unpack("!H", body[:2])[0]
            topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
            if kind & 0x06:
                self._send(_PUBACK, rest[:2])
                rest = rest[2:]
            self.heard.append((topic, rest))

    def _subscribe(self, number: int, patterns: tuple[str, ...]) -> None:
        wanted = b"".join(_text(pattern) + b"\x01" for pattern in patterns)
        self._send(0x82, struct.pack("!H", number) + wanted)

    def _unsubscribe(self, number: int, pattern: str) -> None:
        self._send(0xA2, struct.pack("!H", number) + _text(pattern))

    def _publish(self, number: int, outgoing: Outgoing) -> None:
        head = _text(outgoing.topic) + struct.pack("!H", number)
        self._send(0x32 | int(outgoing.retain), head + outgoing.payload)

    async def goodbye(self) -> None:
        self._send(0xE0, b"")
        await self.vanish()

    async def vanish(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    def _send(self, kind: int, body: bytes) -> None:
        self._writer.write(bytes((kind, *_length(len(body)))) + body)

    async def _read(self) -> tuple[int, bytes]:
        kind = (await self._reader.readexactly(1))[0]
        size = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return kind, await self._reader.readexactly(size)


class MosquittoBroker:
    def __init__(self, start: Callable[..., Mosquitto]) -> None:
        self._start = start
        self._running: Mosquitto | None = None
        self._clients: list[MosquittoClient] = []

    @property
    def _broker(self) -> Mosquitto:
        if self._running is None:
            self._running = self._start()
        return self._running

    async def client(
        self, client_id: str, *, will: Outgoing | None = None, keepalive_s: int = LONG_S
    ) -> Bare:
        streams = await asyncio.open_connection("127.0.0.1", self._broker.port)
        client = MosquittoClient(*streams)
        self._clients.append(client)
        await client.connect(Connect(client_id=client_id, keepalive_s=keepalive_s, will=will))
        return client

    async def kill(self) -> None:
        self._broker.kill()

    async def stop(self) -> None:
        self._broker.stop()

    async def start(self) -> None:
        self._broker.start()

    async def keep(self) -> None:
        self._running = self._start(persistent=True)

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            await client.vanish()


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _length(size: int) -> Iterator[int]:
    """Encode a remaining length (MQTT 3.1.1 §2.2.3)."""
    while True:
        size, byte = divmod(size, 128)
        yield byte | (0x80 if size else 0)
        if not size:
            return
