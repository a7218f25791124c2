"""The configurations that are shipped: generated, and tried on a real broker as they are."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from socket import create_connection

import aiomqtt
import pytest

from orchestrator.ports import TransportUnavailable
from orchestrator.protocol.messages import Blob, Decision, Fence
from orchestrator.protocol.types import BLOB_BYTES_MAX, DeviceId, Epoch, TxnId
from orchestrator.transport.broker_config import (
    ORCHESTRATORS,
    PACKET_BYTES_MAX,
    mosquitto_acl,
    mosquitto_conf,
)
from orchestrator.transport.broker_url import TlsFiles
from orchestrator.transport.codec import encode
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET, TXN
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import ROUTES, Device, Orchestrator, Role, Route
from tests.conftest import Need, free_port
from tests.source import ROOT
from tests.transport.certificates import Authority
from tests.transport.peers import PATIENCE_S, Peer, Remembered, SystemClock

OTHER = DeviceId("d-02")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mosquitto.conf", mosquitto_conf()), ("mosquitto.acl", mosquitto_acl())],
)
def test_the_files_in_configs_are_generated(name: str, expected: str) -> None:
    """What stands in configs/ is what the program prints."""
    assert expected == (ROOT / "configs" / name).read_text()


def test_the_largest_blob_fits_into_a_packet() -> None:
    """The broker's limit leaves room for the longest topic."""
    assert PACKET_BYTES_MAX >= BLOB_BYTES_MAX + 1024


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_has_its_rule(route: Route) -> None:
    """Each orchestrator and the devices have one rule for each route of the table."""
    assert len(ORCHESTRATORS) + 1 == sum(
        line.split("aim/v1/+/")[-1].replace("%u", "+") == filter_of(route)
        for line in mosquitto_acl().splitlines()
    )


def filter_of(route: Route) -> str:
    """Return a route's path with its parameters as wildcards."""
    return "/".join("+" if level.startswith("{") else level for level in route.levels)


def test_the_list_can_be_of_one_fleet() -> None:
    """With a fleet named, no rule reaches beyond it."""
    rules = [line for line in mosquitto_acl(fleet="f-1").splitlines() if "aim/v1" in line]
    assert all(" aim/v1/f-1/" in rule for rule in rules)


# --- on a real broker -----------------------------------------------------------------------


class SecuredBroker:
    """A Mosquitto that runs the shipped files, its directory and port put in."""

    def __init__(self, program: str, authority: Authority) -> None:
        self.port = free_port()
        self.authority = authority
        directory = authority.directory
        authority.issue("broker")
        text = mosquitto_conf(port=self.port, directory=str(directory))
        text = text.replace("/var/lib/mosquitto/", f"{directory}/")
        text += "user root\n" if os.geteuid() == 0 else ""
        (directory / "mosquitto.conf").write_text(text)
        (directory / "mosquitto.acl").write_text(mosquitto_acl())
        (directory / "mosquitto.acl").chmod(0o600)
        self.log = (directory / "log").open("wb")
        self.process = subprocess.Popen(
            [program, "-c", str(directory / "mosquitto.conf")], stdout=self.log, stderr=self.log
        )
        self._wait()

    def _wait(self) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at and self.process.poll() is None:
            try:
                create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        pytest.fail((self.authority.directory / "log").read_text())

    def close(self) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.log.close()


