"""Scenarios that happen to somebody's own fleet: its devices, its timing, the seed's faults."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drone_sim.scenario import swarm
from drone_sim.scenario.model import Pace, Scenario, SimulatedDevice
from orchestrator.staging.fleet import FleetFile


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFleet:
    """The source of scenarios on one fleet. ``pace`` is the timing of its file."""

    devices: tuple[SimulatedDevice, ...]
    pace: Pace

    def __call__(self, seed: int) -> Scenario:
        """Draw all but the devices and the timing; the join window is no matter of the file."""
        scenario = swarm.draw(seed, devices=self.devices)
        return replace(scenario, pace=replace(self.pace, join_s=scenario.pace.join_s))


def on_fleet(fleet: FleetFile) -> OnFleet:
    """Return the source of scenarios on the fleet of this file."""
    timing = fleet.timing
    return OnFleet(
        devices=tuple(SimulatedDevice(id=one.id, kind=one.kind) for one in fleet.device),
        pace=Pace(
            window_s=timing.window_s,
            clock_error_s=timing.clock_error_ms / 1e3,
            settle_s=timing.settle_s,
            lease_s=timing.lease_s,
        ),
    )
