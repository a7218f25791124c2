"""
Faults of simulated devices: a TOML file, and wrappers around the ports of an agent.

The agent never knows: a bad clock is a clock port that reads wrongly, a slow link a transport
that waits, a full disk a disk that refuses. Nothing in the product has a branch for any of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final, Protocol

from pydantic import Field

from orchestrator.agent import Device, DeviceRefused, Disk
from orchestrator.agent.disk import PRIVATE, Lock, NewFile
from orchestrator.agent.lane import end_if_cancelled
from orchestrator.agent.slots import BLOBS
from orchestrator.ports import (
    Clock,
    DiskError,
    Received,
    Reconnected,
    Transport,
    TransportUnavailable,
)
from orchestrator.protocol.device import Activate, Check
from orchestrator.protocol.messages import Message
from orchestrator.protocol.types import (
    FLEET_DEVICES_MAX,
    REASON_CHARS_MAX,
    DeviceId,
    Digest,
    TxnId,
)
from orchestrator.staging.documents import parse
from orchestrator.staging.explain import at, checked
from orchestrator.staging.fields import Strict
from orchestrator.staging.fleet import FleetFile, Id
from orchestrator.staging.load import read
from orchestrator.staging.notes import InvalidInput, Note

DELAY_MAX_MS: Final = 600_000.0

Delay = Annotated[float, Field(ge=0, le=DELAY_MAX_MS)]


class LinkDelay(Strict):
    """A link that is slower one way than the other. In ms."""

    up: Delay = Field(default=0.0, description="From the device. Unit: ms.")
    down: Delay = Field(default=0.0, description="To the device. Unit: ms.")


class DeviceFaults(Strict):
    """
    What is wrong with one device. Everything has a default: nothing is.

    A bad clock: a ``clock_drift_ppm`` far beyond a crystal's is noticed where two exchanges
    contradict each other: with 200,000 ppm and ε = 50 ms when they are more than half a second
    apart. A lopsided or slow ``link_delay_ms`` spoils every exchange.
    """

    vote_no: Annotated[str, Field(min_length=1, max_length=REASON_CHARS_MAX)] | None = Field(
        default=None, description="Answers every configuration with a no for this reason."
    )
    silent: bool = Field(default=False, description="Receives, never answers.")
    offline: bool = Field(default=False, description="Does not connect.")
    clock_drift_ppm: float = Field(
        default=0.0, ge=-900_000, le=10_000_000, description="How much too fast. Unit: ppm."
    )
    link_delay_ms: Delay | LinkDelay = Field(
        default=0.0, description="Delay of each message: both ways, or {up, down}. Unit: ms."
    )
    disk_full: bool = Field(default=False, description="No space for a configuration.")
    slow_disk_ms: Delay = Field(default=0.0, description="Added to each sync. Unit: ms.")
    hook_fails: bool = Field(default=False, description="The controller never obeys.")

    @property
    def delay(self) -> LinkDelay:
        """The delay of each direction."""
        given = self.link_delay_ms
        return given if isinstance(given, LinkDelay) else LinkDelay(up=given, down=given)


class FaultsFile(Strict):
    """A file of ``[device.<id>]`` tables."""

    device: Annotated[dict[Id, DeviceFaults], Field(max_length=FLEET_DEVICES_MAX)] = Field(
        default={}, description="What is wrong with each device, by its id."
    )


def load_faults(path: Path, fleet: FleetFile) -> Mapping[DeviceId, DeviceFaults]:
    """Read a faults file. Raises InvalidInput for what is wrong, unknown devices among it."""
    document = parse(read(path))
    found = checked(FaultsFile, document.values, document.name, at(document.lines))
    if isinstance(found, list):
        raise InvalidInput(found)
    known = {device.id for device in fleet.device}
    notes = [
        Note(
            file=document.name,
            line=document.lines.get(("device", name)),
            key=f"device.{name}",
            message=f"fleet '{fleet.fleet}' has no device of this name",
            component="fleet",
        )
        for name in found.device
        if name not in known
    ]
    if notes:
        raise InvalidInput(notes)
    return {DeviceId(name): faults for name, faults in found.device.items()}


# --- the wrappers -----------------------------------------------------------------------------


class FaultyClock:
    """A clock that drifts."""

    def __init__(self, clock: Clock, *, drift_ppm: float = 0.0) -> None:
        self._clock = clock
        self._began = clock.now()
        self._rate = 1 + drift_ppm * 1e-6

    def now(self) -> float:
        """Return a wrong reading, in s."""
        return self._began + (self._clock.now() - self._began) * self._rate

    def monotonic(self) -> float:
        """Return a right one: intervals are measured by another counter."""
        return self._clock.monotonic()

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await self._clock.sleep(delay_s)


class Link(Transport, Protocol):
    """A transport with its sessions."""

    async def connect(self) -> None:
        """Make the first session. Raises TransportUnavailable."""
        ...

    async def close(self) -> None:
        """Say goodbye, and end the reader's iteration. Idempotent."""
        ...


