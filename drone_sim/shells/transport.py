"""
The product's own MQTT transport over the simulated broker.

:class:`SimTransport` *is* :class:`orchestrator.transport.mqtt.MqttTransport`: sessions, keeper,
back-off and time-outs are those of the product. Only the library under it, which makes one
connection at a time, is replaced by :class:`_Client`.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self

from drone_sim.shells.broker import Connection, SimBroker
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
from drone_sim.shells.process import Process, current_process, never
from orchestrator.ports import Audience, Clock
from orchestrator.protocol.messages import Message
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.transport.codec import Outgoing
from orchestrator.transport.mqtt import ANSWER_TIMEOUT_S, KEEPALIVE_S, MqttTransport
from orchestrator.transport.topics import QOS, Role

OnSend = Callable[[Message, DeviceId | None], None]


class _Topic:
    """The topic of a message, as aiomqtt has it."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value


class _Message:
    """A message, as aiomqtt hands it over."""

    __slots__ = ("payload", "topic")

    def __init__(self, topic: str, payload: bytes) -> None:
        self.topic = _Topic(topic)
        self.payload = payload


class _Messages:
    """What the transport's keeper reads: nothing ever comes, until the connection is lost."""

    def __init__(self, lost: asyncio.Future[None]) -> None:
        self._lost = lost

    async def __anext__(self) -> NoReturn:
        """Wait for the loss, and raise it."""
        await asyncio.wait({self._lost})
        raise ConnectionResetError


