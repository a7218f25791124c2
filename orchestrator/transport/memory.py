"""
A broker and its clients inside one process: the transport of tests and of simulations.

Deterministic: a publish is delivered before it returns, in the order in which the clients
connected. It speaks through the same codec and topics as the MQTT adapter and passes the same
contract tests; retained messages, last wills, loss and repetition are there, time is not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from orchestrator.ports import Audience, Clock, Received, Reconnected, TransportUnavailable
from orchestrator.protocol.messages import Message, Presence
from orchestrator.protocol.types import DeviceId, Digest, FleetId, TxnId
from orchestrator.transport.codec import Outgoing, encode
from orchestrator.transport.reception import Reception
from orchestrator.transport.topics import (
    QOS,
    Device,
    Role,
    blob_topic,
    decision_topic,
    filters,
    matches,
)

Fault = Callable[[str, str], int]
"""Given topic and receiving client id: how many copies arrive. 0 loses, 2 repeats."""


def faultless(_topic: str, _client_id: str) -> int:
    """Deliver everything once."""
    return 1


@dataclass(slots=True, kw_only=True)
class _Session:
    deliver: Callable[[str, bytes], None]
    lost: Callable[[], None]
    will: Outgoing | None
    filters: set[str] = field(default_factory=set)


class MemoryBroker:
    """
    Holds the retained messages and the sessions.

    ``fault`` may be replaced at any time. :meth:`stop` is a kill -9: every session ends and
    what was retained is gone; :meth:`start` lets the transports connect again, by themselves.
    """

    def __init__(self, *, fault: Fault = faultless) -> None:
        self.fault = fault
        self.running = True
        self.retained: dict[str, bytes] = {}
        self._sessions: dict[str, _Session] = {}
        self._waiting: list[Callable[[], None]] = []

    def stop(self, *, keep_retained: bool = False) -> None:
        """End every session without a word."""
        self.running = False
        if not keep_retained:
            self.retained.clear()
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            session.lost()

    def start(self) -> None:
        """Run again: those who lost their session get a new one, in the order of the loss."""
        self.running = True
        waiting, self._waiting = self._waiting, []
        for reconnect in waiting:
            reconnect()

    def when_running(self, reconnect: Callable[[], None]) -> None:
        """Call ``reconnect`` at the next start."""
        self._waiting.append(reconnect)

    def attach(self, client_id: str, session: _Session) -> None:
        """Begin a session; one of the same client id is taken over, as MQTT has it."""
        taken_over = self._sessions.pop(client_id, None)
        if taken_over is not None:
            self._will(taken_over)
            taken_over.lost()
        self._sessions[client_id] = session

    def detach(self, client_id: str, session: _Session, *, cleanly: bool) -> None:
        """End a session; its last will is published unless it ends ``cleanly``."""
        if self._sessions.get(client_id) is not session:
            return
        del self._sessions[client_id]
        if not cleanly:
            self._will(session)

    def _will(self, session: _Session) -> None:
        if session.will is not None:
            self.publish(session.will)

    def subscribe(self, client_id: str, session: _Session, pattern: str) -> None:
        """Add a filter and deliver what is retained under it, each time it is called."""
        session.filters.add(pattern)
        for topic, payload in list(self.retained.items()):
            if matches(pattern, topic):
                self._deliver(client_id, session, topic, payload)

    def publish(self, outgoing: Outgoing) -> None:
        """Retain and deliver one message."""
        if outgoing.retain and outgoing.payload:
            self.retained[outgoing.topic] = outgoing.payload
        elif outgoing.retain:
            self.retained.pop(outgoing.topic, None)
        for client_id, session in list(self._sessions.items()):
            if any(matches(pattern, outgoing.topic) for pattern in session.filters):
                self._deliver(client_id, session, outgoing.topic, outgoing.payload)

    def _deliver(self, client_id: str, session: _Session, topic: str, payload: bytes) -> None:
        for _ in range(self.fault(topic, client_id)):
            session.deliver(topic, payload)


class MemoryTransport:
    """
    A client of a :class:`MemoryBroker`; see :class:`orchestrator.ports.Transport`.

    Use as an async context manager, or call :meth:`connect` and :meth:`close`. :meth:`kill` ends
    it as a power loss would: the broker publishes the last will.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        *,
        fleet: FleetId,
        role: Role,
        client_id: str,
        clock: Clock,
        audience: Audience,
    ) -> None:
        self._broker = broker
        self._fleet = fleet
        self._role = role
        self._client_id = client_id
        self._reception = Reception(fleet=fleet, role=role, clock=clock, audience=audience)
        self._session: _Session | None = None
        self._blobs: dict[str, None] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        """Connect."""
        await self.connect()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close."""
        await self.close()

    async def connect(self, timeout_s: float = 0.0) -> None:  # noqa: ARG002 - as mqtt
        """Begin the first session. Raises TransportUnavailable while the broker is stopped."""
        if not self._broker.running:
            msg = "the broker is stopped"
            raise TransportUnavailable(msg)
        self._connect()

    def _connect(self) -> None:
        if self._closed:
            return
        session = _Session(
            deliver=self._reception.arrived, lost=self._lost, will=self._presence(online=False)
        )
        self._session = session
        self._broker.attach(self._client_id, session)
        self._reception.reconnected()
        for pattern in (*filters(self._fleet, self._role), *self._blobs):
            self._broker.subscribe(self._client_id, session, pattern)
        online = self._presence(online=True)
        if online is not None:
            self._broker.publish(online)

    def _presence(self, *, online: bool) -> Outgoing | None:
        if not isinstance(self._role, Device):
            return None
        return encode(self._fleet, Presence(device=self._role.id, online=online))

    def _lost(self) -> None:
        self._session = None
        self._broker.when_running(self._connect)

    async def close(self) -> None:
        """Say goodbye, and end the reader's iteration. Idempotent."""
        offline = self._presence(online=False)
        if self._session is not None and offline is not None:
            self._broker.publish(offline)
        self._end(cleanly=True)

    def kill(self) -> None:
        """End without a word."""
        self._end(cleanly=False)

    def _end(self, *, cleanly: bool) -> None:
        if self._closed:
            return
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            self._broker.detach(self._client_id, session, cleanly=cleanly)
        self._reception.close()

    async def send(self, message: Message, to: DeviceId | None = None) -> None:
        """Publish one message. Raises TransportUnavailable without a session."""
        self._publish(encode(self._fleet, message, to))

    def _publish(self, outgoing: Outgoing) -> None:
        if self._session is None:
            msg = "not connected to the broker"
            raise TransportUnavailable(msg)
        self._broker.publish(outgoing)

    async def clear(self, txn: TxnId, digests: Sequence[Digest], *, decision: bool) -> None:
        """Remove the retained blobs of ``txn``, and its DECISION where asked to."""
        topics = [blob_topic(self._fleet, txn, digest) for digest in digests]
        if decision:
            topics.append(decision_topic(self._fleet, txn))
        for topic in topics:
            self._publish(Outgoing(topic=topic, payload=b"", qos=QOS, retain=True))

    async def watch_blob(self, txn: TxnId, digest: Digest) -> None:
        """Subscribe to one blob; again, to be sent once more what is retained."""
        topic = blob_topic(self._fleet, txn, digest)
        self._blobs[topic] = None
        if self._session is not None:
            self._broker.subscribe(self._client_id, self._session, topic)

    async def unwatch_blob(self, txn: TxnId, digest: Digest) -> None:
        """Cease to receive it."""
        topic = blob_topic(self._fleet, txn, digest)
        self._blobs.pop(topic, None)
        if self._session is not None:
            self._session.filters.discard(topic)

    def receive(self) -> AsyncIterator[Received | Reconnected]:
        """Yield what arrives, until :meth:`close`."""
        return self._reception.receive()
