"""
Opens a link by its URL, in the words that pymavlink's tools understand.

``udpin:HOST:PORT`` listens and answers whoever was heard last, ``udpout:HOST:PORT`` speaks first;
``serial:DEVICE[:BAUD]``, or a device's path, is a serial port.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os  # noqa: TID251 - opens the serial port without waiting for a carrier
import re
import termios
import tty
from collections.abc import AsyncIterator
from typing import Final, cast

from orchestrator.agent.lane import end_if_cancelled
from orchestrator.agent.mavlink.codec import Codec
from orchestrator.agent.mavlink.link import Address, Incoming, Link, Outgoing
from orchestrator.errors import Exit, OperatingError

INBOX_MAX: Final = 4096
"""Messages that wait; the oldest gives way, as on a radio."""

BAUD: Final = 57_600
"""What telemetry ports of both autopilots are set to by default."""

_READ_BYTES: Final = 4096
_UDP: Final = re.compile(r"(udpin|udpout|udp):(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")
_SERIAL: Final = re.compile(r"(?:serial:)?(/[^:,]+)(?:[:,]([0-9]+))?")
_PORT_MAX: Final = 65_535


@contextlib.asynccontextmanager
async def open_link(url: str) -> AsyncIterator[Link]:
    """Open ``url``. Raises OperatingError for one that is none, or can't be opened."""
    udp, serial = _UDP.fullmatch(url), _SERIAL.fullmatch(url)
    if udp is not None and 0 < int(udp[3]) <= _PORT_MAX:
        listening = udp[1] != "udpout"
        address = udp[2].strip("[]"), int(udp[3])
        opened = _open_udp(url, address, listening=listening)
    elif serial is not None:
        opened = _open_serial(url, serial[1], int(serial[2] or BAUD))
    else:
        raise _unusable(url, "it is none of udpin:HOST:PORT, udpout:HOST:PORT, serial:DEVICE:BAUD")
    async with opened as link:
        yield link


def _unusable(url: str, why: str) -> OperatingError:
    return OperatingError(
        f"the MAVLink URL {url!r} can't be used: {why}",
        exit_code=Exit.USAGE,
        next_command="--mavlink udpin:127.0.0.1:14550",
    )


class _Inbox:
    """What has arrived and nobody has taken yet."""

    def __init__(self) -> None:
        self.codec = Codec()
        self._waiting: asyncio.Queue[Incoming] = asyncio.Queue(INBOX_MAX)

    def take(self, data: bytes) -> bool:
        """Keep the messages in ``data``; false where there were none."""
        found = list(self.codec.feed(data))
        for message in found:
            if self._waiting.full():
                self._waiting.get_nowait()
            self._waiting.put_nowait(message)
        return bool(found)

    async def receive(self) -> Incoming:
        """Return the oldest."""
        message = await self._waiting.get()
        end_if_cancelled()
        return message


# --- UDP --------------------------------------------------------------------------------------


class _UdpLink(_Inbox, asyncio.DatagramProtocol):
    """See :class:`orchestrator.agent.mavlink.link.Link`."""

    def __init__(self, *, listening: bool) -> None:
        super().__init__()
        self._listening = listening
        self._to: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what we send with."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a packet; who sent a good one is whom we answer."""
        self.codec.forget()
        if self.take(data):
            self._to = addr

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there now: it is as if the packet had been lost."""

    def send(self, message: Outgoing, source: Address) -> None:
        """Send a packet to whom we were told, or to whom we have heard."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._listening and self._to is None:
            return
        packet = self.codec.encode(message, source)
        self._transport.sendto(packet, self._to if self._listening else None)


@contextlib.asynccontextmanager
async def _open_udp(url: str, address: tuple[str, int], *, listening: bool) -> AsyncIterator[Link]:
    loop = asyncio.get_running_loop()
    try:
        transport, link = await loop.create_datagram_endpoint(
            lambda: _UdpLink(listening=listening),
            local_addr=address if listening else None,
            remote_addr=None if listening else address,
        )
    except OSError as error:
        raise _unusable(url, error.strerror or str(error)) from error
    try:
        yield link
    finally:
        transport.close()


# --- serial -----------------------------------------------------------------------------------


class _SerialLink(_Inbox):
    """See :class:`orchestrator.agent.mavlink.link.Link`."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def read(self) -> None:
        """Take what has come; a port that was pulled out is silent from then on."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.take(data)
        else:
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def send(self, message: Outgoing, source: Address) -> None:
        """Write a packet; one that does not fit into the port's buffer is lost."""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, self.codec.encode(message, source))


@contextlib.asynccontextmanager
async def _open_serial(url: str, device: str, baud: int) -> AsyncIterator[Link]:
    speed = getattr(termios, f"B{baud}", None)
    if speed is None:
        raise _unusable(url, f"{baud} baud is no speed of a serial port")
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(url, error.strerror or errno.errorcode[error.errno or 0]) from error
    try:
        _set_up(url, descriptor, speed)
        link = _SerialLink(descriptor)
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, link.read)
        try:
            yield link
        finally:
            loop.remove_reader(descriptor)
    finally:
        os.close(descriptor)


def _set_up(url: str, descriptor: int, speed: int) -> None:
    """Eight bits, no parity, no flow control, no modem lines, every byte as it is."""
    try:
        tty.setraw(descriptor)
        attributes = termios.tcgetattr(descriptor)
        attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    except termios.error as error:
        raise _unusable(url, str(error.args[-1])) from error
