"""Stories for the scripts: three devices on good links, and a push."""

from __future__ import annotations

from drone_sim.scenario.model import Act, Scenario, SimulatedDevice, Verb

PUSH = Act(at_s=0.0, verb=Verb.PUSH, who="mira")


def scenario(*acts: Act, devices: int = 3, fresh: bool = False) -> Scenario:
    """A fleet to which this happens."""
    made = tuple(SimulatedDevice(id=f"d-{number}") for number in range(1, devices + 1))
    return Scenario(name="story", seed=1, devices=made, acts=acts, fresh=fresh)
