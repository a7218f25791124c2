"""
An eye on the fleet: hears on the broker what every device says of itself, and says nothing.

The stories wait for what devices report (never for a time to pass), and the time held and the
instants of activation are the devices' own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from drone_sim.demo.processes import StepError
from orchestrator.ports import Clock, Received, Transport
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.messages import DeviceState, Hello, Presence, Report, Vote
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.telemetry import NoAudience
from orchestrator.transport.mqtt import MqttTransport
from orchestrator.transport.topics import Orchestrator

PATIENCE_S: Final = 30.0


class Observer:
    """What the devices have said so far."""

    def __init__(self, devices: Sequence[DeviceId], clock: Clock) -> None:
        self._devices = devices
        self._clock = clock
        self._witness = Witness()
        self._news = asyncio.Event()
        self.mixed = False
        """Whether two devices have said, since :meth:`watch`, that they operate two versions."""
        self._watching = False

    async def listen(self, transport: Transport) -> None:
        """Take what arrives, until the transport is closed."""
        async for item in transport.receive():
            if isinstance(item, Received):
                self._take(item)

    def _take(self, item: Received) -> None:
        message = item.message
        if isinstance(message, Hello | Report):
            self._witness.learn(message, item.at)
        elif isinstance(message, Vote):
            self._witness.count(message)
        elif isinstance(message, Presence):
            self._witness.presence(message)
        operating = {told.operating for told in self.states().values()} - {None}
        self.mixed = self.mixed or (self._watching and len(operating) > 1)
        self._news.set()

    def watch(self) -> None:
        """
        From here on note whether two devices say that they operate two versions.

        Begin while nothing is being activated: that short, healthy pause is not reported.
        """
        self._watching = True

    def states(self) -> dict[DeviceId, DeviceState]:
        """Return the last word of every device that was heard."""
        found = {device: self._witness.of(device).state for device in self._devices}
        return {device: told for device, told in found.items() if told is not None}

    def count(self, what: Callable[[DeviceState], bool]) -> int:
        """Return of how many devices ``what`` is true by their last word."""
        return sum(what(told) for told in self.states().values())

    async def until_all(
        self, what: Callable[[DeviceState], bool], name: str, timeout_s: float = PATIENCE_S
    ) -> None:
        """Wait until ``what`` is true of every device. Raises StepError with ``name``."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.count(what) < len(self._devices):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            found, total = self.count(what), len(self._devices)
            told = f"{name}: {found} of {total} devices within {timeout_s:g} s"
            raise StepError(told) from None


@asynccontextmanager
async def observe(
    broker: str, fleet: FleetId, devices: Sequence[DeviceId], clock: Clock
) -> AsyncIterator[Observer]:
    """Listen to ``fleet`` while the context is open. Raises TransportUnavailable."""
    observer = Observer(devices, clock)
    transport = MqttTransport(
        broker,
        fleet=fleet,
        role=Orchestrator(),
        client_id=f"demo-{fleet}",
        clock=clock,
        audience=NoAudience(),
    )
    async with transport:
        listening = asyncio.create_task(observer.listen(transport))
        try:
            yield observer
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
