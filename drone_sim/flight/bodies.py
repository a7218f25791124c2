"""Which body a kind has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drone_sim.flight.arm import ArmBody
from drone_sim.flight.body import Body, Standing
from drone_sim.flight.drone import DroneBody
from drone_sim.flight.node import NodeBody
from orchestrator.staging.models import Kind
from orchestrator.staging.policy import Policy

BODIES: Final[Mapping[str, type[Body]]] = {"drone": DroneBody, "arm": ArmBody, "node": NodeBody}


def body_of(kind: Kind, *, seed: int, device: str, policy: Policy) -> Body:
    """Return the body of a device; a kind that is not known to move stands."""
    return BODIES.get(kind, Standing)(seed=seed, device=device, policy=policy)
