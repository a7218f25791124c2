"""A device adapter and a simulated autopilot on a wire of memory, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drone_sim.autopilot import Faults, InMemory, Kind, SimulatedAutopilot
from drone_sim.disk import CrashDisk
from orchestrator.agent.flight import FlightRules
from orchestrator.agent.mavlink import MavlinkDevice, Patience, mavlink_device
from orchestrator.agent.mavlink.codec import Codec
from orchestrator.agent.mavlink.journal import NAME
from orchestrator.agent.mavlink.link import Address, Incoming, Outgoing
from orchestrator.agent.site import Site
from orchestrator.faultpoints import FaultPoints
from orchestrator.protocol.device import Activate, Check
from orchestrator.protocol.types import Digest, TxnId
from orchestrator.staging.bundle import encode_config
from orchestrator.staging.canonical import digest_of
from orchestrator.staging.models import AimConfig
from orchestrator.staging.params import nested
from tests.agent.inline import inline
from tests.agent.virtual import LoopClock
from tests.agent.worlds import Told

Values = dict[str, bool | int | float | str]
CONFIG = "aim_lock_config.conf"
STATE = Path("/state")
ACTIVE = Path("/device") / CONFIG
QUICK = Patience(tries=8, reply_s=0.25)

OLD: Values = {
    "pitch.angle_min_deg": -60.0,
    "neutral.pitch_deg": -10.0,
    "roll.lead_s": 0.1,
    "drone.landed_pitch_min_deg": -20.0,
}
NEW: Values = {
    "drone.landed_pitch_min_deg": -20.0,
    "pitch.angle_min_deg": -80.0,
    "pitch.angle_max_deg": 25.0,
    "yaw.angle_min_deg": -90.0,
    "yaw.angle_max_deg": 90.0,
    "neutral.pitch_deg": -20.5,
    "retract.pitch_deg": 15.0,
    "roll.lead_s": 0.05,
    "default_mode": "mavlink",
    "manual.rate_max_deg_s": 45.0,
}
"""Values of two configurations; every other one has its default."""


def config(values: Values) -> bytes:
    """The canonical bytes of a drone's configuration with these values."""
    return encode_config(AimConfig.model_validate(nested(values)))


def activation(data: bytes, version: int = 1) -> Activate:
    """Order to activate these bytes."""
    return Activate(version=version, digest=digest_of(data), config=CONFIG)


def question(data: bytes) -> Check:
    """Ask whether the device can run these bytes."""
    return Check(txn=TxnId("t"), digest=digest_of(data), config=CONFIG, data=data)


class Wire:
    """A link of memory: what is sent is answered at once, as far as the faults let it."""

    def __init__(self, autopilot: SimulatedAutopilot) -> None:
        self.autopilot = autopilot
        self.sent: list[Outgoing] = []
        self._codec = Codec()
        self._inbox: asyncio.Queue[Incoming] = asyncio.Queue()

    def send(self, message: Outgoing, source: Address) -> None:
        self.sent.append(message)
        self.take(self.autopilot.feed(self._codec.encode(message, source)))

    def take(self, packets: list[bytes]) -> None:
        for packet in packets:
            for message in self._codec.feed(packet):
                self._inbox.put_nowait(message)

    async def receive(self) -> Incoming:
        return await self._inbox.get()


class Flight:
    """
    One device and its autopilot; the agent may be started again and again.

    Disk and autopilot outlive it; ``passed`` are the fault points so far.
    """

    def __init__(self, kind: Kind = "ardupilot", *, faults: Faults | None = None) -> None:
        self.store = InMemory()
        self.autopilot = SimulatedAutopilot(kind, store=self.store, faults=faults)
        self.disk = CrashDisk()
        self.disk.make_directory(STATE)
        self.disk.make_directory(ACTIVE.parent)
        self.told = Told()
        self.passed: list[str] = []
        self.wire = Wire(self.autopilot)

    @asynccontextmanager
    async def agent(
        self,
        *,
        own: Digest | None = None,
        autopilot: str | None = None,
        rules: FlightRules | None = None,
        hit: Callable[[str], None] | None = None,
    ) -> AsyncIterator[MavlinkDevice]:
        """Run the adapter; ``hit`` is called at each fault point and may raise."""
        self.wire = Wire(self.autopilot)
        site = Site(
            state=STATE,
            active=ACTIVE,
            disk=self.disk,
            clock=LoopClock(),
            audience=self.told,
            faults=Points(self.passed, hit),
            own=own,
            rules=rules,
            offload=inline,
        )
        beating = asyncio.create_task(self._beat())
        try:
            async with mavlink_device(
                self.wire, site, autopilot=autopilot, patience=QUICK
            ) as device:
                yield device
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self.wire.take(self.autopilot.beat())
            await asyncio.sleep(1)

    @property
    def params(self) -> dict[str, float]:
        """What the autopilot would have after a loss of power."""
        return {**self.autopilot._defaults, **self.store.values}

    @property
    def half_written(self) -> bool:
        """Whether the journal of a set stands on the disk."""
        return self.disk.read(STATE / NAME, 1_000_000) is not None

    @property
    def journal(self) -> dict[str, Any]:
        """What the journal says."""
        data = self.disk.read(STATE / NAME, 1_000_000)
        assert data is not None
        found: dict[str, Any] = json.loads(data.partition(b"\n")[0])
        return found


class Points(FaultPoints):
    """Fault points that are noted, and may end the agent by an exception."""

    def __init__(self, passed: list[str], hit: Callable[[str], None] | None) -> None:
        super().__init__()
        self._passed = passed
        self._hit = hit

    def hit(self, name: str) -> None:
        self._passed.append(name)
        if self._hit is not None:
            self._hit(name)


async def settled(data: Values, kind: Kind = "ardupilot") -> Flight:
    """A device that runs ``data`` already."""
    flight = Flight(kind)
    async with flight.agent() as device:
        await device.activate(activation(config(data)), config(data))
    flight.passed.clear()
    return flight
