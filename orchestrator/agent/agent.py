"""What a device runs: the participant core, hosted on a disk, a transport and a controller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final

from orchestrator.agent.device import Device
from orchestrator.agent.host import DeviceHost
from orchestrator.agent.lane import Offload, in_thread
from orchestrator.agent.slots import Slots
from orchestrator.driver import Driver
from orchestrator.errors import OperatingError
from orchestrator.faultpoints import FaultPoints
from orchestrator.ports import (
    Audience,
    Clock,
    Ids,
    Reconnected,
    Transport,
    TransportUnavailable,
)
from orchestrator.protocol.device import Arrived, Connected, Effect, Event, Tick, Write
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.ready import Level, Ready, notice
from orchestrator.protocol.types import Plan

CONNECT_AGAIN_S: Final = 0.5
CONNECT_AGAIN_MAX_S: Final = 10.0

Connect = Callable[[], Awaitable[None]]
OnStep = Callable[[Event, Ready[Write, Effect]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPorts:
    """The world of one agent. ``offload`` runs what blocks; ``faults`` is for tests."""

    device: Device
    transport: Transport
    clock: Clock
    ids: Ids
    audience: Audience
    offload: Offload = in_thread
    faults: FaultPoints = field(default_factory=FaultPoints)


class Agent:
    """
    One device. :meth:`run` it until it is cancelled.

    ``slots`` are open, and closed by the caller after :meth:`run` has ended. ``decode_plan``
    reads a plan blob; it raises ValueError or OperatingError for one that is none. ``connect``
    makes the transport's first session: it is tried until it succeeds, while the device already
    follows its own record. Without it the caller has connected. ``on_step`` is called after
    every step of the core.
    """

    def __init__(
        self,
        slots: Slots,
        ports: AgentPorts,
        *,
        decode_plan: Callable[[bytes], Plan],
        connect: Connect | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        self._ports = ports
        self._connect = connect
        durable, lost = slots.found()
        for digest in lost:
            ports.audience.tell(notice(Level.ERROR, "configuration-lost", digest=digest))
        self.participant = Participant(
            durable, boot=ports.ids.new(), decode_plan=_reading(decode_plan)
        )
        self._host = DeviceHost(
            slots=slots,
            device=ports.device,
            transport=ports.transport,
            clock=ports.clock,
            audience=ports.audience,
            faults=ports.faults,
            offload=ports.offload,
            tell=self._tell,
        )
        self._driver: Driver[Write, Effect, Event] = Driver(
            self.participant, self._host, tick=Tick, audience=ports.audience, on_step=on_step
        )

    def state(self) -> DeviceState:
        """Return what the device would tell of itself now."""
        return self.participant.state(self._ports.clock.now())

    def _tell(self, event: Event) -> None:
        self._driver.tell(event)

    async def run(self) -> None:
        """
        Run until cancelled, or until the transport is closed.

        An exception of any part (a broken invariant, say) ends the whole agent and is raised:
        a device that went on without one of its parts would keep promises by luck.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in self._parts()]
                await self._listen()
                for task in tasks:
                    task.cancel()
        except BaseExceptionGroup as several:
            if len(several.exceptions) == 1:
                raise several.exceptions[0] from None
            raise

    def _parts(self) -> list[Coroutine[None, None, None]]:
        parts = [self._drive(), *(lane.run() for lane in self._host.lanes)]
        if self._connect is not None:
            parts.append(self._connect_patiently(self._connect))
        return parts

    async def _drive(self) -> None:
        """
        Step the core, first of all with a tick: the file follows the record at once.

        Before that the core tells the controller to hold: it may have gone on while the agent
        was down.
        """
        self._tell(Tick())
        await self._driver.run(until=lambda: False)

    async def _listen(self) -> None:
        async for received in self._ports.transport.receive():
            if isinstance(received, Reconnected):
                self._tell(Connected())
            else:
                self._tell(Arrived(message=received.message, at=received.at))

    async def _connect_patiently(self, connect: Connect) -> None:
        """Try until there is a session: a device starts before its network does."""
        pause_s = CONNECT_AGAIN_S
        while True:
            try:
                await connect()
            except TransportUnavailable as error:
                told = notice(Level.WARNING, "broker-unreachable", reason=str(error))
                self._ports.audience.tell(told)
            else:
                return
            await self._ports.clock.sleep(pause_s)
            pause_s = min(2 * pause_s, CONNECT_AGAIN_MAX_S)


def _reading(decode_plan: Callable[[bytes], Plan]) -> Callable[[bytes], Plan]:
    """Let a plan that is none be a ValueError, which is what the core knows."""

    def read(data: bytes) -> Plan:
        try:
            return decode_plan(data)
        except OperatingError as error:
            raise ValueError(error.message) from error

    return read
