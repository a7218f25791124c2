"""
The simulated broker: MQTT 3.1.1 as far as the product uses it, and how a real one fails.

There: client ids and their takeover, clean sessions, subscriptions with wildcards, retained
messages delivered at each SUBSCRIBE and cleared by an empty one, last wills, keep-alive, its own
death. Not there, since the product asks for none: persistent sessions, QoS 0 and 2 (so nothing is
delivered again), ``$SYS``, access lists. tests/transport/test_broker_contract.py holds it to what
a real Mosquitto does.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from drone_sim.scenario.chance import stream
from drone_sim.shells.network import Network, Packet, Parcel, Way
from drone_sim.shells.packets import (
    Acknowledged,
    Answer,
    Closed,
    Connack,
    Connect,
    Delivered,
    Disconnect,
    Dropped,
    Ping,
    Publish,
    Request,
    Subscribe,
    Unsubscribe,
)
from orchestrator.transport.codec import Outgoing
from orchestrator.transport.topics import QOS, matches

KEEPALIVE_FACTOR: Final = 1.5
"""So many keep-alives of silence end a session (MQTT 3.1.1 §3.1.2.10)."""

TORN: Final = 0.5
"""How often what a killed broker had just sent over a connection is lost with it."""


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """
    One TCP connection, both ends of it: neither looks at what only the other can know.

    ``take`` is the client's, called in its ``context``. ``hung_up`` is the client's end.
    """

    broker: SimBroker
    link: str
    take: Callable[[Answer], None]
    context: contextvars.Context
    hung_up: bool = False
    # What the broker knows of it:
    client_id: str = ""
    keepalive_s: float = 0.0
    will: Outgoing | None = None
    filters: dict[str, None] = field(default_factory=dict)
    heard_at_s: float = 0.0
    torn: bool = False

    def ask(self, request: Request) -> None:
        """Send something to the broker; nothing leaves an end that was hung up."""
        if self.hung_up:
            return
        arrived = partial(self.broker.arrived, self, request)
        if not isinstance(request, Publish):
            self.broker.network.send(self.link, Way.UP, Parcel(deliver=arrived))
            return
        dropped = partial(self.broker.arrived, self, Dropped(number=request.number))
        packet = _packet(self.link, Way.UP, request.outgoing)
        parcel = Parcel(deliver=arrived, lost=dropped, packet=packet)
        self.broker.network.send(self.link, Way.UP, parcel)

    def hang_up(self) -> None:
        """Close the client's end, as its kernel does when its process has died. Idempotent."""
        self.ask(Closed())
        self.hung_up = True

    def answer(self, answer: Answer) -> None:
        """Send something to the client."""
        deliver = partial(self._deliver, answer)
        packet = None
        if isinstance(answer, Delivered):
            packet = Packet(
                link=self.link, way=Way.DOWN, topic=answer.topic, payload=answer.payload
            )
        parcel = Parcel(deliver=deliver, packet=packet, context=self.context)
        self.broker.network.send(self.link, Way.DOWN, parcel)

    def _deliver(self, answer: Answer) -> None:
        lost = self.torn and not isinstance(answer, Closed)
        if not self.hung_up and not lost:
            self.take(answer)


def _packet(link: str, way: Way, outgoing: Outgoing) -> Packet:
    return Packet(
        link=link,
        way=way,
        topic=outgoing.topic,
        payload=outgoing.payload,
        retain=outgoing.retain,
    )


