"""
An autopilot as a device: parameters by MAVLink, and hold by the gimbal manager protocol.

:class:`MavlinkDevice` is the adapter, :func:`open_link` its link. pymavlink is named in
``codec`` alone; tests and the simulator bring a link of their own.
"""

from __future__ import annotations

from orchestrator.agent.mavlink.device import MavlinkDevice, MavlinkParts
from orchestrator.agent.mavlink.journal import SetJournal
from orchestrator.agent.mavlink.made import mavlink_device
from orchestrator.agent.mavlink.open import open_link
from orchestrator.agent.mavlink.state import Flight
from orchestrator.agent.mavlink.unit import ParameterSet
from orchestrator.agent.mavlink.vehicle import Patience, Rejected, Setting, Silent, Vehicle

__all__ = [
    "Flight",
    "MavlinkDevice",
    "MavlinkParts",
    "ParameterSet",
    "Patience",
    "Rejected",
    "SetJournal",
    "Setting",
    "Silent",
    "Vehicle",
    "mavlink_device",
    "open_link",
]
