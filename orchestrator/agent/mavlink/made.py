"""Puts the adapter together: a link, the autopilot on it, the journal, the active file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.agent.active import ActiveFile
from orchestrator.agent.mavlink.device import TABLES, MavlinkDevice, MavlinkParts
from orchestrator.agent.mavlink.journal import SetJournal
from orchestrator.agent.mavlink.link import Link
from orchestrator.agent.mavlink.unit import ParameterSet
from orchestrator.agent.mavlink.vehicle import Patience, Vehicle
from orchestrator.agent.site import Site
from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import DiskError


@asynccontextmanager
async def mavlink_device(
    link: Link, site: Site, *, autopilot: str | None = None, patience: Patience | None = None
) -> AsyncIterator[MavlinkDevice]:
    """
    Make the adapter on an open link, and keep it running until the block ends.

    Raises OperatingError for a journal that is damaged. An exception of the link's tasks ends
    the block.
    """
    journal = SetJournal(site.disk, site.state)
    try:
        await site.offload(journal.open)
    except DiskError as error:
        raise OperatingError(
            f"the journal of the parameters can't be read: {error}",
            exit_code=Exit.UNEXPECTED,
            next_command="check the disk and its permissions",
        ) from error
    vehicle = Vehicle(
        link,
        site.clock,
        bytewise=lambda number: number in TABLES and TABLES[number].bytewise,
        patience=patience,
    )
    parts = MavlinkParts(
        active=ActiveFile(site.disk, site.active),
        vehicle=vehicle,
        parameters=ParameterSet(vehicle, journal, offload=site.offload, faults=site.faults),
        clock=site.clock,
        audience=site.audience,
        judges=site.judges,
        rules=site.rules,
        offload=site.offload,
    )
    device = MavlinkDevice(parts, own=site.own, autopilot=autopilot)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(device.run())
            try:
                yield device
            finally:
                running.cancel()
    except BaseExceptionGroup as several:
        if len(several.exceptions) == 1:
            raise several.exceptions[0] from None
        raise
