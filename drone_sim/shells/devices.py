"""
A simulated device: a computer that runs the real agent, its disk, clock, battery and controller.

The agent is :class:`orchestrator.agent.Agent` with the real slots and the real "file and hook"
adapter, on a disk that forgets what was not synced. What it durably is and what its controller
truly aims with is told to the :class:`~.truth.Truth` whenever it changes: that is what it is
judged by, never what it says of itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drone_sim.disk import PowerLost
from drone_sim.scenario.model import SimulatedDevice
from drone_sim.shells.battery import Battery
from drone_sim.shells.computer import ACTIVE_DIRECTORY, STATE, Computer, Site
from drone_sim.shells.fleetware import decode_config_once, decode_plan_once
from drone_sim.shells.ids import SimIds
from drone_sim.shells.insight import Insight
from drone_sim.shells.loop import Process
from drone_sim.shells.seams import SimFaults
from drone_sim.shells.transport import SimTransport
from drone_sim.trace import Kind
from orchestrator.agent import (
    Agent,
    AgentPorts,
    FileAndHook,
    Hook,
    fits_hardware,
    fits_name,
    fits_space,
    open_slots,
)
from orchestrator.errors import OperatingError
from orchestrator.ports import DiskError
from orchestrator.protocol.device import Check
from orchestrator.protocol.ready import Notice
from orchestrator.transport.topics import Device as DeviceRole

BOOT_S: Final = (0.05, 0.3)
"""How long a computer takes to start its agent: the shortest, the longest."""

HEALED_PERCENT: Final = 80.0


class SimDevice(Computer):
    """
    One device. ``refuses`` are reasons of its own against every configuration, by their cause.

    ``agent`` is there while it runs.
    """

    def __init__(self, site: Site, described: SimulatedDevice) -> None:
        super().__init__(site, described)
        self.client_id = f"aim-{site.ware.id}-{self.id}"
        flies = site.ware.device(self.id).kind == "drone"
        self.battery = Battery(described.battery_percent, flies=flies)
        self.refuses: dict[object, str] = {}
        self.agent: Agent | None = None
        self._transport: SimTransport | None = None
        self.insight = Insight(self)
        self.refused = False
        """Whether its agent does not start, by what stands on its disk."""

        self._charge: float | None = None

    def _has_power(self) -> bool:
        return self.battery.look()

    @property
    def connected(self) -> bool:
        """Whether it has a session, and the broker one of it."""
        transport = self._transport
        mine = self.up and transport is not None and transport.connected
        return mine and self.client_id in self.site.broker.client_ids()

    def _stopped(self) -> None:
        self.agent = self._transport = None
        self.insight.ended()

    def _aim_changed(self) -> None:
        self.battery.hovers = self.controller.operating is None
        self.insight.tell()

    # --- people ---------------------------------------------------------------------------------

    def drain(self, percent: float) -> None:
        """Let the battery read so much; with nothing left the device is off."""
        if self._charge is None:
            self._charge = self.battery.percent
        self.battery.set(percent)
        self.look_at_battery()

    def charge(self) -> None:
        """Let the battery read what it did before it was drained."""
        if self._charge is not None:
            self.battery.set(self._charge)
            self._charge = None
            self._come_back_charged()

    def look_at_battery(self) -> None:
        """Land, or go off, where the charge asks for it."""
        if not self.battery.look():
            self.fail(None)

    def _come_back_charged(self) -> None:
        if not self.up and self.down_until_s is None and not self.refused:
            self.power_on()

    def heal(self) -> None:
        """Repair everything: a record that can't be trusted goes with its unit."""
        self.lie(lies=False)
        self.battery.set(max(self.battery.percent, HEALED_PERCENT))
        self.go_on()
        if self.refused:
            self.refused = False
            self.replace()
        elif not self.up:
            self.power_on()

    # --- its agent ------------------------------------------------------------------------------

    async def _run(self, process: Process) -> None:
        """Run the agent until the power goes; what it can't do at all is told."""
        await self.clock.sleep(self.chance.uniform(*BOOT_S))
        try:
            await self._run_agent(process)
        except OperatingError as error:
            self.tell_refusal(error)
        except PowerLost:
            if process.alive:
                self.fail(self.next_down_s)
        except Exception as error:  # noqa: BLE001 - whatever it is, the program is at fault
            if process.alive:
                self.truth.broke(self.id, error)

    async def _run_agent(self, process: Process) -> None:
        site = self.site
        slots = open_slots(self.disk, STATE, fleet=site.ware.id, device=self.id)
        self._slots = slots
        self._worked()
        self._transport = transport = SimTransport(
            site.broker,
            fleet=site.ware.id,
            role=DeviceRole(id=self.id),
            client_id=self.client_id,
            clock=self.clock,
            audience=self,
            link=self.id,
            on_send=lambda message, to: self.truth.sent(self.id, message, to),
        )
        ports = AgentPorts(
            device=self._hardware(),
            transport=transport,
            clock=self.clock,
            ids=SimIds(site.seed, self.id, self.boots),
            audience=self,
            offload=self.offload,
            faults=SimFaults(process, site.seams),
        )
        self.agent = Agent(
            slots,
            ports,
            decode_plan=decode_plan_once,
            connect=transport.connect,
            on_step=self.insight.stepped,
        )
        self.insight.began()
        await self.agent.run()

    def _hardware(self) -> FileAndHook:
        ware = self.site.ware
        return FileAndHook(
            fleet=ware.id,
            device=self.id,
            active=self.active,
            disk=self.disk,
            judges=(
                fits_name(ware.fleet.config),
                fits_hardware(
                    kind=ware.device(self.id).kind,
                    gimbal=ware.gimbal_of(self.id),
                    decode=decode_config_once,
                ),
                fits_space(self.disk, STATE, ACTIVE_DIRECTORY),
                self.battery.judge,
                self._judge,
            ),
            hook=Hook(argv=("controller",), commands=self.controller),
            offload=self.offload,
        )

    def _judge(self, _check: Check) -> Iterable[str]:
        """Say no for a reason of its own."""
        if self.disk.full:
            yield f"disk: {STATE} has 0 bytes free"
        yield from self.refuses.values()

    def tell(self, notice: Notice) -> None:
        """Tell a notice of its agent; see :class:`orchestrator.ports.Audience`."""
        self.truth.noticed(self.id, notice)

    def tell_refusal(self, error: OperatingError) -> None:
        """
        Tell why the agent does not start.

        Where its disk does not let it, it is started again, as whoever looks after programs does;
        where it can't trust what stands there a person must come, which is when all is healed.
        """
        self.truth.note(Kind.NOTICE, self.id, error.message)
        self._stays_on = self.expected = True
        if isinstance(error.__cause__, DiskError):
            self.truth.checker.count("disk-write-failed")
        else:
            self.refused, self.next_down_s = True, None
