"""What every transport promises, on the in-process broker and on a real Mosquitto alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from orchestrator.ports import Received, Reconnected, TransportUnavailable
from orchestrator.protocol.errors import ProtocolMisuse
from orchestrator.protocol.messages import Ask, Blob, Decision, Message, Presence
from orchestrator.protocol.types import BLOB_BYTES_MAX, DeviceId, Digest
from orchestrator.transport.examples import DEVICE, EXAMPLES, FLEET, TXN
from orchestrator.transport.topics import ROUTES, Device, Orchestrator, Side
from tests.transport.peers import PATIENCE_S, Network, Peer

OTHER = DeviceId("d-02")
FROM_DEVICE = [route.kind for route in ROUTES if route.sender is Side.DEVICE]
TO_ONE = [route.kind for route in ROUTES if route.to_one_device]
BROADCAST = ["fence", "prepare", "decision"]


def blob_of(data: bytes) -> Blob:
    """A blob under its own digest."""
    return Blob(txn=TXN, digest=Digest(f"sha256:{sha256(data).hexdigest()}"), data=data)


def times_seen(message: Message, times: int) -> Callable[[Peer], bool]:
    """Return a condition: the message came at least so many times."""
    return lambda peer: peer.messages.count(message) >= times


async def settled(peer: Peer, other: Peer) -> None:
    """Wait until whatever was sent to ``peer`` before has come: a round trip behind it."""
    marker = EXAMPLES["fence"]
    before = peer.messages.count(marker)
    await other.transport.send(marker)
    await peer.until(lambda now: now.messages.count(marker) > before)


async def test_the_first_item_is_reconnected(network: Network) -> None:
    """A new session is announced before anything that it delivers, retained or not."""
    orchestrator = await network.peer(Orchestrator())
    await orchestrator.transport.send(EXAMPLES["decision"])
    device = await network.peer(Device(id=DEVICE))
    await device.until_received(EXAMPLES["decision"])
    assert Reconnected() == device.items[0]


@pytest.mark.parametrize("kind", FROM_DEVICE)
async def test_device_messages_reach_the_orchestrator(network: Network, kind: str) -> None:
    """What a device sends, the orchestrator receives, equal in every field."""
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await device.transport.send(EXAMPLES[kind])
    await orchestrator.until_received(EXAMPLES[kind])


@pytest.mark.parametrize("kind", BROADCAST)
async def test_broadcasts_reach_every_device(network: Network, kind: str) -> None:
    """A broadcast arrives at each device."""
    orchestrator = await network.peer(Orchestrator())
    devices = [await network.peer(Device(id=name)) for name in (DEVICE, OTHER)]
    await orchestrator.transport.send(EXAMPLES[kind])
    for device in devices:
        await device.until_received(EXAMPLES[kind])


@pytest.mark.parametrize("kind", TO_ONE)
async def test_a_message_to_one_device_reaches_it_alone(network: Network, kind: str) -> None:
    """What is sent to a device, no other device receives."""
    orchestrator = await network.peer(Orchestrator())
    device, other = [await network.peer(Device(id=name)) for name in (DEVICE, OTHER)]
    await orchestrator.transport.send(EXAMPLES[kind], to=DEVICE)
    await device.until_received(EXAMPLES[kind])
    await settled(other, orchestrator)
    assert set(other.messages) <= {EXAMPLES["fence"]} if kind != "fence" else True


async def test_received_carries_the_clock_reading(network: Network) -> None:
    """Each message is stamped by the receiver's clock."""
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await orchestrator.transport.send(EXAMPLES["fence"])
    await device.until_received(EXAMPLES["fence"])
    received = [item for item in device.items if isinstance(item, Received)]
    assert received[0].at == pytest.approx(1_800_000_000, rel=0.2)


async def test_a_decision_is_kept_for_those_who_come_later(network: Network) -> None:
    """DECISION is retained: a device that was away finds it at its first session."""
    orchestrator = await network.peer(Orchestrator())
    await orchestrator.transport.send(EXAMPLES["decision"])
    device = await network.peer(Device(id=DEVICE))
    await device.until_received(EXAMPLES["decision"])


async def test_a_decision_to_one_device_is_not_kept(network: Network) -> None:
    """The answer to one device's ASK is not retained: who comes later does not see it."""
    orchestrator = await network.peer(Orchestrator())
    await orchestrator.transport.send(EXAMPLES["decision"], to=DEVICE)
    device = await network.peer(Device(id=DEVICE))
    await settled(device, orchestrator)
    assert EXAMPLES["decision"] not in device.messages


