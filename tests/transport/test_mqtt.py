"""What only the MQTT adapter promises: reasons, bounds, and the traps of its libraries."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import OperatingError
from orchestrator.ports import TransportUnavailable
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.messages import Presence
from orchestrator.transport.broker_url import TlsFiles
from orchestrator.transport.buffered import BufferedSocket, buffer_reads
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import Device, Orchestrator, Role
from tests.conftest import Mosquitto, Need, free_port
from tests.source import ROOT
from tests.transport.certificates import Authority
from tests.transport.conftest import started
from tests.transport.peers import PATIENCE_S, Peer, Remembered, SystemClock, eventually, name_of

StartMosquitto = Callable[..., Mosquitto]
HURRY_S = 0.5

CONNACK = b"\x20\x02\x00"
ACCEPTED = CONNACK + b"\x00"
SUBACK_REFUSED = bytes([0x90, 6, 0, 1, 0x80, 0x80, 0x80, 0x80])
SUBACK_REFUSED_ONE = bytes([0x90, 3, 0, 1, 0x80])


def transport(url: str, role: Role | None = None, **options: Any) -> MqttTransport:
    """A transport of this test's fleet."""
    role = role or Orchestrator()
    settings: dict[str, Any] = {
        "client_id": name_of(role),
        "clock": SystemClock(),
        "audience": Remembered(),
        **options,
    }
    return MqttTransport(url, fleet=FLEET, role=role, **settings)


async def reason(of: MqttTransport, timeout_s: float = PATIENCE_S) -> str:
    """Return why it could not connect."""
    with pytest.raises(TransportUnavailable) as caught:
        await of.connect(timeout_s)
    await of.close()
    return str(caught.value).partition(": ")[2]


@asynccontextmanager
async def fake_broker(*answers: bytes) -> AsyncIterator[str]:
    """Yield the URL of a server that answers each packet by the next of ``answers``."""
    finished: list[asyncio.Task[Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        finished.append(task)
        for answer in answers:
            await reader.read(4096)
            writer.write(answer)
        while await reader.read(4096):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        if finished:
            await asyncio.wait(finished, timeout=PATIENCE_S)


# --- reasons ---------------------------------------------------------------------------------


async def test_nobody_listens() -> None:
    """A wrong port is told as such, at once."""
    url = f"mqtt://127.0.0.1:{free_port()}"
    assert "connection refused: no broker listens there" == await reason(transport(url))


async def test_an_unknown_host() -> None:
    """A name that no resolver knows is told as such (RFC 6761 reserves .invalid for it)."""
    assert "no such host" == await reason(transport("mqtt://broker.invalid"))


def password_file(program: str, directory: Path) -> Path:
    """Make a file of the user mira, whose password is right."""
    file = directory / "passwords"
    subprocess.run([program, "-b", "-c", file, "mira", "right"], check=True)
    file.chmod(0o644)
    return file


async def test_a_wrong_password(mosquitto: StartMosquitto, need: Need, tmp_path: Path) -> None:
    """A refused user is told as such, and neither name nor password is repeated."""
    file = password_file(need("mosquitto_passwd"), tmp_path)
    broker = mosquitto(extra=f"allow_anonymous false\npassword_file {file}\n")
    host = f"127.0.0.1:{broker.port}"
    wrong = await reason(transport(f"mqtt://mira:wrong@{host}"))
    assert "the broker refused this user: not authorized" == wrong
    async with transport(f"mqtt://mira:right@{host}") as right:
        await right.send(EXAMPLES["fence"])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (2, "the broker refused the client id"),
        (3, "the broker is not available"),
        (4, "user or password is wrong"),
        (5, "the broker refused this user: not authorized"),
    ],
)
async def test_every_refusal_has_words(code: int, expected: str) -> None:
    """Each return code of CONNACK (MQTT 3.1.1 §3.2.2.3) is told in a person's words."""
    async with fake_broker(CONNACK + bytes([code])) as url:
        assert expected == await reason(transport(url))


async def test_a_refused_subscription() -> None:
    """A SUBACK that refuses makes connecting fail: a client that hears nothing is of no use."""
    async with fake_broker(ACCEPTED, SUBACK_REFUSED_ONE) as url:
        assert "refused to subscribe" in await reason(transport(url))
    async with fake_broker(ACCEPTED, SUBACK_REFUSED) as url:
        assert "refused to subscribe" in await reason(transport(url, Device(id=DEVICE)))


