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
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import Exit, OperatingError
from orchestrator.faultpoints import FaultPoints
from orchestrator.locksmith.processes import LinuxProcesses
from orchestrator.ports import Audience, Clock, StoreUnavailable, Transport
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.service.locks import unreachable
from orchestrator.service.world import World
from orchestrator.storage import open_store

if TYPE_CHECKING:  # loaded by those who make an agent
    from orchestrator.agent import Agent, FlightRules, Hook, Judge, Site
    from orchestrator.agent.flight import AgedFiles
    from orchestrator.agent.mavlink import MavlinkDevice
    from orchestrator.staging.fleet import FleetFile
    from orchestrator.transport.mqtt import MqttTransport


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCommand:
    """
    A controller that is told by the operator's command; it gets ``timeout_s`` each time.

    ``flight_state`` is the file that says what the device is doing, no older than
    ``flight_age_max_s``.
    """

    command: str
    timeout_s: float
    flight_state: Path | None = None
    flight_age_max_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Autopilot:
    """A controller that is an autopilot, by its MAVLink URL; ``kind`` is who must answer."""

    url: str
    kind: str | None = None


@asynccontextmanager
async def make_agent(
    *,
    fleet: FleetFile,
    device: DeviceId,
    state: Path,
    active: Path,
    controller: HookCommand | Autopilot | None,
    broker: str,
    audience: Audience,
) -> AsyncIterator[Agent]:
    """
    Open what a real device keeps in ``state`` and make its agent; the caller runs it.

    Without a ``controller`` the active file alone is written. Raises OperatingError for a hook
    or a URL that is none, for a state directory that can't be used or is in use, and where the
    fleet file has a policy for this kind of device and nothing says what the device is doing.
    """
    from orchestrator import agent as parts  # noqa: PLC0415 - loaded by those who need it
    from orchestrator.agent.lane import in_thread  # noqa: PLC0415
    from orchestrator.agent.machine import DeviceClock  # noqa: PLC0415
    from orchestrator.agent.os_disk import OsDisk  # noqa: PLC0415
    from orchestrator.staging.plan import decode_plan  # noqa: PLC0415

    disk, clock, name = OsDisk(), DeviceClock(), FleetId(fleet.fleet)
    described = next(one for one in fleet.device if one.id == device)
    made: list[Agent] = []  # the agent knows its clock error, and is made last
    rules = parts.FlightRules(
        policy=fleet.policy_of(described.kind),
        kind=described.kind,
        clock_error_s=lambda: made[0].state().clock_error_s if made else None,
    )
    judges = (
        parts.fits_name(fleet.config),
        parts.fits_hardware(kind=described.kind, gimbal=fleet.profile_of(described)),
        parts.fits_space(disk, state, active.parent),
        *_flight_judges(controller, rules, disk, asked=fleet.gives_policy(described.kind)),
    )
    hardware: parts.Device = parts.FileAndHook(
        fleet=name,
        device=device,
        active=active,
        disk=disk,
        judges=judges,
        hook=_hook(controller) if isinstance(controller, HookCommand) else None,
    )
    transport = _device_link(broker, name, device, clock, audience)
    async with AsyncExitStack() as stack:
        slots = await in_thread(lambda: parts.open_slots(disk, state, fleet=name, device=device))
        stack.callback(slots.close)
        if isinstance(controller, Autopilot):
            site = parts.Site(
                state=state,
                active=active,
                disk=disk,
                clock=clock,
                audience=audience,
                faults=environment_faults(),
                judges=judges,
                rules=rules,
                own=slots.durable.digest,
            )
            hardware = await stack.enter_async_context(_autopilot(controller, site))
        stack.push_async_callback(transport.close)
        ports = parts.AgentPorts(
            device=hardware,
            transport=transport,
            clock=clock,
            ids=RandomIds(),
            audience=audience,
            faults=environment_faults(),
        )
        made.append(parts.Agent(slots, ports, decode_plan=decode_plan, connect=transport.connect))
        yield made[0]


def _device_link(
    broker: str, fleet: FleetId, device: DeviceId, clock: Clock, audience: Audience
) -> MqttTransport:
    from orchestrator.transport.mqtt import MqttTransport  # noqa: PLC0415 - slow to import
    from orchestrator.transport.topics import Device  # noqa: PLC0415

    return MqttTransport(
        broker,
        fleet=fleet,
        role=Device(id=device),
        client_id=f"aim-{fleet}-{device}",
        clock=clock,
        audience=audience,
    )


def _flight_judges(
    controller: HookCommand | Autopilot | None,
    rules: FlightRules,
    files: AgedFiles,
    *,
    asked: bool,
) -> tuple[Judge, ...]:
    """Return what judges by the flight state, unless an autopilot says its own. May refuse."""
    from orchestrator.agent import FlightFile, fits_flight  # noqa: PLC0415 - as above

    if isinstance(controller, Autopilot):
        return ()
    if controller is not None and controller.flight_state is not None:
        path, age_s = controller.flight_state, controller.flight_age_max_s
        return (fits_flight(rules, FlightFile(files=files, path=path, age_max_s=age_s)),)
    if asked:
        raise OperatingError(
            f"the fleet file has a [policy.{rules.kind}], and nothing says what the device is "
            "doing: its vote would ignore the policy",
            exit_code=Exit.USAGE,
            next_command="--flight-state PATH",
        )
    return ()


def _hook(controller: HookCommand) -> Hook:
    from orchestrator import agent as parts  # noqa: PLC0415 - loaded by those who need it
    from orchestrator.agent.processes import OsCommands  # noqa: PLC0415

    argv = parts.parse_hook(controller.command)
    return parts.Hook(argv=argv, commands=OsCommands(), time_limit_s=controller.timeout_s)


@asynccontextmanager
async def _autopilot(controller: Autopilot, site: Site) -> AsyncIterator[MavlinkDevice]:
    from orchestrator.agent.mavlink import mavlink_device, open_link  # noqa: PLC0415

    async with (
        open_link(controller.url) as link,
        mavlink_device(link, site, autopilot=controller.kind) as made,
    ):
        yield made
