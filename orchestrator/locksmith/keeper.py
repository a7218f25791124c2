"""
Keeps a held lock alive, and stops its holder when it no longer is.

A heartbeat is a touch of the lease, guarded by owner and epoch; safety never depends on it. The
holder stops itself after STOP_SELF_AFTER_S without a successful renewal, by its own monotonic
clock, so that it ends before anybody else may take over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from orchestrator.ports import Clock, Journal, StoreUnavailable
from orchestrator.protocol.lease import RENEW_EVERY_S, STOP_SELF_AFTER_S
from orchestrator.protocol.types import Epoch, FleetId, Owner


class Keeper:
    """
    Renews the lease of ``fleet`` under ``epoch``.

    ``lost`` is awaited once, when the lease is somebody else's or could not be renewed for too
    long; then :meth:`run` returns.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        fleet: FleetId,
        epoch: Epoch,
        owner: Owner,
        lost: Callable[[], Awaitable[None]],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._fleet = fleet
        self._epoch = epoch
        self._owner = owner
        self._lost = lost

    async def run(self) -> None:
        """Renew until cancelled or lost."""
        last = self._clock.monotonic()
        while True:
            await self._clock.sleep(RENEW_EVERY_S)
            try:
                ours = await self._journal.touch(self._fleet, self._epoch, self._owner)
            except StoreUnavailable:
                if self._clock.monotonic() - last < STOP_SELF_AFTER_S:
                    continue
                ours = False
            if not ours:
                await self._lost()
                return
            last = self._clock.monotonic()
