"""Everything that a use case asks of the world, in one value; ``wiring`` makes the real one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from orchestrator.faultpoints import FaultPoints
from orchestrator.locksmith.processes import ProcessTable
from orchestrator.ports import Audience, Clock, Ids, Stamp, Store, Transport
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.types import FleetId, Owner

Connect = Callable[[FleetId], AbstractAsyncContextManager[Transport]]
"""Makes the orchestrator's transport of a fleet; entering it raises TransportUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports of one orchestrator process. ``program`` is shown as the owner of its locks."""

    store: Store
    connect: Connect
    clock: Clock
    ids: Ids
    audience: Audience
    processes: ProcessTable
    faults: FaultPoints
    program: str = "aimctl"
    folds: dict[FleetId, FleetState] = field(default_factory=dict)
    """The last fold of each fleet that was read from ``store``; see ``locks.read_fleet``."""

    def stamp(self) -> Stamp:
        """Return this instant by both clocks: what a lease is judged by."""
        clock = self.clock
        return Stamp(utc_s=clock.now(), boot_id=self.processes.boot_id, boot_s=clock.monotonic())

    def me(self, purpose: str) -> Owner:
        """Return this process as the owner of a lock."""
        return self.processes.me(f"{self.program} {purpose}")
