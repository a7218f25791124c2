"""
The product's devices in a process of their own, with counters in link and disk.

``python -m drone_sim.benchmark.fleet BROKER FLEETFILE DIR IDS`` runs the devices IDS (separated
by commas) of a fleet, as ``drone-sim fleet`` does, and answers ``snapshot`` with what has
happened since the last one. Nothing else differs from a simulated device.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from drone_sim.benchmark.floor import cpu_s
from drone_sim.benchmark.lines import Answer, serve
from drone_sim.faults import Link
from drone_sim.fleet import FleetOptions, SimulatedFleet, mqtt_links
from orchestrator import telemetry
from orchestrator.agent.disk import PRIVATE, NewFile
from orchestrator.agent.os_disk import OsDisk
from orchestrator.ports import Audience, Clock, Received, Reconnected
from orchestrator.protocol.messages import Blob, Message, Report
from orchestrator.protocol.types import DeviceId, FleetId, TxnId
from orchestrator.service.session import alongside
from orchestrator.staging.load import load_fleet, read
from orchestrator.transport.codec import encode
from orchestrator.wiring import SystemClock

T = TypeVar("T")

_CLOCK = SystemClock()


@dataclass(slots=True, kw_only=True)
class Seen:
    """
    What has happened since the last snapshot.

    ``bytes`` are payload sizes, one sample of each kind. ``recorded_at`` is when the last device
    had said, and the broker had acknowledged, that it has recorded the decision (UTC s).
    """

    messages: Counter[str] = field(default_factory=Counter)
    bytes: dict[str, int] = field(default_factory=dict)
    recorded_at: float = 0.0
    syncs: int = 0
    sync_s: float = 0.0
    sync_max_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Answer:
        """Return it as JSON, and begin anew."""
        with self.lock:
            syncs = {"count": self.syncs, "total_s": self.sync_s, "max_s": self.sync_max_s}
            self.syncs, self.sync_s, self.sync_max_s = 0, 0.0, 0.0
        answer = {
            "messages": dict(self.messages),
            "bytes": dict(self.bytes),
            "recorded_at": self.recorded_at,
            "fsync": syncs,
            "cpu_s": cpu_s(),
        }
        self.messages.clear()
        self.bytes.clear()
        self.recorded_at = 0.0
        return answer

    def timed(self, sync: Callable[[], None]) -> None:
        """Call ``sync`` in whichever thread this is, and count it."""
        began = _CLOCK.monotonic()
        sync()
        took_s = _CLOCK.monotonic() - began
        with self.lock:
            self.syncs += 1
            self.sync_s += took_s
            self.sync_max_s = max(self.sync_max_s, took_s)


# --- the link -----------------------------------------------------------------------------------


class CountedLink:
    """A link that counts what passes; see :class:`drone_sim.faults.Link`."""

    def __init__(self, link: Link, fleet: FleetId, device: DeviceId, seen: Seen) -> None:
        self._link = link
        self._fleet = fleet
        self._device = device
        self._seen = seen
        self._recorded: TxnId | None = None
        self.connect = link.connect
        self.close = link.close
        self.clear = link.clear
        self.watch_blob = link.watch_blob
        self.unwatch_blob = link.unwatch_blob

    async def send(self, message: Message, to: DeviceId | None = None) -> None:
        """Send and count."""
        self._seen.messages["from " + message.kind] += 1
        if message.kind not in self._seen.bytes:
            self._seen.bytes[message.kind] = len(encode(self._fleet, message, to).payload)
        await self._link.send(message, to)
        if isinstance(message, Report) and message.state.pending:
            self._note_recorded(message.state.outcome_txn)

    def _note_recorded(self, txn: TxnId | None) -> None:
        """Note when the device has told it first: a DECISION that is repeated is told again."""
        if txn != self._recorded:
            self._recorded = txn
            self._seen.recorded_at = _CLOCK.now()

    async def receive(self) -> AsyncIterator[Received | Reconnected]:
        """Receive and count."""
        async for item in self._link.receive():
            if isinstance(item, Received):
                self._count(item.message)
            yield item

    def _count(self, message: Message) -> None:
        self._seen.messages["to " + message.kind] += 1
        if isinstance(message, Blob):
            # A plan names its devices; a configuration names none.
            size = len(message.data)
            name = "plan" if self._device.encode() in message.data else "config"
            self._seen.bytes[name] = size
        elif message.kind not in self._seen.bytes:
            to = self._device if message.kind == "welcome" else None
            self._seen.bytes[message.kind] = len(encode(self._fleet, message, to).payload)


# --- the disk -----------------------------------------------------------------------------------


class _CountedFile:
    def __init__(self, file: NewFile, seen: Seen) -> None:
        self.write = file.write
        self.close = file.close
        self._sync = file.sync
        self._seen = seen

    def sync(self) -> None:
        self._seen.timed(self._sync)


class CountedDisk(OsDisk):
    """The disk of this machine; the time of each fsync of a file or directory is counted."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def create(self, path: Path, mode: int = PRIVATE) -> NewFile:
        """Make a file whose sync is counted."""
        return _CountedFile(super().create(path, mode), self._seen)

    def sync_directory(self, path: Path) -> None:
        """Sync, and count."""
        plain = super().sync_directory
        self._seen.timed(lambda: plain(path))


# --- the program --------------------------------------------------------------------------------


async def _run(broker: str, fleet_file: Path, directory: Path, names: Sequence[str]) -> None:
    seen = Seen()
    file = load_fleet(read(fleet_file)).file
    fleet, plain = FleetId(file.fleet), mqtt_links(broker, FleetId(file.fleet))

    def link(device: DeviceId, clock: Clock, audience: Audience) -> Link:
        return CountedLink(plain(device, clock, audience), fleet, device, seen)

    options = FleetOptions(
        fleet=file, directory=directory, only=names, disk=lambda: CountedDisk(seen)
    )
    async with SimulatedFleet(options, link) as devices:

        async def snapshot(_line: str) -> Answer:
            return seen.take()

        await alongside(serve(snapshot, {}), devices.wait())


def main(arguments: Sequence[str]) -> int:
    """Run until standard input ends."""
    broker, fleet_file, directory, names = arguments
    telemetry.configure("warning")
    asyncio.run(_run(broker, Path(fleet_file), Path(directory), names.split(",")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
