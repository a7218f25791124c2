"""
The least that can be called an MQTT 3.1.1 client: for the floor of the benchmark, nowhere else.

CONNECT, SUBSCRIBE, UNSUBSCRIBE and PUBLISH with QoS 1, and the answers to them. No keep-alive, no
reconnection, no sending again, no limit of what is in flight: it is as cheap as Python can be,
and it fails loudly. Section numbers are those of the OASIS standard, version 3.1.1.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

CONNACK: Final = 0x20
PUBLISH: Final = 0x30
PUBACK: Final = 0x40
SUBACK: Final = 0x90
PUBLISH_QOS1: Final = 0x32
RETAIN: Final = 0x01
SUBSCRIBE: Final = 0x82
UNSUBSCRIBE: Final = 0xA2
DISCONNECT: Final = b"\xe0\x00"

_TYPE: Final = 0xF0
_QOS: Final = 0x06
_REFUSED: Final = 0x80
_MORE: Final = 0x80
_LOW: Final = 0x7F
_PACKET_IDS: Final = 0xFFFF
_CLEAN_SESSION: Final = 0x02
_ACCEPTED: Final = b"\x00\x00"

OnMessage = Callable[[bytes, bytes], None]
"""Called with topic and payload of each message that arrives."""


class WireError(Exception):
    """The broker refused, or closed the connection."""


def _text(text: bytes) -> bytes:
    """Return a string with its length before it (§1.5.3)."""
    return len(text).to_bytes(2, "big") + text


def _packet(header: int, body: bytes) -> bytes:
    """Return a packet: first byte, length of the rest in groups of seven bits (§2.2.3), rest."""
    length, rest = bytearray(), len(body)
    while True:
        rest, low = rest >> 7, rest & _LOW
        length.append(low | _MORE if rest else low)
        if not rest:
            return bytes((header,)) + bytes(length) + body


def _body_at(data: bytes, start: int) -> tuple[int, int] | None:
    """Return where the body of the packet at ``start`` begins and ends; ``None``: more to come."""
    size, shift, at = 0, 0, start + 1
    while at < len(data):
        byte = data[at]
        size |= (byte & _LOW) << shift
        at, shift = at + 1, shift + 7
        if not byte & _MORE:
            return (at, at + size) if at + size <= len(data) else None
    return None


class BareClient(asyncio.Protocol):
    """One connection. Made by :func:`connect`; ``sent`` and ``received`` count PUBLISH packets."""

    def __init__(self, on_message: OnMessage) -> None:
        loop = asyncio.get_running_loop()
        self.sent = 0
        self.received = 0
        self.lost: asyncio.Future[None] = loop.create_future()
        self.opened: asyncio.Future[None] = loop.create_future()
        self._granted: asyncio.Future[None] | None = None
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._out: list[bytes] | None = None
        self._packet_id = 0
        self._unacknowledged = 0
        self._settled: asyncio.Future[None] | None = None

    # --- what arrives ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        reason = WireError(f"the broker closed the connection: {exc or 'no reason given'}")
        for waiting in (self.lost, self.opened, self._granted, self._settled):
            if waiting is not None and not waiting.done():
                waiting.set_exception(reason)
                waiting.exception()  # whoever waits sees it; nobody else has to

    def data_received(self, data: bytes) -> None:
        """Take packets; all that they make us send leaves in one piece."""
        if self._rest:
            data = self._rest + data
        self._out, start = [], 0
        while (body := _body_at(data, start)) is not None:
            self._take(data[start], data[body[0] : body[1]])
            start = body[1]
        self._rest = data[start:]
        out, self._out = self._out, None
        if out and self._transport is not None:
            self._transport.write(b"".join(out))

    def _take(self, header: int, body: bytes) -> None:
        kind = header & _TYPE
        if kind == PUBLISH:
            self._published(header, body)
        elif kind == PUBACK:
            self._unacknowledged -= 1
            if not self._unacknowledged and self._settled and not self._settled.done():
                self._settled.set_result(None)
        elif kind == CONNACK:
            self._answer(self.opened, refused=body != _ACCEPTED)
        elif kind == SUBACK:
            self._answer(self._granted, refused=any(code & _REFUSED for code in body[2:]))

    def _answer(self, waiting: asyncio.Future[None] | None, *, refused: bool) -> None:
        if waiting is None or waiting.done():
            return
        if refused:
            waiting.set_exception(WireError("the broker refused"))
        else:
            waiting.set_result(None)

    def _published(self, header: int, body: bytes) -> None:
        """Take a message and acknowledge it, as soon as it was handled (§3.3, §3.4)."""
        self.received += 1
        end = 2 + int.from_bytes(body[:2], "big")
        topic = body[2:end]
        if header & _QOS:
            self._write(b"\x40\x02" + body[end : end + 2])
            end += 2
        self._on_message(topic, body[end:])

    # --- what is sent ---------------------------------------------------------------------------

    def _write(self, packet: bytes) -> None:
        if self._out is not None:
            self._out.append(packet)
        elif self._transport is not None:
            self._transport.write(packet)

    def _next_id(self) -> bytes:
        self._packet_id = self._packet_id % _PACKET_IDS + 1
        return self._packet_id.to_bytes(2, "big")

    def introduce(self, client_id: str) -> None:
        """Send CONNECT, with a clean session and no keep-alive (§3.1)."""
        head = _text(b"MQTT") + bytes((4, _CLEAN_SESSION, 0, 0))
        self._write(_packet(0x10, head + _text(client_id.encode())))

    def publish(self, topic: bytes, payload: bytes, *, retain: bool = False) -> None:
        """Send a message with QoS 1 (§3.3)."""
        self.sent += 1
        self._unacknowledged += 1
        header = PUBLISH_QOS1 | (RETAIN if retain else 0)
        self._write(_packet(header, _text(topic) + self._next_id() + payload))

    def subscribe(self, *filters: bytes, qos: int = 1) -> None:
        """Send SUBSCRIBE (§3.8)."""
        wanted = b"".join(_text(one) + bytes((qos,)) for one in filters)
        self._write(_packet(SUBSCRIBE, self._next_id() + wanted))

    def unsubscribe(self, topic: bytes) -> None:
        """Send UNSUBSCRIBE (§3.10)."""
        self._write(_packet(UNSUBSCRIBE, self._next_id() + _text(topic)))

    # --- waiting --------------------------------------------------------------------------------

    async def granted(self, filters: Sequence[bytes], *, qos: int = 1) -> None:
        """Subscribe, and wait for the broker's word. Raises WireError."""
        self._granted = asyncio.get_running_loop().create_future()
        self.subscribe(*filters, qos=qos)
        await self._granted

    async def settle(self) -> None:
        """Wait until every message is acknowledged. Raises WireError."""
        if self._unacknowledged:
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    async def close(self) -> None:
        """Send DISCONNECT and wait for the end of the connection."""
        if self._transport is None:
            return
        self._write(DISCONNECT)
        self._transport.close()
        await asyncio.wait({self.lost})


async def connect(host: str, port: int, client_id: str, on_message: OnMessage) -> BareClient:
    """Return a client whose connection the broker has accepted. Raises WireError, OSError."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_connection(lambda: BareClient(on_message), host, port)
    plain: socket.socket = transport.get_extra_info("socket")
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.introduce(client_id)
    await client.opened
    return client