async def test_a_cleared_decision_is_gone(network: Network) -> None:
    """After clear with decision=True nobody finds the DECISION, and nobody is told of that."""
    orchestrator = await network.peer(Orchestrator())
    watching = await network.peer(Device(id=OTHER))
    await orchestrator.transport.send(EXAMPLES["decision"])
    await watching.until_received(EXAMPLES["decision"])
    await orchestrator.transport.clear(TXN, [], decision=True)
    device = await network.peer(Device(id=DEVICE))
    await settled(device, orchestrator)
    await settled(watching, orchestrator)
    assert EXAMPLES["decision"] not in device.messages
    assert [] == watching.audience.notices


async def test_clear_keeps_the_decision_unless_asked(network: Network) -> None:
    """Clear with decision=False removes the blobs alone."""
    blob = blob_of(b"configuration")
    orchestrator = await network.peer(Orchestrator())
    await orchestrator.transport.send(EXAMPLES["decision"])
    await orchestrator.transport.send(blob)
    await orchestrator.transport.clear(TXN, [blob.digest], decision=False)
    device = await network.peer(Device(id=DEVICE))
    await device.transport.watch_blob(TXN, blob.digest)
    await device.until_received(EXAMPLES["decision"])
    await settled(device, orchestrator)
    assert blob not in device.messages


async def test_a_blob_comes_to_those_who_watch_it(network: Network) -> None:
    """A blob reaches who watches it, whether it was published before or after; nobody else."""
    early, late = blob_of(b"early"), blob_of(b"late")
    orchestrator = await network.peer(Orchestrator())
    device, other = [await network.peer(Device(id=name)) for name in (DEVICE, OTHER)]
    await orchestrator.transport.send(early)
    for blob in (early, late):
        await device.transport.watch_blob(TXN, blob.digest)
    await orchestrator.transport.send(late)
    await device.until_received(early, late)
    await settled(other, orchestrator)
    assert not {early, late} & set(other.messages)


async def test_the_largest_blob_passes(network: Network) -> None:
    """A blob of the largest size arrives whole."""
    blob = blob_of(bytes(BLOB_BYTES_MAX))
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await device.transport.watch_blob(TXN, blob.digest)
    await orchestrator.transport.send(blob)
    await device.until_received(blob)


async def test_watching_again_delivers_again(network: Network) -> None:
    """watch_blob is idempotent, and a second call fetches what is retained once more."""
    blob = blob_of(b"again")
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await orchestrator.transport.send(blob)
    for times in (1, 2):
        await device.transport.watch_blob(TXN, blob.digest)
        await device.until(times_seen(blob, times))


async def test_an_unwatched_blob_comes_no_more(network: Network) -> None:
    """After unwatch_blob the blob is not delivered any more."""
    blob = blob_of(b"over")
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await device.transport.watch_blob(TXN, blob.digest)
    await device.transport.unwatch_blob(TXN, blob.digest)
    await orchestrator.transport.send(blob)
    await settled(device, orchestrator)
    assert blob not in device.messages


async def test_presence_follows_the_device(network: Network) -> None:
    """Connecting says online, closing says offline; a later orchestrator finds the last word."""
    here, gone = (Presence(device=DEVICE, online=online) for online in (True, False))
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await orchestrator.until_received(here)
    await device.stop()
    await orchestrator.until_received(gone)
    later = await network.peer(Orchestrator(), client_id="orchestrator-2")
    await later.until_received(gone)
    assert here not in later.messages


async def test_what_is_no_message_is_told_once_and_dropped(network: Network) -> None:
    """Garbage never reaches the caller: one notice a second, with a count, per kind of topic."""
    orchestrator = await network.peer(Orchestrator())
    for _ in range(5):
        await network.raw(f"aim/v1/{FLEET}/from/{DEVICE}/vote", b"{}")
    await network.raw(f"aim/v1/{FLEET}/from/{DEVICE}/hello", b"\xff\x00")
    device = await network.peer(Device(id=DEVICE))
    await device.transport.send(EXAMPLES["ask"])
    await orchestrator.until_received(EXAMPLES["ask"])
    await orchestrator.stop()
    refused = orchestrator.audience.details("message-refused")
    counts = dict.fromkeys(("vote", "hello"), 0)
    for detail in refused:
        counts[detail["kind"]] += detail["count"]
    assert {"vote": 5, "hello": 1} == counts
    assert len(refused) <= 4


