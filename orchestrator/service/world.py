"""Everything that a use case asks of the world, in one value; ``wiring`` makes the real one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from orchestrator.faultpoints import FaultPoints
from orchestrator.locksmith.processes import ProcessTable
from orchestrator.ports import Audience, Clock, Ids, Store, Transport
from orchestrator.protocol.types import FleetId

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