async def test_a_server_that_is_no_broker() -> None:
    """Silence after CONNECT is told as such, within the answer's time-out."""
    async with fake_broker() as url:
        why = await reason(transport(url, answer_timeout_s=HURRY_S))
    assert "no MQTT answer in time: is it a broker, and does it want mqtts?" == why


async def test_connecting_ends_in_time() -> None:
    """The caller's time-out holds whatever the network does."""
    async with fake_broker() as url:
        before = time.monotonic()
        client = transport(url, answer_timeout_s=HURRY_S)
        assert "no connection within 0.2 s" == await reason(client, 0.2)
        assert time.monotonic() - before < PATIENCE_S


leaves_a_socket = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
"""paho leaves a socket whose TLS handshake failed to the garbage collector."""


@leaves_a_socket
async def test_tls_to_a_plain_port(mosquitto: StartMosquitto) -> None:
    """The hint is there when the port does not speak TLS."""
    broker = mosquitto()
    why = await reason(transport(f"mqtts://127.0.0.1:{broker.port}"))
    gc.collect()
    assert "does this port speak TLS?" in why or "mqtt to an mqtts port" in why


@leaves_a_socket
async def test_an_untrusted_certificate(
    mosquitto: StartMosquitto, need: Need, tmp_path: Path
) -> None:
    """A broker whose authority is unknown is refused; the authority's file makes it trusted."""
    files = Authority(openssl=need("openssl"), directory=tmp_path).issue("broker")
    for path in (files.ca, files.certificate, files.key):
        assert path is not None
        path.chmod(0o644)
    port = free_port()
    extra = f"listener {port} 127.0.0.1\nallow_anonymous true\ncafile {files.ca}\n"
    mosquitto(extra=f"{extra}certfile {files.certificate}\nkeyfile {files.key}\n")
    url = f"mqtts://127.0.0.1:{port}"
    assert "certificate is not trusted" in await reason(transport(url))
    gc.collect()
    async with transport(url, tls=TlsFiles(ca=files.ca)) as trusted:
        await trusted.send(EXAMPLES["fence"])


async def test_a_missing_certificate_file() -> None:
    """A file that is not there is named."""
    files = TlsFiles(ca=Path("/nonexistent/ca.crt"))
    assert "a TLS file is missing" in await reason(transport("mqtts://127.0.0.1", tls=files))


async def test_a_url_that_is_none() -> None:
    """A wrong URL is wrong use, before anything is tried."""
    with pytest.raises(OperatingError):
        transport("http://127.0.0.1")


async def test_connecting_may_be_tried_again(mosquitto: StartMosquitto) -> None:
    """After a failure the same transport can be connected."""
    broker = mosquitto()
    broker.kill()
    client = transport(broker.url)
    with pytest.raises(TransportUnavailable):
        await client.connect()
    broker.start()
    async with client:
        await client.send(EXAMPLES["fence"])


async def test_a_transport_is_connected_once(mosquitto: StartMosquitto) -> None:
    """A second connect is a bug of the caller."""
    async with transport(mosquitto().url) as client:
        with pytest.raises(InvariantViolation):
            await client.connect()


# --- bounds ----------------------------------------------------------------------------------


@pytest.fixture
async def peer(mosquitto: StartMosquitto) -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """Return a function that connects a peer to the test's broker; all are stopped at the end."""
    peers: list[Peer] = []

    async def connect(broker: Mosquitto, role: Role, **options: Any) -> Peer:
        audience = Remembered()
        return await started(
            peers, transport(broker.url, role, audience=audience, **options), audience
        )

    yield connect
    for one in peers:
        await one.stop()


async def test_a_frozen_broker_does_not_hang_the_sender(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """Send ends within answer_timeout_s; the message may arrive later, and here it does."""
    broker = mosquitto()
    orchestrator = await peer(broker, Orchestrator(), answer_timeout_s=HURRY_S)
    device = await peer(broker, Device(id=DEVICE))
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TransportUnavailable, match="no answer in time"):
            await orchestrator.transport.send(EXAMPLES["fence"])
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    await device.until_received(EXAMPLES["fence"])