class FaultyLink:
    """A link that delays, and swallows what the device says."""

    def __init__(
        self,
        link: Link,
        clock: Clock,
        *,
        delay: LinkDelay | None = None,
        silent: bool = False,
    ) -> None:
        self._link = link
        self._clock = clock
        delay = delay or LinkDelay()
        self._up_s, self._down_s = delay.up / 1000, delay.down / 1000
        self._silent = silent
        self._outgoing: asyncio.Queue[tuple[float, Message, DeviceId | None]] = asyncio.Queue()
        self._carrier: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Connect, and begin to carry."""
        await self._link.connect()
        self._carrier = asyncio.create_task(self._carry())

    async def close(self) -> None:
        """Close; what is still on its way is lost."""
        if self._carrier is not None:
            self._carrier.cancel()
            await asyncio.wait({self._carrier})
        await self._link.close()

    async def send(self, message: Message, to: DeviceId | None = None) -> None:
        """Send now, later, or never."""
        if self._silent:
            return
        if self._up_s:
            self._outgoing.put_nowait((self._clock.monotonic() + self._up_s, message, to))
            return
        await self._link.send(message, to)

    async def _carry(self) -> None:
        while True:
            due, message, to = await self._outgoing.get()
            await self._wait_until(due)
            with suppress(TransportUnavailable):  # lost on the way
                await self._link.send(message, to)
            end_if_cancelled()

    async def _wait_until(self, due: float) -> None:
        await self._clock.sleep(max(0.0, due - self._clock.monotonic()))

    async def clear(self, txn: TxnId, digests: Sequence[Digest], *, decision: bool) -> None:
        """Not a device's business; passed on."""
        await self._link.clear(txn, digests, decision=decision)

    async def watch_blob(self, txn: TxnId, digest: Digest) -> None:
        """Ask for a blob. A silent device does, or it could receive nothing."""
        await self._link.watch_blob(txn, digest)

    async def unwatch_blob(self, txn: TxnId, digest: Digest) -> None:
        """Cease to ask."""
        await self._link.unwatch_blob(txn, digest)

    def receive(self) -> AsyncIterator[Received | Reconnected]:
        """Yield what arrives, each as much later."""
        return self._late() if self._down_s else self._link.receive()

    async def _late(self) -> AsyncIterator[Received | Reconnected]:
        queue: asyncio.Queue[tuple[float, Received | Reconnected] | None] = asyncio.Queue()
        pump = asyncio.create_task(self._pump(queue))
        try:
            while (item := await queue.get()) is not None:
                await self._wait_until(item[0])
                received = item[1]
                if isinstance(received, Received):
                    received = replace(received, at=self._clock.now())
                yield received
        finally:
            pump.cancel()
        await pump

    async def _pump(
        self, queue: asyncio.Queue[tuple[float, Received | Reconnected] | None]
    ) -> None:
        try:
            async for received in self._link.receive():
                queue.put_nowait((self._clock.monotonic() + self._down_s, received))
        finally:
            queue.put_nowait(None)


class FaultyDisk:
    """A disk that has no space for configurations, or takes its time."""

    def __init__(
        self,
        disk: Disk,
        *,
        full: bool = False,
        slow_ms: float = 0.0,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._disk = disk
        self._full = full
        self._slow_s = slow_ms / 1000
        self._wait = wait or threading.Event().wait
        self.make_directory = disk.make_directory
        self.rename = disk.rename
        self.read = disk.read
        self.names = disk.names
        self.remove = disk.remove
        self.free_bytes = disk.free_bytes

    def lock(self, path: Path) -> Lock:
        """Take a lock."""
        return self._disk.lock(path)

    def create(self, path: Path, mode: int = PRIVATE) -> NewFile:
        """Refuse a configuration where the disk is full."""
        if self._full and path.parent.name == BLOBS:
            msg = f"{path}: can't be written: no space left on the disk"
            raise DiskError(msg)
        file = self._disk.create(path, mode)
        return _SlowFile(file, self._delay) if self._slow_s else file

    def sync_directory(self, path: Path) -> None:
        """Take the time first."""
        self._delay()
        self._disk.sync_directory(path)

    def _delay(self) -> None:
        if self._slow_s:
            self._wait(self._slow_s)


class _SlowFile:
    def __init__(self, file: NewFile, delay: Callable[[], None]) -> None:
        self.write = file.write
        self.close = file.close
        self._sync = file.sync
        self._delay = delay

    def sync(self) -> None:
        self._delay()
        self._sync()


class FaultyDevice:
    """A device that votes no, or whose controller never obeys."""

    def __init__(
        self, device: Device, *, vote_no: str | None = None, hook_fails: bool = False
    ) -> None:
        self._device = device
        self._vote_no = vote_no
        self._hook_fails = hook_fails
        self.hold = device.hold
        self.resume = device.resume

    async def check(self, check: Check) -> tuple[str, ...]:
        """Return the device's own reasons, and the ordered one before them."""
        ordered = () if self._vote_no is None else (self._vote_no,)
        return (*ordered, *await self._device.check(check))

    async def activate(self, activate: Activate, data: bytes) -> None:
        """Write the file; then fail as a hook does."""
        await self._device.activate(activate, data)
        if self._hook_fails:
            raise DeviceRefused("the hook ended with code 1 at activate: simulated")