class _Client:
    """
    Stands where aiomqtt has its client: one connection, from CONNECT to its end.

    Raises what the transport maps: OSError and TimeoutError.
    """

    def __init__(
        self,
        broker: SimBroker,
        *,
        link: str,
        client_id: str,
        will: Outgoing | None,
        gate: Callable[[Any], None],
    ) -> None:
        self.timeout = ANSWER_TIMEOUT_S
        self._broker = broker
        self._link = link
        self._hello = Connect(client_id=client_id, keepalive_s=KEEPALIVE_S, will=will)
        self._gate = gate
        self._connection: Connection | None = None
        self._process: Process | None = None
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[None]] = {}
        loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[None] = loop.create_future()
        # Of the keep-alive, as paho has it:
        self._timer: asyncio.TimerHandle | None = None
        self._sent_at_s = 0.0
        self._heard_at_s = 0.0
        self._pinged = False

    # --- the connection -----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Connect. Raises ConnectionRefusedError, TimeoutError."""
        self._process = current_process()
        connection = self._broker.dial(self._link, self._take, contextvars.copy_context())
        self._connection = connection
        if self._process is not None:
            self._process.on_end.append(connection.hang_up)
        self._ask(self._hello)
        async with asyncio.timeout(self.timeout):
            await asyncio.wait({self._accepted, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        if self._lost.done():
            raise ConnectionRefusedError
        self._mind()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Say goodbye, if there is still somebody to say it to."""
        if self._connection is not None and not self._lost.done():
            self._ask(Disconnect())
            self._lose()

    def drop(self) -> None:
        """End without a word, as the kernel does for a process that died."""
        if self._connection is not None:
            self._connection.hang_up()
            self._lose()

    def _lose(self) -> None:
        """Take the connection for lost: our end is closed."""
        if self._connection is None or self._lost.done():
            return
        self._connection.hang_up()
        self._lost.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None:
            self._process.on_end.remove(self._connection.hang_up)

    @property
    def messages(self) -> _Messages:
        """What ends with the connection."""
        return _Messages(self._lost)

    # --- asking and hearing -------------------------------------------------------------------

    def _ask(self, request: Any) -> None:
        if self._connection is None or self._connection.hung_up:
            raise ConnectionResetError
        self._sent_at_s = asyncio.get_running_loop().time()
        self._connection.ask(request)

    async def _answered(self, number: int, request: Any) -> None:
        """Ask and wait; an answer that a dead connection owes is waited for in vain."""
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        try:
            self._ask(request)
            async with asyncio.timeout(self.timeout):
                await answer
        finally:
            del self._answers[number]

    def _take(self, answer: Answer) -> None:
        self._heard_at_s = asyncio.get_running_loop().time()
        match answer:
            case Delivered(topic=topic, payload=payload):
                self._gate(_Message(topic, payload))
            case Acknowledged(number=number):
                self._acknowledge(self._answers.get(number))
            case Ping():
                self._pinged = False
            case Connack():
                self._acknowledge(self._accepted)
            case Closed():
                self._lose()

    @staticmethod
    def _acknowledge(waiting: asyncio.Future[None] | None) -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _mind(self) -> None:
        """Keep the connection alive; one whose ping was not answered in time is lost."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        due_s = min(self._sent_at_s, self._heard_at_s) + KEEPALIVE_S
        if due_s <= now_s:
            if self._pinged and now_s - self._heard_at_s >= KEEPALIVE_S:
                self._lose()
                return
            self._ask(Ping())
            self._pinged = True
            self._heard_at_s = now_s
            due_s = now_s + KEEPALIVE_S
        self._timer = loop.call_at(due_s, self._mind)

    # --- what the transport asks for ----------------------------------------------------------

    async def subscribe(
        self, topic: str | Sequence[tuple[str, int]], _qos: int = QOS
    ) -> tuple[int, ...]:
        """Subscribe to one filter or several; return what was granted to each."""
        patterns = (topic,) if isinstance(topic, str) else tuple(name for name, _ in topic)
        number = next(self._numbers)
        await self._answered(number, Subscribe(number=number, patterns=patterns))
        return (QOS,) * len(patterns)

    async def unsubscribe(self, topic: str) -> None:
        """Unsubscribe."""
        number = next(self._numbers)
        await self._answered(number, Unsubscribe(number=number, pattern=topic))

    async def publish(self, topic: str, payload: bytes, *how: Any) -> None:
        """Publish and wait for the PUBACK. ``how`` is the QoS and whether to retain it."""
        qos, retain = how
        number = next(self._numbers)
        outgoing = Outgoing(topic=topic, payload=payload, qos=qos, retain=retain)
        await self._answered(number, Publish(number=number, outgoing=outgoing))


class SimTransport(MqttTransport):
    """
    See :class:`orchestrator.ports.Transport`. ``link`` names the link that it speaks over.

    Connect it in the process that it belongs to: the death of that process breaks the connection.
    ``on_send(message, to)`` is called as a message is handed over, never for a dead process.
    :meth:`kill` is for those that have no process of their own.
    """

    def __init__(
        self,
        broker: SimBroker,
        *,
        fleet: FleetId,
        role: Role,
        client_id: str,
        clock: Clock,
        audience: Audience,
        link: str,
        on_send: OnSend | None = None,
    ) -> None:
        super().__init__(
            "mqtt://broker",
            fleet=fleet,
            role=role,
            client_id=client_id,
            clock=clock,
            audience=audience,
        )
        self._sim = broker
        self._link = link
        self._on_send = on_send
        self._latest: _Client | None = None

    def _client(self, gate: Any) -> Any:
        """Return the client of the next connection."""
        self._latest = _Client(
            self._sim,
            link=self._link,
            client_id=self._client_id,
            will=self._presence(online=False),
            gate=gate.put_nowait,
        )
        return self._latest

    @property
    def connected(self) -> bool:
        """Whether it has a session, as far as it knows itself."""
        return self._session is not None

    async def send(self, message: Message, to: DeviceId | None = None) -> None:
        """Publish one message and wait for its PUBACK. Raises TransportUnavailable."""
        process = current_process()
        if process is not None and not process.alive:
            await never()
        if self._on_send is not None and self._session is not None:
            self._on_send(message, to)
        await super().send(message, to)

    def kill(self) -> None:
        """End without a word, as a power loss would."""
        if self._latest is not None:
            self._latest.drop()
        if self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None
        self._session = None
        self._reception.close()
