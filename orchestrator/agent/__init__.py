"""
What a real device runs.

:class:`Agent` hosts the participant core; :func:`open_slots` opens what the device keeps on its
disk; :class:`FileAndHook` is the device adapter for a controller that is told by a command.
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
from orchestrator.agent.hook import HOOK_TIMEOUT_S, FileAndHook, Hook, parse_hook
from orchestrator.agent.slots import Slots, open_slots

__all__ = [
    "HOOK_TIMEOUT_S",
    "Agent",
    "AgentPorts",
    "Device",
    "DeviceRefused",
    "Disk",
    "FileAndHook",
    "Hook",
    "Judge",
    "Slots",
    "fits_hardware",
    "fits_name",
    "fits_space",
    "open_slots",
    "parse_hook",
]
