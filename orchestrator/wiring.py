"""
Makes the real world: the one place that names adapters.

Faces ask here for a :class:`~orchestrator.service.world.World` or an agent; tests make their own
from fakes.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.faultpoints import FaultPoints
from orchestrator.locksmith.processes import LinuxProcesses
from orchestrator.ports import Audience, StoreUnavailable, Transport
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.service.locks import unreachable
from orchestrator.service.world import World
from orchestrator.storage import open_store

if TYPE_CHECKING:  # loaded by those who make an agent
    from orchestrator.agent import Agent
    from orchestrator.staging.fleet import FleetFile


class SystemClock:
    """
    The clock of an orchestrator; see :class:`orchestrator.ports.Clock`.

    UTC is read once; from then on it goes with CLOCK_BOOTTIME. A wall clock that is stepped in
    the middle of a push would stall its time-outs, and move every device's idea of time.
    """

    def __init__(self) -> None:
        self._utc_ahead_s = time.time() - self.monotonic()

    def now(self) -> float:
        """Return UTC in s, as it was at the start plus what has passed since."""
        return self.monotonic() + self._utc_ahead_s

    def monotonic(self) -> float:
        """Return CLOCK_BOOTTIME in s: it goes on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)


class RandomIds:
    """Ids from the kernel's randomness; see :class:`orchestrator.ports.Ids`."""

    def new(self) -> str:
        """Return sixteen hexadecimal digits."""
        return secrets.token_hex(8)


def environment_faults() -> FaultPoints:
    """Return the fault points that the environment orders; see ``faultpoints``."""
    return FaultPoints.of(os.environ)


@asynccontextmanager
async def make_world(
    *, store: str, broker: str, audience: Audience, program: str = "aimctl"
) -> AsyncIterator[World]:
    """
    Open the store and make a World that connects to ``broker`` when it is asked to.

    Raises OperatingError for URLs that are wrong (2) and a store that can't be opened (11).
    """
    clock, ids, processes = SystemClock(), RandomIds(), LinuxProcesses()

    def boot() -> tuple[str, float] | None:
        boot_id = processes.boot_id
        return None if boot_id is None else (boot_id, clock.monotonic())

    try:
        opened = open_store(store, now=clock.now, boot=boot)
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be opened: {error}") from error

    def connect(fleet: FleetId) -> AbstractAsyncContextManager[Transport]:
        from orchestrator.transport.mqtt import MqttTransport  # noqa: PLC0415 - slow to import
        from orchestrator.transport.topics import Orchestrator  # noqa: PLC0415

        return MqttTransport(
            broker,
            fleet=fleet,
            role=Orchestrator(),
            client_id=f"aimctl-{ids.new()}",
            clock=clock,
            audience=audience,
        )

    try:
        yield World(
            store=opened,
            connect=connect,
            clock=clock,
            ids=ids,
            audience=audience,
            processes=processes,
            faults=environment_faults(),
            program=program,
        )
    finally:
        await opened.close()


@asynccontextmanager
async def make_agent(
    *,
    fleet: FleetFile,
    device: DeviceId,
    state: Path,
    active: Path,
    hook: str | None,
    hook_timeout_s: float,
    broker: str,
    audience: Audience,
) -> AsyncIterator[Agent]:
    """
    Open what a real device keeps in ``state`` and make its agent; the caller runs it.

    ``hook`` is the operator's command line. Raises OperatingError for a hook or a broker's URL
    that is none, and for a state directory that can't be used or is in use.
    """
    from orchestrator import agent as parts  # noqa: PLC0415 - loaded by those who need it
    from orchestrator.agent.lane import in_thread  # noqa: PLC0415
    from orchestrator.agent.machine import DeviceClock  # noqa: PLC0415
    from orchestrator.agent.os_disk import OsDisk  # noqa: PLC0415
    from orchestrator.agent.processes import OsCommands  # noqa: PLC0415
    from orchestrator.staging.plan import decode_plan  # noqa: PLC0415
    from orchestrator.transport.mqtt import MqttTransport  # noqa: PLC0415
    from orchestrator.transport.topics import Device as DeviceRole  # noqa: PLC0415

    disk, clock, name = OsDisk(), DeviceClock(), FleetId(fleet.fleet)
    described = next(one for one in fleet.device if one.id == device)
    command = None
    if hook is not None:
        argv = parts.parse_hook(hook)
        command = parts.Hook(argv=argv, commands=OsCommands(), time_limit_s=hook_timeout_s)
    transport = MqttTransport(
        broker,
        fleet=name,
        role=DeviceRole(id=device),
        client_id=f"aim-{name}-{device}",
        clock=clock,
        audience=audience,
    )
    hardware = parts.FileAndHook(
        fleet=name,
        device=device,
        active=active,
        disk=disk,
        judges=(
            parts.fits_name(fleet.config),
            parts.fits_hardware(kind=described.kind, gimbal=fleet.profile_of(described)),
            parts.fits_space(disk, state, active.parent),
        ),
        hook=command,
    )
    slots = await in_thread(lambda: parts.open_slots(disk, state, fleet=name, device=device))
    ports = parts.AgentPorts(
        device=hardware,
        transport=transport,
        clock=clock,
        ids=RandomIds(),
        audience=audience,
        faults=environment_faults(),
    )
    try:
        yield parts.Agent(slots, ports, decode_plan=decode_plan, connect=transport.connect)
    finally:
        await transport.close()
        slots.close()
