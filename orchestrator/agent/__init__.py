"""
What a real device runs.

:class:`Agent` hosts the participant core; :func:`open_slots` opens what the device keeps on its
disk; :class:`FileAndHook` is the device adapter for a controller that is told by a command,
:mod:`orchestrator.agent.mavlink` the one for an autopilot. What the device is doing has a say in
its vote (:mod:`orchestrator.agent.flight`): an autopilot tells it, and beside a hook a file does.
:mod:`orchestrator.agent.os_disk`, ``processes`` and ``machine`` are the adapters of this machine.
"""

from __future__ import annotations

from orchestrator.agent.agent import Agent, AgentPorts
from orchestrator.agent.device import (
    Device,
    DeviceRefused,
    Judge,
    fits_hardware,
    fits_name,
    fits_space,
)
from orchestrator.agent.disk import Disk
from orchestrator.agent.flight import (
    STATE_AGE_MAX_S,
    FlightFile,
    FlightRules,
    FlightSaid,
    fits_flight,
)
from orchestrator.agent.hook import HOOK_TIMEOUT_S, FileAndHook, Hook, parse_hook
from orchestrator.agent.site import Site
from orchestrator.agent.slots import Slots, open_slots

__all__ = [
    "HOOK_TIMEOUT_S",
    "STATE_AGE_MAX_S",
    "Agent",
    "AgentPorts",
    "Device",
    "DeviceRefused",
    "Disk",
    "FileAndHook",
    "FlightFile",
    "FlightRules",
    "FlightSaid",
    "Hook",
    "Judge",
    "Site",
    "Slots",
    "fits_flight",
    "fits_hardware",
    "fits_name",
    "fits_space",
    "open_slots",
    "parse_hook",
]
