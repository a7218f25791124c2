"""
What a participant core runs on in a real device: disk, transport and controller behind lanes.

The core must never wait for anything but its own disk: a device whose vote hangs in a dead link
must still hold at ``hold_at``. So messages, checks, blobs and the controller each have a lane,
a queue with one worker; within a lane everything is first in, first out.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from orchestrator.agent.device import Device, DeviceRefused
from orchestrator.agent.lane import Job, Lane, Offload
from orchestrator.agent.slots import Slots
from orchestrator.faultpoints import FaultPoints
from orchestrator.ports import Audience, Clock, DiskError, Transport, TransportUnavailable
from orchestrator.protocol.device import (
    Activate,
    Activated,
    ActivationFailed,
    Arrived,
    Check,
    Checked,
    Durable,
    Effect,
    Event,
    Held,
    Hold,
    Resume,
    Save,
    Unwatch,
    Watch,
    Write,
    WriteFailed,
    Written,
)
from orchestrator.protocol.messages import Blob
from orchestrator.protocol.ready import Level, Send, notice

OUTBOX_MAX: Final = 256
"""Messages that wait for the link; the oldest gives way, since the newest says the most."""

TRY_AGAIN_S: Final = 0.2
TRY_AGAIN_MAX_S: Final = 2.0
"""The first and the longest pause before a controller that refuses is told again."""


class DeviceHost:
    """The host of one participant; see :class:`orchestrator.driver.Host`."""

    def __init__(
        self,
        *,
        slots: Slots,
        device: Device,
        transport: Transport,
        clock: Clock,
        audience: Audience,
        faults: FaultPoints,
        offload: Offload,
        tell: Callable[[Event], None],
    ) -> None:
        self._slots = slots
        self._device = device
        self._transport = transport
        self._clock = clock
        self._audience = audience
        self._faults = faults
        self._offload = offload
        self._tell = tell
        self._outbox = Lane(OUTBOX_MAX)
        self._checks = Lane()
        self._blobs = Lane()
        self._controller = Lane()
        self._news = asyncio.Event()
        self._resuming: asyncio.Future[None] | None = None

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All lanes; run each in a task of its own."""
        return self._outbox, self._checks, self._blobs, self._controller

    def now(self) -> float:
        """Return the device's monotonic reading, in s."""
        return self._clock.now()

    # --- writes -------------------------------------------------------------------------------

    async def write(self, writes: Sequence[Write]) -> Event:
        """Perform the writes in order; the first that fails ends it."""
        began = self._clock.monotonic()
        try:
            await self._offload(lambda: self._perform(writes))
        except DiskError as error:
            return WriteFailed(reason=str(error))
        return Written(took_s=self._clock.monotonic() - began)

    def _perform(self, writes: Sequence[Write]) -> None:
        for write in writes:
            name = "stage"
            if isinstance(write, Save):
                name = f"save:{step_of(self._slots.durable, write.durable)}"
            self._faults.hit(f"{name}:before")
            self._slots.perform(write)
            self._faults.hit(f"{name}:after")

    # --- messages -----------------------------------------------------------------------------

    async def send(self, send: Send) -> None:
        """Put a message into the outbox; returns at once."""
        if not self._outbox.put(lambda: self._send(send)):
            self._audience.tell(notice(Level.WARNING, "outbox-full", kind=send.message.kind))

    async def _send(self, send: Send) -> None:
        kind = send.message.kind
        self._faults.hit(f"send:{kind}:before")
        try:
            await self._transport.send(send.message, send.to)
        except TransportUnavailable as error:
            self._audience.tell(notice(Level.DEBUG, "not-sent", kind=kind, why=str(error)))
            return
        self._faults.hit(f"send:{kind}:after")

    # --- effects ------------------------------------------------------------------------------

    def start(self, effect: Effect) -> None:
        """Put an effect into its lane."""
        match effect:
            case Check():
                self._checks.put(lambda: self._check(effect))
            case Watch():
                self._blobs.put(lambda: self._watch(effect))
            case Unwatch():
                self._blobs.put(lambda: self._unwatch(effect))
            case Activate():
                self._direct(lambda: self._activate(effect))
            case Hold(reasons=reasons):
                if self._resuming is not None:
                    self._resuming.cancel()  # a controller that is told to aim must hold first
                self._direct(lambda: self._urge("hold", lambda: self._hold(reasons)))
            case Resume(version=version):
                self._direct(lambda: self._urge("resume", lambda: self._resume(version)))

    def _direct(self, job: Job) -> None:
        """Let the controller be told something; what it refuses is not told again then."""
        self._controller.put(job)
        self._news.set()

    async def _check(self, check: Check) -> None:
        reasons = await self._device.check(check)
        self._tell(Checked(txn=check.txn, digest=check.digest, reasons=reasons))

    async def _watch(self, watch: Watch) -> None:
        """Take the bytes from our own disk if they are there, else ask for them."""
        data = await self._offload(lambda: self._slots.blob(watch.digest))
        if data is not None:
            blob = Blob(txn=watch.txn, digest=watch.digest, data=data)
            self._tell(Arrived(message=blob))
            return
        with suppress(TransportUnavailable):  # the core asks again with WANT
            await self._transport.watch_blob(watch.txn, watch.digest)

    async def _unwatch(self, unwatch: Unwatch) -> None:
        with suppress(TransportUnavailable):
            await self._transport.unwatch_blob(unwatch.txn, unwatch.digest)

    async def _activate(self, activate: Activate) -> None:
        self._faults.hit("activate:before")
        try:
            await self._device.activate(activate, await self._bytes_of(activate))
        except (DeviceRefused, DiskError) as error:
            self._tell(ActivationFailed(version=activate.version, reason=str(error)))
            return
        self._faults.hit("activate:after")
        self._tell(Activated(version=activate.version))

    async def _bytes_of(self, activate: Activate) -> bytes:
        data = await self._offload(lambda: self._slots.blob(activate.digest))
        if data is None:
            msg = f"the staged bytes of version {activate.version} are gone or damaged"
            raise DeviceRefused(msg)
        return data

    async def _hold(self, reasons: tuple[str, ...]) -> None:
        try:
            await self._device.hold(reasons)
        except (DeviceRefused, DiskError) as error:
            self._tell(Held(refused=str(error)))
            raise
        self._tell(Held())

    async def _resume(self, version: int) -> None:
        """Tell the controller to aim; a hold that comes meanwhile ends it."""
        resuming = asyncio.ensure_future(self._device.resume(version))
        self._resuming = resuming
        try:
            await asyncio.wait({resuming})
        finally:
            self._resuming = None
            resuming.cancel()
            await asyncio.gather(resuming, return_exceptions=True)
        if not resuming.cancelled():
            resuming.result()

    async def _urge(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        """
        Tell the controller until it obeys, or until there is news for it.

        Neither is ever left: the device has said that it holds, or that it operates.
        """
        pause_s = TRY_AGAIN_S
        for tried in itertools.count(1):
            try:
                await act()
            except (DeviceRefused, DiskError) as error:
                told = notice(Level.ERROR, f"{what}-failed", why=str(error), tried=tried)
                self._audience.tell(told)
            else:
                return
            if await self._hears(pause_s):
                return
            pause_s = min(2 * pause_s, TRY_AGAIN_MAX_S)

    async def _hears(self, within_s: float) -> bool:
        """
        Wait so long; return at once, and true, where there is news for the controller.

        It may be that a controller has obeyed though its hook has failed: one that aims must not
        wait for a pause to be told to hold, and must not be told to aim once more before that.
        """
        if self._controller.waiting:
            return True
        self._news.clear()
        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._clock.sleep(within_s)),
            asyncio.ensure_future(self._news.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        return self._controller.waiting > 0


def step_of(before: Durable, after: Durable) -> str:
    """Name the row of the protocol that turns one record into the other: a fault point."""
    if after.prepared is not None and after.prepared != before.prepared:
        return "prepared"
    if after.prepared != before.prepared or after.finished != before.finished:
        return "decision"
    if after.heuristic != before.heuristic:
        return "heuristic"
    if after.pending != before.pending:
        return "activated" if after.pending is None else "catch-up"
    return "fence" if after.known == before.known else "welcome"
