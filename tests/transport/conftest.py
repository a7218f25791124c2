"""
The transports as the contract tests see them: a broker, and clients of it.

A contract test runs once on each kind of :data:`LOOPS`: the loop that it runs on says which broker
its ``network`` or ``broker`` is, since the simulated one lives in virtual time alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import aiomqtt
import pytest

from drone_sim.scenario.model import Link
from drone_sim.shells.broker import SimBroker
from drone_sim.shells.clocks import MachineClock
from drone_sim.shells.loop import SimLoop
from drone_sim.shells.network import Network as SimulatedNetwork
from drone_sim.shells.transport import SimTransport
from orchestrator.transport.codec import Outgoing
from orchestrator.transport.examples import FLEET
from orchestrator.transport.memory import MemoryBroker, MemoryTransport
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import Role
from tests.conftest import Mosquitto
from tests.transport.brokers import Broker, MosquittoBroker, SimulatedBroker
from tests.transport.peers import Client, Network, Peer, Remembered, SystemClock, name_of

StartMosquitto = Callable[..., Mosquitto]


class MemoryLoop(asyncio.SelectorEventLoop):
    """Runs a test of the broker in memory."""


class MqttLoop(asyncio.SelectorEventLoop):
    """Runs a test of a real Mosquitto."""


LOOPS: Mapping[str, Mapping[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "network": {"memory": MemoryLoop, "mqtt": MqttLoop, "simulated": SimLoop},
    "broker": {"mqtt": MqttLoop, "simulated": SimLoop},
}
"""For each fixture the kinds of what it may be, and the loop that each runs on."""


def pytest_asyncio_loop_factories(
    config: pytest.Config,
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run a contract test once for each kind of what it asks for."""
    asked: tuple[str, ...] = tuple(getattr(item, "fixturenames", ()))
    for name, loops in LOOPS.items():
        if name in asked:
            return loops
    return {"real": asyncio.new_event_loop}


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


class SimNetwork:
    """Faultless links without jitter: in order, as TCP is."""

    def __init__(self) -> None:
        self.broker = SimBroker(SimulatedNetwork())
        self.peers: list[Peer] = []

    async def peer(self, role: Role, *, client_id: str | None = None) -> Peer:
        audience, name = Remembered(), client_id or name_of(role)
        self.broker.network.join(name, Link(jitter_s=0.0))
        transport = SimTransport(
            self.broker,
            fleet=FLEET,
            role=role,
            client_id=name,
            clock=MachineClock(),
            audience=audience,
            link=name,
        )
        return await started(self.peers, transport, audience)

    async def raw(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.broker.publish(topic, payload, retain=retain)

    async def kill_broker(self) -> None:
        self.broker.kill()

    async def start_broker(self) -> None:
        self.broker.start()


async def started(peers: list[Peer], transport: Client, audience: Remembered) -> Peer:
    """Connect a peer and remember to stop it."""
    peer = await Peer(transport, audience).start()
    peers.append(peer)
    return peer


@pytest.fixture
async def network(request: pytest.FixtureRequest) -> AsyncIterator[Network]:
    """A broker without clients; each contract test runs once for each transport."""
    made: MemoryNetwork | MqttNetwork | SimNetwork
    match asyncio.get_running_loop():
        case SimLoop():
            made = SimNetwork()
        case MqttLoop():
            start: StartMosquitto = request.getfixturevalue("mosquitto")
            made = MqttNetwork(start())
        case _:
            made = MemoryNetwork()
    yield made
    for peer in made.peers:
        await peer.stop()


@pytest.fixture
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A real Mosquitto and the simulated broker, one after the other, with bare clients."""
    made: MosquittoBroker | SimulatedBroker
    if isinstance(asyncio.get_running_loop(), SimLoop):
        made = SimulatedBroker()
    else:
        made = MosquittoBroker(request.getfixturevalue("mosquitto"))
    yield made
    await made.close()
