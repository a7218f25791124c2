"""
A simulated autopilot at the far end of a MAVLink link, with everything that can go wrong there.

:class:`SimulatedAutopilot` answers packets and knows no socket; :func:`flying` puts it on a UDP
port, and so does ``drone-sim autopilot``.
"""

from __future__ import annotations

from drone_sim.autopilot.udp import Flying, InFile, flying
from drone_sim.autopilot.vehicle import Faults, InMemory, Kind, SimulatedAutopilot, Store

__all__ = [
    "Faults",
    "Flying",
    "InFile",
    "InMemory",
    "Kind",
    "SimulatedAutopilot",
    "Store",
    "flying",
]
