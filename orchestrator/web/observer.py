"""What the web face asks of the server that it belongs to, beside the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.protocol.orchestration import Timing
from orchestrator.protocol.types import DeviceId, FleetId


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the file of a fleet says; the defaults stand where there is no file."""

    timing: Timing = field(default_factory=Timing)
    members: tuple[DeviceId, ...] = ()
    config: str = ""


Known = Callable[[FleetId], Facts | None]
"""
Returns what is known of a fleet that is served or has a file; ``None`` of any other.

Only a fleet that is known, or that the store has already, can be locked: whoever has the token
must not be able to fill the store with journals of fleets that do not exist.
"""


class Observer(Protocol):
    """
    What only the running server knows. Each call is cheap, never waits and never raises.

    Counts begin at zero with the process, as monitoring systems expect of a counter.
    """

    def in_doubt(self) -> Mapping[FleetId, Mapping[DeviceId, float]]:
        """Return, for every fleet that is served, its devices in doubt and since when (UTC s)."""
        ...

    def fence_rejections(self) -> Mapping[str, int]:
        """Return how often an old epoch was refused, by who refused it: ``device``, ``holder``."""
        ...

    def cleanup_runs(self) -> Mapping[str, int]:
        """Return how often a ghost's lock was cleaned up, by how that ended."""
        ...

    def not_ready(self) -> Mapping[FleetId, str]:
        """Return the served fleets that can't be worked for now, each with why."""
        ...
