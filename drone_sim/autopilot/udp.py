"""A simulated autopilot on a UDP port, with a file for its parameters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from drone_sim.autopilot.vehicle import SimulatedAutopilot

BEAT_S = 1.0


class InFile:
    """Parameters in a JSON file, replaced whole at each one that is set."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, float]:
        """Return what is stored; nothing where there is no file yet."""
        if not self._path.exists():
            return {}
        found: dict[str, float] = json.loads(self._path.read_text())
        return found

    def save(self, values: Mapping[str, float]) -> None:
        """Write beside it, then rename."""
        beside = self._path.with_name(f".{self._path.name}.new")
        beside.write_text(json.dumps(dict(values)))
        beside.replace(self._path)


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, autopilot: SimulatedAutopilot) -> None:
        self._autopilot = autopilot
        self._transport: asyncio.DatagramTransport | None = None
        self._to: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what we send with."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer; who spoke first hears the heartbeats at once."""
        first, self._to = self._to != addr, addr
        if first:
            self.beat()
        self._send(self._autopilot.feed(data))

    def beat(self) -> None:
        """Tell that we live, to whom we have heard."""
        self._send(self._autopilot.beat())

    def _send(self, packets: list[bytes]) -> None:
        if self._transport is not None and self._to is not None:
            for packet in packets:
                self._transport.sendto(packet, self._to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flying:
    """An autopilot that answers on ``port``."""

    autopilot: SimulatedAutopilot
    host: str
    port: int

    @property
    def url(self) -> str:
        """What ``aimctl agent --mavlink`` is told to reach it."""
        return f"udpout:{self.host}:{self.port}"


@asynccontextmanager
async def flying(
    autopilot: SimulatedAutopilot, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Flying]:
    """Let it answer on a UDP port until the block ends; port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Socket(autopilot), local_addr=(host, port)
    )
    beating = asyncio.ensure_future(_beat(protocol))
    try:
        yield Flying(autopilot=autopilot, host=host, port=transport.get_extra_info("sockname")[1])
    finally:
        beating.cancel()
        transport.close()


async def _beat(socket: _Socket) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        socket.beat()