class SimBroker:
    """
    The broker at the other end of every link of ``network``. It runs when it is made.

    ``slow_s`` is how long each packet spends inside it; their order stays. ``drops`` is the
    rate at which it drops what it should deliver, though it acknowledged it: a full queue.
    ``keeps`` says whether what is retained survives its end, by ``kill`` or ``stop``: persistence
    that has just been saved.
    """

    def __init__(self, network: Network, *, seed: int = 0, keeps: bool = False) -> None:
        self.network = network
        self.keeps = keeps
        self.slow_s = 0.0
        self.drops = 0.0
        self.retained: dict[str, bytes] = {}
        self.running = True
        self._sessions: dict[str, Connection] = {}
        self._receivers: dict[str, tuple[Connection, ...]] = {}
        """The sessions that each topic goes to, as long as no subscription changes."""

        self._starts = 0
        self._busy_until_s = 0.0
        self._chance = stream(seed, "broker")
        self._world = contextvars.Context()
        network.repeat = self._repeat

    # --- faults -------------------------------------------------------------------------------

    def kill(self) -> None:
        """End it as kill -9 does: sessions go without a will, and what is retained with them."""
        for session in self._sessions.values():
            session.torn = self._chance.random() < TORN
        self._end()

    def stop(self) -> None:
        """End it in order, as SIGTERM does: every last will is published and, if kept, saved."""
        for session in self._sessions.values():
            if session.will is not None:
                self._retain(session.will)
        self._end()

    def _end(self) -> None:
        if not self.running:
            return
        self.running = False
        sessions, self._sessions = self._sessions, {}
        self._receivers.clear()
        self._busy_until_s = 0.0
        if not self.keeps:
            self.retained.clear()
        for session in sessions.values():
            session.answer(Closed())

    def start(self) -> None:
        """Run again. Idempotent."""
        self._starts += not self.running
        self.running = True

    def forget(self) -> None:
        """Lose all that is retained, without a restart."""
        self.retained.clear()

    def take_over(self, client_id: str) -> bool:
        """Let a stranger connect under somebody's client id and leave; false if nobody has it."""
        session = self._sessions.get(client_id)
        if session is None:
            return False
        self._drop(session)
        return True

    def client_ids(self) -> tuple[str, ...]:
        """Return who is connected, oldest session first."""
        return tuple(self._sessions)

    def heal(self) -> None:
        """Run, and do it well."""
        self.slow_s = self.drops = 0.0
        self.start()

    # --- what arrives -------------------------------------------------------------------------

    def dial(
        self, link: str, take: Callable[[Answer], None], context: contextvars.Context
    ) -> Connection:
        """Return a connection; what is asked over it before it stands is refused with Closed."""
        return Connection(broker=self, link=link, take=take, context=context)

    def arrived(self, connection: Connection, request: Request) -> None:
        """Take a packet, now or as soon as it has spent its time; none overtakes another."""
        now_s = _now_s()
        connection.heard_at_s = now_s
        self._busy_until_s = max(now_s + self.slow_s, self._busy_until_s)
        if self._busy_until_s <= now_s:
            self._handle(self._starts, connection, request)
            return
        work = (self._starts, connection, request)
        loop = asyncio.get_running_loop()
        loop.call_at(self._busy_until_s, self._handle, *work, context=self._world)

    def _handle(self, starts: int, connection: Connection, request: Request) -> None:
        if starts != self._starts:
            return  # it died before it came to this
        if self.running and isinstance(request, Connect):
            self._connect(connection, request)
        elif self.running and self._is_open(connection):
            self._serve(connection, request)
        elif not isinstance(request, Closed | Disconnect):
            connection.answer(Closed())  # as the kernel does, where nobody listens

    def _serve(self, connection: Connection, request: Request) -> None:
        match request:
            case Subscribe(number=number, patterns=patterns):
                self._subscribe(connection, number, patterns)
            case Unsubscribe(number=number, pattern=pattern):
                connection.filters.pop(pattern, None)
                self._receivers.clear()
                connection.answer(Acknowledged(number=number))
            case Publish(number=number, outgoing=outgoing):
                self._route(outgoing)
                connection.answer(Acknowledged(number=number))
            case Dropped(number=number):
                connection.answer(Acknowledged(number=number))
            case Ping():
                connection.answer(request)
            case Disconnect():
                self._forget(connection)
            case _:
                self._drop(connection)

    def _is_open(self, connection: Connection) -> bool:
        return self._sessions.get(connection.client_id) is connection

    def _connect(self, connection: Connection, request: Connect) -> None:
        before = self._sessions.get(request.client_id)
        if before is not None:
            self._drop(before)
        connection.client_id = request.client_id
        connection.keepalive_s = request.keepalive_s
        connection.will = request.will
        self._sessions[request.client_id] = connection
        connection.answer(Connack())
        self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """End a session that says nothing for too long."""
        if not self._is_open(connection):
            return
        due_s = connection.heard_at_s + KEEPALIVE_FACTOR * connection.keepalive_s
        if due_s <= _now_s():
            self._drop(connection)
        else:
            loop = asyncio.get_running_loop()
            loop.call_at(due_s, self._watch, connection, context=self._world)

    def _drop(self, connection: Connection) -> None:
        """End a session that said no goodbye."""
        self._forget(connection)
        connection.answer(Closed())
        if connection.will is not None:
            self._route(connection.will)

    def _forget(self, connection: Connection) -> None:
        del self._sessions[connection.client_id]
        self._receivers.clear()

    def _subscribe(self, connection: Connection, number: int, patterns: tuple[str, ...]) -> None:
        self._receivers.clear()
        connection.answer(Acknowledged(number=number))
        for pattern in patterns:
            connection.filters[pattern] = None
            for topic, payload in self.retained.items():
                if matches(pattern, topic):
                    self._deliver(connection, topic, payload)

    # --- what leaves --------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish past every link and codec: for strangers. Nobody hears a dead broker."""
        if self.running:
            self._route(Outgoing(topic=topic, payload=payload, qos=QOS, retain=retain))

    def _route(self, outgoing: Outgoing) -> None:
        self._retain(outgoing)
        for session in self._receivers_of(outgoing.topic):
            self._deliver(session, outgoing.topic, outgoing.payload)

    def _retain(self, outgoing: Outgoing) -> None:
        if outgoing.retain and outgoing.payload:
            self.retained[outgoing.topic] = outgoing.payload
        elif outgoing.retain:
            self.retained.pop(outgoing.topic, None)

    def _receivers_of(self, topic: str) -> tuple[Connection, ...]:
        found = self._receivers.get(topic)
        if found is None:
            found = self._receivers[topic] = tuple(
                session
                for session in self._sessions.values()
                if any(matches(pattern, topic) for pattern in session.filters)
            )
        return found

    def _deliver(self, session: Connection, topic: str, payload: bytes) -> None:
        if self.drops and self._chance.random() < self.drops:
            return
        session.answer(Delivered(topic=topic, payload=payload))

    def _repeat(self, packet: Packet) -> None:
        """Let a packet of the past travel once more, to whoever is at its end now."""
        if packet.way is Way.UP:
            again = partial(self.publish, packet.topic, packet.payload, retain=packet.retain)
            self.network.send(packet.link, Way.UP, Parcel(deliver=again, packet=packet))
            return
        for session in self._sessions.values():
            if session.link == packet.link:
                session.answer(Delivered(topic=packet.topic, payload=packet.payload))


def _now_s() -> float:
    return asyncio.get_running_loop().time()
