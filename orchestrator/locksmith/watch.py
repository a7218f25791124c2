"""
Since when have we seen a lease stand still? By our own clock. Pure.

Two machines have two wall clocks, and either may be wrong. Whoever wants to take a lock from an
owner on another machine therefore also watches the lease itself, as Kubernetes' leader election
does: what has not changed for a whole TTL of *our* time has not been renewed for that long.
"""

from __future__ import annotations

from typing import Final

from orchestrator.ports import Claim, Lease
from orchestrator.protocol.types import FleetId

WATCHED_MAX: Final = 4096
"""How many leases are remembered; who is forgotten is only taken over later."""


class Watch:
    """
    Remembers each lease as it was seen, and since when.

    The caller asks with every lease that it has just read, each time that it reads: what was not
    asked about for the longest time is forgotten when there are too many.
    """

    def __init__(self, watched_max: int = WATCHED_MAX) -> None:
        self._watched_max = watched_max
        self._seen: dict[tuple[FleetId, Claim], tuple[Lease, float]] = {}

    def unchanged_s(self, lease: Lease, monotonic_now: float) -> float:
        """Return for how long the lease has been seen as it is; 0 at first sight."""
        key = (lease.fleet, lease.claim)
        seen, since = self._seen.pop(key, (lease, monotonic_now))
        if seen != lease:
            since = monotonic_now
        self._seen[key] = (lease, since)
        if len(self._seen) > self._watched_max:
            del self._seen[next(iter(self._seen))]
        return max(0.0, monotonic_now - since)
