"""The broker for those who have none: both kinds, as far as the protocol needs them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from orchestrator.ports import TransportUnavailable
from orchestrator.protocol.messages import Ask, Blob
from orchestrator.protocol.types import DeviceId, Digest
from orchestrator.transport import embedded
from orchestrator.transport.embedded import EmbeddedBroker, Kind
from orchestrator.transport.examples import EXAMPLES, FLEET, TXN
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import Device, Orchestrator, Role
from tests.conftest import Need, free_port
from tests.source import ROOT
from tests.transport.peers import PATIENCE_S, Peer, Remembered, SystemClock, eventually, name_of

DATA = b"configuration"
BLOB = Blob(txn=TXN, digest=Digest(f"sha256:{sha256(DATA).hexdigest()}"), data=DATA)
AT_ONCE = 25

OWNER = """
import asyncio
from orchestrator.transport.embedded import EmbeddedBroker

async def main():
    async with EmbeddedBroker(prefer="mosquitto") as broker:
        print(broker.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(params=["mosquitto", "amqtt"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of broker in turn."""
    if request.param == "mosquitto":
        find: Need = request.getfixturevalue("need")
        find("mosquitto")
        return "mosquitto"
    return "amqtt"


def client(broker: EmbeddedBroker, role: Role) -> Peer:
    """A client of the broker, not connected yet."""
    audience = Remembered()
    return Peer(
        MqttTransport(
            broker.url,
            fleet=FLEET,
            role=role,
            client_id=name_of(role),
            clock=SystemClock(),
            audience=audience,
        ),
        audience,
    )


async def start_all(peers: Sequence[Peer]) -> None:
    """Connect them, no more at once than a real fleet's back-off would let through."""
    for first in range(0, len(peers), AT_ONCE):
        await asyncio.gather(*(peer.start() for peer in peers[first : first + AT_ONCE]))


@pytest.mark.parametrize("devices", [12, 100])
async def test_a_round_with_a_fleet(kind: Kind, devices: int) -> None:
    """
    Retained DECISION by wildcard, retained blob by exact topic, broadcast and answers: each
    device gets each of them, and each answer arrives.
    """
    names = [DeviceId(f"d-{number:03}") for number in range(devices)]
    async with EmbeddedBroker(prefer=kind) as broker:
        orchestrator = await client(broker, Orchestrator()).start()
        await orchestrator.transport.send(EXAMPLES["decision"])
        await orchestrator.transport.send(BLOB)
        fleet = {name: client(broker, Device(id=name)) for name in names}
        await start_all(list(fleet.values()))
        await orchestrator.transport.send(EXAMPLES["prepare"])
        for name, device in fleet.items():
            await device.transport.watch_blob(TXN, BLOB.digest)
            await device.until_received(EXAMPLES["prepare"], EXAMPLES["decision"], BLOB)
            await device.transport.send(Ask(device=name, txn=TXN, seq=1))
        await orchestrator.until_received(*(Ask(device=name, txn=TXN, seq=1) for name in names))
        for peer in (*fleet.values(), orchestrator):
            assert [] == peer.audience.notices
            await peer.stop()


async def test_it_ends_quietly_with_clients_connected(
    kind: Kind, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Leaving the context while clients are there prints nothing and raises nothing."""
    broker = EmbeddedBroker(prefer=kind)
    async with broker:
        peer = await client(broker, Orchestrator()).start()
    await peer.stop()
    assert ("", "") == tuple(capfd.readouterr())
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= 30]


async def test_it_listens_on_loopback_alone(kind: Kind) -> None:
    """Nobody else on the network reaches it."""
    async with EmbeddedBroker(prefer=kind) as broker:
        assert [LOOPBACK] == list(listeners(broker.port))


LOOPBACK = "0100007F"
"""127.0.0.1 in the kernel's tables, in a little-endian host's order."""


def listeners(port: int) -> Iterator[str]:
    """Yield the addresses that are listened on at ``port``, from the kernel's tables."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            address, _, at = line.split()[1].rpartition(":")
            if at == f"{port:04X}" and line.split()[3] == "0A":
                yield address


async def test_it_says_what_it_is(kind: Kind) -> None:
    """Kind, URL and process are told; Mosquitto is a process of its own."""
    async with EmbeddedBroker(prefer=kind) as broker:
        assert (kind, f"mqtt://127.0.0.1:{broker.port}") == (broker.kind, broker.url)
        assert (kind == "mosquitto") == (broker.pid is not None)
    assert broker.pid is None


async def test_a_port_may_be_asked_for(kind: Kind) -> None:
    """With a port given it listens there."""
    port = free_port()
    async with EmbeddedBroker(prefer=kind, port=port) as broker:
        assert port == broker.port


async def test_a_taken_port_is_told(kind: Kind) -> None:
    """A port that somebody has is an operating error, not a traceback."""
    async with EmbeddedBroker(prefer=kind) as first:
        with pytest.raises(TransportUnavailable):
            async with EmbeddedBroker(prefer=kind, port=first.port):
                pass


async def test_mosquitto_is_preferred(need: Need) -> None:
    """Where it is installed, "auto" means Mosquitto."""
    need("mosquitto")
    async with EmbeddedBroker() as broker:
        assert "mosquitto" == broker.kind


async def test_amqtt_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no Mosquitto is installed, "auto" means amqtt."""
    monkeypatch.setattr(embedded, "installed_mosquitto", lambda: None)
    async with EmbeddedBroker() as broker:
        assert "amqtt" == broker.kind


async def test_a_missing_mosquitto_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name and not installed, it says so and how to get it."""
    monkeypatch.setattr(embedded, "installed_mosquitto", lambda: None)
    with pytest.raises(TransportUnavailable, match="not installed"):
        async with EmbeddedBroker(prefer="mosquitto"):
            pass


async def test_a_killed_program_leaves_no_broker(need: Need) -> None:
    """The broker's process ends with the program that started it, even after kill -9."""
    need("mosquitto")
    need("setpriv")
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OWNER), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(await asyncio.wait_for(owner.stdout.readline(), PATIENCE_S))
    owner.kill()
    await owner.wait()
    await eventually(lambda: not runs(pid))


def runs(pid: int) -> bool:
    """Tell whether a process exists and is no zombie that nobody waits for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_a_killed_broker_does_not_trouble_the_end(need: Need) -> None:
    """When Mosquitto was killed meanwhile, leaving the context is as quiet as ever."""
    need("mosquitto")
    async with EmbeddedBroker(prefer="mosquitto") as broker:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