async def test_a_device_cannot_speak_for_another(network: Network) -> None:
    """A vote on one device's topic that names another device is refused."""
    orchestrator = await network.peer(Orchestrator())
    forged = b'{"v":1,"fleet":"hazard-12","kind":"ask","body":{"device":"d-02","txn":"t","seq":1}}'
    await network.raw(f"aim/v1/{FLEET}/from/{DEVICE}/ask", forged)
    device = await network.peer(Device(id=DEVICE))
    await device.transport.send(EXAMPLES["ask"])
    await orchestrator.until_received(EXAMPLES["ask"])
    assert ["the body names another device than the topic"] == [
        detail["reason"] for detail in orchestrator.audience.details("message-refused")
    ]


async def test_a_message_without_a_route_is_a_bug_of_the_caller(network: Network) -> None:
    """A broadcast WELCOME raises ProtocolMisuse and publishes nothing."""
    orchestrator = await network.peer(Orchestrator())
    with pytest.raises(ProtocolMisuse, match="welcome is never broadcast"):
        await orchestrator.transport.send(EXAMPLES["welcome"])


async def test_a_lost_broker_is_found_again(network: Network) -> None:
    """
    After the broker's kill and restart, with nothing retained, each peer has a new session:
    Reconnected is yielded, subscriptions and watched blobs stand, presence is published again.
    """
    blob = blob_of(b"watched")
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await device.transport.watch_blob(TXN, blob.digest)
    await network.kill_broker()
    await network.start_broker()
    for peer in (orchestrator, device):
        await peer.until(lambda now: now.sessions == 2)
    await orchestrator.transport.send(EXAMPLES["prepare"])
    await orchestrator.transport.send(blob)
    await device.until_received(EXAMPLES["prepare"], blob)
    await device.transport.send(EXAMPLES["vote"])
    await orchestrator.until_received(EXAMPLES["vote"])
    later = await network.peer(Orchestrator(), client_id="orchestrator-2")
    await later.until_received(Presence(device=DEVICE, online=True))


async def test_sending_without_a_broker_says_so(network: Network) -> None:
    """While the broker is away send and clear raise TransportUnavailable, in bounded time."""
    orchestrator = await network.peer(Orchestrator())
    await network.kill_broker()
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TransportUnavailable):
            await orchestrator.transport.send(EXAMPLES["fence"])
        with pytest.raises(TransportUnavailable):
            await orchestrator.transport.clear(TXN, [], decision=True)


async def test_watching_without_a_broker_is_remembered(network: Network) -> None:
    """watch_blob while the broker is away does not raise; the next session subscribes."""
    blob = blob_of(b"later")
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    await network.kill_broker()
    await device.transport.watch_blob(TXN, blob.digest)
    await network.start_broker()
    for peer in (orchestrator, device):
        await peer.until(lambda now: now.sessions == 2)
    await orchestrator.transport.send(blob)
    await device.until_received(blob)


async def test_closing_ends_the_reader(network: Network) -> None:
    """After close the iteration ends, and closing again does nothing."""
    orchestrator = await network.peer(Orchestrator())
    await orchestrator.stop()
    await orchestrator.transport.close()


async def test_messages_of_one_sender_keep_their_order(network: Network) -> None:
    """Two hundred messages arrive complete and in order: no bound is met in ordinary use."""
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    sent: list[Message] = [Ask(device=DEVICE, txn=TXN, seq=seq) for seq in range(200)]
    for message in sent:
        await device.transport.send(message)
    await orchestrator.until_received(sent[-1])
    assert sent == [m for m in orchestrator.messages if not isinstance(m, Presence)]


async def test_many_sends_at_once_all_arrive(network: Network) -> None:
    """A thousand concurrent sends are taken, none is lost, none waits for ever."""
    orchestrator = await network.peer(Orchestrator())
    device = await network.peer(Device(id=DEVICE))
    decision = EXAMPLES["decision"]
    assert isinstance(decision, Decision)
    sent = [replace(decision, seq=seq) for seq in range(1000)]
    await asyncio.gather(*(orchestrator.transport.send(m, to=DEVICE) for m in sent))
    await device.until(lambda peer: len(set(peer.messages)) >= 1000)
    assert set(sent) == set(device.messages)
