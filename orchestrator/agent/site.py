"""Where a device's adapter works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.agent.device import Judge
from orchestrator.agent.disk import Disk
from orchestrator.agent.flight import FlightRules
from orchestrator.agent.lane import Offload, in_thread
from orchestrator.faultpoints import FaultPoints
from orchestrator.ports import Audience, Clock
from orchestrator.protocol.types import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """
    Where a device's adapter works: its state directory, its active file, and its world.

    ``judges`` are the checks of row D1 that need no autopilot; ``rules`` is the policy that
    its flight state must keep to; ``own`` is what its record says that it runs.
    """

    state: Path
    active: Path
    disk: Disk
    clock: Clock
    audience: Audience
    faults: FaultPoints
    judges: Sequence[Judge] = ()
    rules: FlightRules | None = None
    own: Digest | None = None
    offload: Offload = in_thread