@pytest.fixture(scope="module")
def secured(need: Need, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """The shipped configuration as a running broker; one for all tests of this file."""
    authority = Authority(openssl=need("openssl"), directory=tmp_path_factory.mktemp("tls"))
    with closing(SecuredBroker(need("mosquitto"), authority)) as broker:
        yield broker


Join = Callable[[Role, str], Awaitable[Peer]]


@pytest.fixture
async def join(secured: SecuredBroker) -> AsyncIterator[Join]:
    """Return a function that connects a peer under the name of its certificate."""
    peers: list[Peer] = []

    async def connect(role: Role, name: str) -> Peer:
        audience = Remembered()
        transport = MqttTransport(
            f"mqtts://127.0.0.1:{secured.port}",
            fleet=FLEET,
            role=role,
            client_id=name,
            clock=SystemClock(),
            audience=audience,
            tls=secured.authority.issue(name),
        )
        peers.append(await Peer(transport, audience).start())
        return peers[-1]

    yield connect
    for peer in peers:
        await peer.stop()


def raw_client(secured: SecuredBroker, files: TlsFiles) -> aiomqtt.Client:
    """A client past our adapter, with a device's certificate."""
    return aiomqtt.Client("127.0.0.1", secured.port, tls_context=files.context())


async def test_a_whole_round_passes_the_access_list(join: Join) -> None:
    """Each kind of message gets through, over mutual TLS, with the shipped files."""
    orchestrator = await join(Orchestrator(), "coordinator")
    device = await join(Device(id=DEVICE), DEVICE)
    blob = EXAMPLES["blob"]
    assert isinstance(blob, Blob)
    await device.transport.watch_blob(TXN, blob.digest)
    down = [EXAMPLES[kind] for kind in ("fence", "prepare", "decision", "blob")]
    for message in down:
        await orchestrator.transport.send(message)
    for kind in ("welcome", "catch-up", "heuristic"):
        await orchestrator.transport.send(EXAMPLES[kind], to=DEVICE)
        down.append(EXAMPLES[kind])
    await device.until_received(*down)
    up = [EXAMPLES[kind] for kind in ("hello", "vote", "report", "ask", "want", "presence")]
    for message in up:
        await device.transport.send(message)
    await orchestrator.until_received(*up)


async def test_a_device_publishes_under_its_own_name_alone(
    secured: SecuredBroker, join: Join
) -> None:
    """With another device's certificate, its votes and every broadcast go nowhere."""
    orchestrator = await join(Orchestrator(), "coordinator")
    device = await join(Device(id=DEVICE), DEVICE)
    decision = EXAMPLES["decision"]
    assert isinstance(decision, Decision)
    forged = [EXAMPLES["vote"], Fence(epoch=Epoch(9, 9)), replace(decision, txn=TxnId("forged"))]
    async with raw_client(secured, secured.authority.issue(OTHER)) as client:
        for message in forged:
            outgoing = encode(FLEET, message)
            await client.publish(outgoing.topic, outgoing.payload, qos=1)
    await device.transport.send(EXAMPLES["ask"])
    await orchestrator.until_received(EXAMPLES["ask"])
    await orchestrator.transport.send(EXAMPLES["welcome"], to=DEVICE)
    await device.until_received(EXAMPLES["welcome"])
    assert not {*forged} & {*orchestrator.messages, *device.messages}


async def test_a_device_reads_nothing_of_another(secured: SecuredBroker, join: Join) -> None:
    """Subscribed to everything, a device is sent the broadcasts and its own messages alone."""
    orchestrator = await join(Orchestrator(), "coordinator")
    async with raw_client(secured, secured.authority.issue(OTHER)) as client:
        await client.subscribe("#", qos=1)
        await orchestrator.transport.send(EXAMPLES["welcome"], to=DEVICE)
        await orchestrator.transport.send(EXAMPLES["fence"])
        seen = []
        async with asyncio.timeout(PATIENCE_S):
            async for message in client.messages:
                seen.append(message.topic.value)
                if seen[-1].endswith("/fence"):
                    break
    assert f"aim/v1/{FLEET}/to/{DEVICE}/welcome" not in seen


async def test_no_device_lets_another_one_operate(secured: SecuredBroker, join: Join) -> None:
    """A person's word comes from an orchestrator alone: published by a device it goes nowhere."""
    orchestrator = await join(Orchestrator(), "coordinator")
    device = await join(Device(id=DEVICE), DEVICE)
    async with raw_client(secured, secured.authority.issue(OTHER)) as client:
        outgoing = encode(FLEET, EXAMPLES["heuristic"], DEVICE)
        await client.publish(outgoing.topic, outgoing.payload, qos=1)
    await orchestrator.transport.send(EXAMPLES["welcome"], to=DEVICE)
    await device.until_received(EXAMPLES["welcome"])
    assert EXAMPLES["heuristic"] not in device.messages


async def test_a_device_cannot_take_over_another_ones_session(
    secured: SecuredBroker, join: Join
) -> None:
    """A client id is the certificate's name: another one that is asked for is not given."""
    device = await join(Device(id=DEVICE), DEVICE)
    files = secured.authority.issue(OTHER)
    async with aiomqtt.Client(
        "127.0.0.1", secured.port, identifier=DEVICE, tls_context=files.context()
    ):
        await device.transport.send(EXAMPLES["ask"])
    assert 1 == device.sessions


async def test_without_a_certificate_nobody_gets_in(secured: SecuredBroker) -> None:
    """The reason that is given hints at the certificate."""
    transport = MqttTransport(
        f"mqtts://127.0.0.1:{secured.port}",
        fleet=FLEET,
        role=Orchestrator(),
        client_id="nobody",
        clock=SystemClock(),
        audience=Remembered(),
        tls=TlsFiles(ca=secured.authority.directory / "ca.crt"),
        answer_timeout_s=1.0,
    )
    with pytest.raises(TransportUnavailable, match="certificate"):
        await transport.connect()


def test_the_directory_is_put_in() -> None:
    """Every path of the configuration lies below the directory that was asked for."""
    text = mosquitto_conf(directory="/x")
    paths = [Path(word) for word in text.split() if word.startswith("/") and "var" not in word]
    assert {Path("/x")} == {path.parent for path in paths}
