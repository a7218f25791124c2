"""
A fleet of simulated devices in one process, each a real agent with its own connection.

Each has its state under ``DIR/.state/<device id>/`` and its active configuration as
``DIR/<device id>/<config name>``; the agent, the core, the files and the messages are those of a
real device. Only the controller is missing, and what :mod:`drone_sim.faults` puts in between;
those that ``fly`` have one as well (:mod:`drone_sim.flight`).
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from drone_sim.faults import DeviceFaults, FaultyClock, FaultyDevice, FaultyDisk, FaultyLink, Link
from orchestrator.agent import (
    Agent,
    AgentPorts,
    Disk,
    FileAndHook,
    Slots,
    fits_hardware,
    fits_name,
    fits_space,
    open_slots,
)
from orchestrator.agent import Device as Hardware
from orchestrator.agent.lane import in_thread
from orchestrator.agent.machine import DeviceClock
from orchestrator.agent.os_disk import OsDisk
from orchestrator.errors import Exit, OperatingError
from orchestrator.faultpoints import FaultPoints
from orchestrator.ports import Audience, Clock, TransportUnavailable
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.staging.bundle import decode_config
from orchestrator.staging.fleet import Device, FleetFile
from orchestrator.staging.plan import decode_plan
from orchestrator.telemetry import LogAudience
from orchestrator.wiring import RandomIds

if TYPE_CHECKING:  # loads numpy
    from drone_sim.flight.fleet import Flights

CONNECTING_MAX: Final = 50
"""Connections that are being made at one time: more overrun a broker's accept queue."""

DESCRIPTORS_PER_DEVICE: Final = 4
"""Socket, the client's wake-up pair, lock file."""

DESCRIPTORS_BESIDE: Final = 256

DECODED_KEPT: Final = 64
"""Plans and configurations that are read once for all devices: each would read the same."""

FLIGHT_SEED: Final = 1
"""Feeds what is left to chance in a flight: wind, routes, what passes."""

MakeLink = Callable[[DeviceId, Clock, Audience], Link]
OnChange = Callable[[DeviceId, DeviceState], None]


def mqtt_links(broker: str, fleet: FleetId) -> MakeLink:
    """Return what makes a device's own MQTT connection to ``broker``."""
    from orchestrator.transport.mqtt import MqttTransport  # noqa: PLC0415 - slow to import
    from orchestrator.transport.topics import Device as DeviceRole  # noqa: PLC0415

    def make(device: DeviceId, clock: Clock, audience: Audience) -> Link:
        return MqttTransport(
            broker,
            fleet=fleet,
            role=DeviceRole(id=device),
            client_id=f"aim-{fleet}-{device}",
            clock=clock,
            audience=audience,
        )

    return make


def log_audience(device: DeviceId) -> Audience:
    """Return where the notices of a device go."""
    return LogAudience(device=device)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """
    Which devices of ``fleet`` run, where, and what is wrong with them.

    ``only`` and ``without`` name devices; an empty ``only`` means all. ``on_change`` is called
    when a device's durable state, a person's word among it, or whether it operates, or why not,
    has changed. ``disk`` makes a device's disk; ``fault_points``, which all devices share, may
    end the whole process. Where they ``fly``, what they are doing decides their votes as the
    fleet's policies say, and the health of each is written once a second.
    """

    fleet: FleetFile
    directory: Path
    only: Collection[str] = ()
    without: Collection[str] = ()
    faults: Mapping[DeviceId, DeviceFaults] = field(default_factory=dict)
    audience: Callable[[DeviceId], Audience] = log_audience
    on_change: OnChange | None = None
    disk: Callable[[], Disk] = OsDisk
    fault_points: FaultPoints = field(default_factory=FaultPoints)
    fly: bool = False

    def devices(self) -> tuple[Device, ...]:
        """Return the devices that run. Raises OperatingError for one that is not in the fleet."""
        known = {device.id for device in self.fleet.device}
        unknown = sorted({*self.only, *self.without} - known)
        if unknown:
            raise OperatingError(
                f"fleet {self.fleet.fleet} has no device {', '.join(unknown)}",
                exit_code=Exit.USAGE,
                next_command="see the fleet file for its devices",
            )
        wanted = (set(self.only) or known) - set(self.without)
        return tuple(device for device in self.fleet.device if device.id in wanted)


@dataclass(slots=True, kw_only=True)
class _Running:
    agent: Agent
    slots: Slots
    link: Link
    task: asyncio.Task[None] | None = None


