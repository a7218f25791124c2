"""Fleets for tests of the simulator."""

from __future__ import annotations

from orchestrator.staging.fleet import Device, FleetFile
from tests.agent.stub import CONFIG, FLEET


def fleet_of(*devices: str) -> FleetFile:
    """Return a fleet of drones."""
    members = tuple(Device(id=device, kind="drone") for device in devices)
    return FleetFile(fleet=FLEET, config=CONFIG, device=members)


def fleet_text(*devices: str) -> str:
    """Return the same fleet as TOML."""
    members = "".join(f'[[device]]\nid = "{device}"\nkind = "drone"\n' for device in devices)
    return f'fleet = "{FLEET}"\nconfig = "{CONFIG}"\n{members}'
