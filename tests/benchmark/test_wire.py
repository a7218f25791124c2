"""The bare client of the floor, against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from drone_sim.benchmark.wire import BareClient, WireError, connect
from tests.conftest import Mosquitto

Start = Callable[..., Mosquitto]
LARGE = 300_000
"""Three bytes of length, and many pieces of the network's."""


class Ear:
    """Keeps what a client hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bytes]] = []
        self._more = asyncio.Event()

    def __call__(self, topic: bytes, payload: bytes) -> None:
        self.heard.append((topic, payload))
        self._more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()


async def subscriber(broker: Mosquitto, ear: Ear, *filters: bytes) -> BareClient:
    """A client that hears what these filters match."""
    client = await connect("127.0.0.1", broker.port, "ear", ear)
    await client.granted(filters)
    return client


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, LARGE])
async def test_payload_of_any_size_arrives_whole(mosquitto: Start, size: int) -> None:
    """A message is what was published, whatever the length of its length is."""
    broker, ear = mosquitto(), Ear()
    listening = await subscriber(broker, ear, b"t/+")
    speaking = await connect("127.0.0.1", broker.port, "mouth", lambda *_: None)
    payload = bytes(index % 251 for index in range(size))
    speaking.publish(b"t/1", payload)
    await speaking.settle()
    await ear.until(1)
    assert [(b"t/1", payload)] == ear.heard
    await asyncio.gather(listening.close(), speaking.close())


async def test_many_messages_arrive_in_order_and_are_counted(mosquitto: Start) -> None:
    """A thousand messages in one piece: none is lost, none comes twice."""
    broker, ear = mosquitto(), Ear()
    listening = await subscriber(broker, ear, b"t")
    speaking = await connect("127.0.0.1", broker.port, "mouth", lambda *_: None)
    payloads = [str(number).encode() for number in range(1000)]
    for payload in payloads:
        speaking.publish(b"t", payload)
    await speaking.settle()
    await ear.until(1000)
    assert payloads == [payload for _, payload in ear.heard]
    assert (1000, 1000) == (speaking.sent, listening.received)
    await asyncio.gather(listening.close(), speaking.close())


async def test_retained_message_is_heard_until_unsubscribed(mosquitto: Start) -> None:
    """Subscribing fetches what is retained; after UNSUBSCRIBE nothing more comes."""
    broker, ear = mosquitto(), Ear()
    speaking = await connect("127.0.0.1", broker.port, "mouth", lambda *_: None)
    speaking.publish(b"kept", b"old", retain=True)
    await speaking.settle()
    listening = await subscriber(broker, ear, b"kept", b"mark")
    await ear.until(1)
    listening.unsubscribe(b"kept")
    await listening.granted([b"other"])
    speaking.publish(b"kept", b"new", retain=True)
    speaking.publish(b"mark", b"end")
    await ear.until(2)
    assert [(b"kept", b"old"), (b"mark", b"end")] == ear.heard
    await asyncio.gather(listening.close(), speaking.close())


async def test_death_of_the_broker_ends_every_waiting(mosquitto: Start) -> None:
    """Who waits for an acknowledgement is told that there will be none."""
    broker = mosquitto()
    client = await connect("127.0.0.1", broker.port, "mouth", lambda *_: None)
    client.publish(b"t", b"")
    waiting = asyncio.ensure_future(client.settle())
    await asyncio.sleep(0)
    broker.kill()
    async with asyncio.timeout(10):
        with pytest.raises(WireError):
            await client.lost
        await asyncio.wait({waiting})


async def test_nobody_listening_is_an_error(mosquitto: Start) -> None:
    """A port without a broker is refused at once."""
    broker = mosquitto()
    broker.stop()
    with pytest.raises(OSError, match=r"refused|failed"):
        await connect("127.0.0.1", broker.port, "mouth", lambda *_: None)
