"""The two transports as the contract tests see them: a broker, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aiomqtt
import pytest

from orchestrator.transport.codec import Outgoing
from orchestrator.transport.examples import FLEET
from orchestrator.transport.memory import MemoryBroker, MemoryTransport
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import Role
from tests.conftest import Mosquitto
from tests.transport.peers import Client, Network, Peer, Remembered, SystemClock, name_of

StartMosquitto = Callable[..., Mosquitto]


class MemoryNetwork:
    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.peers: list[Peer] = []

    async def peer(self, role: Role, *, client_id: str | None = None) -> Peer:
        audience = Remembered()
        transport = MemoryTransport(
            self.broker,
            fleet=FLEET,
            role=role,
            client_id=client_id or name_of(role),
            clock=SystemClock(),
            audience=audience,
        )
        return await started(self.peers, transport, audience)

    async def raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.broker.publish(Outgoing(topic=topic, payload=payload, qos=1, retain=retain))

    async def kill_broker(self) -> None:
        self.broker.stop()

    async def start_broker(self) -> None:
        self.broker.start()


class MqttNetwork:
    def __init__(self, broker: Mosquitto) -> None:
        self.broker = broker
        self.peers: list[Peer] = []

    async def peer(self, role: Role, *, client_id: str | None = None) -> Peer:
        audience = Remembered()
        transport = MqttTransport(
            self.broker.url,
            fleet=FLEET,
            role=role,
            client_id=client_id or name_of(role),
            clock=SystemClock(),
            audience=audience,
        )
        return await started(self.peers, transport, audience)

    async def raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        async with aiomqtt.Client("127.0.0.1", self.broker.port) as client:
            await client.publish(topic, payload, qos=1, retain=retain)

    async def kill_broker(self) -> None:
        self.broker.kill()

    async def start_broker(self) -> None:
        self.broker.start()


async def started(peers: list[Peer], transport: Client, audience: Remembered) -> Peer:
    """Connect a peer and remember to stop it."""
    peer = await Peer(transport, audience).start()
    peers.append(peer)
    return peer


@pytest.fixture(params=["memory", "mqtt"])
async def network(request: pytest.FixtureRequest) -> AsyncIterator[Network]:
    """A broker without clients; each contract test runs once for each transport."""
    made: MemoryNetwork | MqttNetwork
    if request.param == "memory":
        made = MemoryNetwork()
    else:
        start: StartMosquitto = request.getfixturevalue("mosquitto")
        made = MqttNetwork(start())
    yield made
    for peer in made.peers:
        await peer.stop()