class SimulatedFleet:
    """
    The fleet. Use as an async context manager: entering connects every device.

    Raises OperatingError for devices that are not in the fleet; entering does it where a device
    can't start or the broker can't be reached. Then call :meth:`wait`, which raises what ended a
    device. Leaving stops all of them in order.
    """

    def __init__(self, options: FleetOptions, link: MakeLink) -> None:
        self._options = options
        self._link = link
        self._ids = RandomIds()
        self._gate = asyncio.Semaphore(CONNECTING_MAX)
        self._decode_plan = lru_cache(DECODED_KEPT)(decode_plan)
        self._decode_config = lru_cache(DECODED_KEPT)(decode_config)
        self._running: dict[DeviceId, _Running] = {}
        self._told: dict[DeviceId, tuple[object, ...]] = {}
        self.flights = _flights(options) if options.fly else None
        self._flying: asyncio.Task[None] | None = None
        self.devices = tuple(DeviceId(device.id) for device in options.devices())
        self.offline = tuple(name for name in self.devices if self._faults(name).offline)

    def _faults(self, device: DeviceId) -> DeviceFaults:
        return self._options.faults.get(device) or DeviceFaults()

    async def __aenter__(self) -> Self:
        """Start and connect all devices that are not offline."""
        raise_descriptor_limit(len(self.devices))
        if self.flights is not None:
            self._flying = asyncio.create_task(self.flights.run(), name="flights")
        try:
            async with asyncio.TaskGroup() as group:
                for device in self._options.devices():
                    if device.id not in self.offline:
                        group.create_task(self._start(device))
        except BaseExceptionGroup as several:
            await self.stop()
            raise several.exceptions[0] from None
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Stop."""
        await self.stop()

    @property
    def connected(self) -> int:
        """How many devices have connected since the start."""
        return sum(device.task is not None for device in self._running.values())

    def states(self) -> dict[DeviceId, DeviceState]:
        """Return what each running device would tell of itself now."""
        return {name: self._running[name].agent.state() for name in sorted(self._running)}

    def active_file(self, device: DeviceId) -> Path:
        """Return where a device's active configuration stands."""
        return self._options.directory / device / self._options.fleet.config

    async def wait(self) -> None:
        """Wait until a device ends, which none does by itself, and raise why."""
        tasks = {running.task for running in self._running.values() if running.task is not None}
        if self._flying is not None:
            tasks.add(self._flying)
        if not tasks:
            await asyncio.Event().wait()
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop all devices: each says goodbye, finishes its write, and closes its state."""
        running, self._running = list(self._running.values()), {}
        tasks = [device.task for device in running if device.task is not None]
        if self._flying is not None:
            tasks.append(self._flying)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(device.link.close() for device in running))
        for device in running:
            device.slots.close()

    # --- one device -----------------------------------------------------------------------------

    async def _start(self, device: Device) -> None:
        name = DeviceId(device.id)
        async with self._gate:
            running = await self._make(device, name, self._faults(name))
            self._running[name] = running
            try:
                await running.link.connect()
            except TransportUnavailable as error:
                raise _unreachable(error) from error
        running.task = asyncio.create_task(running.agent.run(), name=f"device {name}")

    async def _make(self, device: Device, name: DeviceId, faults: DeviceFaults) -> _Running:
        audience = self._options.audience(name)
        clock = FaultyClock(DeviceClock(), drift_ppm=faults.clock_drift_ppm)
        disk = FaultyDisk(self._options.disk(), full=faults.disk_full, slow_ms=faults.slow_disk_ms)
        link = FaultyLink(
            self._link(name, clock, audience),
            clock,
            delay=faults.delay,
            silent=faults.silent,
        )
        slots = await in_thread(lambda: self._open(disk, name))
        ports = AgentPorts(
            device=FaultyDevice(
                self._hardware(device, name, disk),
                vote_no=faults.vote_no,
                hook_fails=faults.hook_fails,
            ),
            transport=link,
            clock=clock,
            ids=self._ids,
            audience=audience,
            faults=self._options.fault_points,
        )
        agent = Agent(
            slots, ports, decode_plan=self._decode_plan, on_step=lambda *_: self._changed(name)
        )
        return _Running(agent=agent, slots=slots, link=link)

    def _open(self, disk: FaultyDisk, name: DeviceId) -> Slots:
        disk.make_directory(self.active_file(name).parent)
        state = self._options.directory / ".state" / name
        return open_slots(disk, state, fleet=FleetId(self._options.fleet.fleet), device=name)

    def _hardware(self, device: Device, name: DeviceId, disk: FaultyDisk) -> Hardware:
        files = self._files(device, name, disk)
        if self.flights is None:
            return files
        from drone_sim.flight.device import FlyingDevice  # noqa: PLC0415 - few need it

        return FlyingDevice(
            files,
            self.flights.vehicle(device),
            clock_error_s=lambda: self._clock_error_s(name),
            decode=self._decode_config,
        )

    def _clock_error_s(self, name: DeviceId) -> float | None:
        running = self._running.get(name)
        return None if running is None else running.agent.state().clock_error_s

    def _files(self, device: Device, name: DeviceId, disk: FaultyDisk) -> FileAndHook:
        fleet, active = self._options.fleet, self.active_file(name)
        return FileAndHook(
            fleet=FleetId(fleet.fleet),
            device=name,
            active=active,
            disk=disk,
            judges=(
                fits_name(fleet.config),
                fits_hardware(
                    kind=device.kind,
                    gimbal=fleet.profile_of(device),
                    decode=self._decode_config,
                ),
                fits_space(disk, active.parent),
            ),
        )

    def _changed(self, name: DeviceId) -> None:
        running, tell = self._running.get(name), self._options.on_change
        if running is None or tell is None:
            return
        state = running.agent.state()
        told = (state.version, state.digest, state.prepared, state.pending, state.outcome_txn)
        now = (*told, state.heuristic, state.operating, state.holds)
        if self._told.get(name) != now:
            self._told[name] = now
            tell(name, state)


def _flights(options: FleetOptions) -> Flights:
    from drone_sim.flight.fleet import Flights  # noqa: PLC0415 - loads numpy

    return Flights(
        options.fleet,
        seed=FLIGHT_SEED,
        clock=DeviceClock(),
        disk=options.disk(),
        directory=options.directory,
        audience=options.audience(DeviceId("flights")),
    )


def raise_descriptor_limit(devices: int) -> None:
    """Let this process connect every device. Raises OperatingError where it can't."""
    needed = DESCRIPTORS_BESIDE + DESCRIPTORS_PER_DEVICE * devices
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise OperatingError(
            f"{devices} devices need {needed} open files, this machine allows {hard}",
            exit_code=Exit.UNEXPECTED,
            next_command=f"ulimit -Hn {needed}, or --only some of the devices",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _unreachable(error: TransportUnavailable) -> OperatingError:
    return OperatingError(
        f"the devices can't connect: {error}",
        exit_code=Exit.UNREACHABLE,
        next_command="start a broker (aimctl broker run), or name another one with --broker",
    )