async def test_closing_ends_in_time(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """A device can be closed while the broker is frozen: its goodbye is not waited for."""
    broker = mosquitto()
    device = await peer(broker, Device(id=DEVICE))
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await device.stop()
    finally:
        os.kill(broker.pid, signal.SIGCONT)


async def test_a_lost_broker_ends_every_waiting_send(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """Sends that wait for an answer end with the connection, not with their time-out."""
    broker = mosquitto()
    orchestrator = await peer(broker, Orchestrator(), answer_timeout_s=600.0)
    os.kill(broker.pid, signal.SIGSTOP)
    sends = [
        asyncio.create_task(orchestrator.transport.send(EXAMPLES["fence"])) for _ in range(200)
    ]
    await asyncio.wait(sends, timeout=0.05)
    broker.kill()
    async with asyncio.timeout(PATIENCE_S):
        ended = await asyncio.gather(*sends, return_exceptions=True)
    assert {TransportUnavailable} == {type(end) for end in ended}
    broker.start()
    await orchestrator.until(lambda now: now.sessions == 2)


async def test_people_hear_of_loss_and_return(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """The broker's loss and return are told once each, and tries in between sparingly."""
    broker = mosquitto()
    orchestrator = await peer(broker, Orchestrator())
    broker.kill()
    await eventually(lambda: "broker-unreachable" in orchestrator.audience.events())
    broker.start()
    await orchestrator.until(lambda now: now.sessions == 2)
    events = orchestrator.audience.events()
    assert ("broker-lost", "broker-found") == (events[0], events[-1])
    assert set(events) == {"broker-lost", "broker-unreachable", "broker-found"}


async def test_two_of_one_name_do_not_spin(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """Two clients of one id take the session from each other ever more slowly."""
    broker = mosquitto()
    one = await peer(broker, Orchestrator())
    two = await peer(broker, Orchestrator())
    await asyncio.sleep(2.0)  # the claim is about a rate: time has to pass
    assert one.sessions + two.sessions < 20


async def test_a_killed_device_leaves_its_last_will(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """After kill -9 of a device's process the broker says that it is offline."""
    broker = mosquitto()
    orchestrator = await peer(broker, Orchestrator())
    program = (sys.executable, "-m", "tests.transport.device_process", broker.url)
    process = await asyncio.create_subprocess_exec(*program, cwd=ROOT)
    try:
        await orchestrator.until_received(Presence(device=DEVICE, online=True))
    finally:
        process.kill()
        await process.wait()
    await orchestrator.until_received(Presence(device=DEVICE, online=False))


async def test_small_packets_are_not_delayed(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """TCP_NODELAY is set: without it each exchange waits for a delayed acknowledgement."""
    orchestrator = await peer(mosquitto(), Orchestrator())
    connection = paho_of(orchestrator)._sock
    assert 1 == connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def paho_of(peer: Peer) -> Any:
    """Look inside: the client library's client."""
    session = getattr(peer.transport, "_session", None)
    return getattr(session, "_client", None)


async def test_reads_are_buffered(
    mosquitto: StartMosquitto, peer: Callable[..., Awaitable[Peer]]
) -> None:
    """With the client library of today the faster way of reading is in use."""
    orchestrator = await peer(mosquitto(), Orchestrator())
    assert isinstance(paho_of(orchestrator)._sock, BufferedSocket)


# --- the buffered socket ---------------------------------------------------------------------


def test_a_buffered_socket_hands_out_every_byte() -> None:
    """Small reads see the bytes in order, then that there is nothing, then the end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        buffered = BufferedSocket(ours)
        theirs.sendall(b"abcdef")
        assert b"a" == buffered.recv(1)
        assert 5 == buffered.pending()
        assert b"bcdef" == buffered.recv(100)
        assert 0 == buffered.pending()
        with pytest.raises(BlockingIOError):
            buffered.recv(1)
        theirs.close()
        assert b"" == buffered.recv(1)


@pytest.mark.parametrize("client", [None, object()])
def test_an_unknown_client_is_left_alone(client: object) -> None:
    """Where the library is not as expected nothing is changed."""
    assert buffer_reads(client) is False
