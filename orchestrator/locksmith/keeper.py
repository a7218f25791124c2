"""
Keeps a claim alive, a held lock or a place in its queue, and stops its owner when it no longer is.

A heartbeat is a touch of the lease, guarded by claim and owner; safety never depends on it. The
owner stops itself after STOP_SELF_AFTER_S without a successful renewal, by its own monotonic
clock, so that it ends before anybody else may take over. That clock is looked at before anything
is claimed: whoever was paused, or has waited for a store that hangs, stops at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

from orchestrator.ports import Claim, Clock, Journal, OutcomeUnknown, StoreUnavailable
from orchestrator.protocol.lease import RENEW_EVERY_S, STOP_SELF_AFTER_S
from orchestrator.protocol.types import FleetId, Owner

LOOK_AGAIN_S: Final = 1.0


class Lost(StrEnum):
    """
    Why a claim is kept no longer.

    TAKEN: the store says that it is not ours (any more): taken over, released, granted or
    withdrawn. UNRENEWABLE: no renewal has succeeded for STOP_SELF_AFTER_S; it may still be ours,
    but not for long.
    """

    TAKEN = "taken"
    UNRENEWABLE = "unrenewable"


class Keeper:
    """
    Renews the lease of ``claim``: the epoch of a holder, or the ticket of a waiter.

    ``lost`` is awaited once, with the reason; then :meth:`run` returns. ``since`` is the monotonic
    instant before the append that began the lease; without it the lease is taken to begin now.
    Whoever gives its claim back, or has its ticket granted, ends :meth:`run` first, or will be
    told that the claim was TAKEN.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        *,
        fleet: FleetId,
        claim: Claim,
        owner: Owner,
        lost: Callable[[Lost], Awaitable[None]],
        since: float | None = None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._fleet = fleet
        self._claim = claim
        self._owner = owner
        self._lost = lost
        self._renewed = clock.monotonic() if since is None else since

    async def run(self) -> None:
        """Renew until cancelled or lost."""
        await self._lost(await self._until_lost())

    async def _until_lost(self) -> Lost:
        tried = self._renewed
        while True:
            await self._sleep_until(min(tried + RENEW_EVERY_S, self._stop_at()))
            tried = self._clock.monotonic()
            if tried >= self._stop_at():
                return Lost.UNRENEWABLE
            ours = await self._touch()
            if ours is False:
                return Lost.TAKEN
            if ours:
                # From when it was sent: the store has stamped it then or later.
                self._renewed = tried

    def _stop_at(self) -> float:
        return self._renewed + STOP_SELF_AFTER_S

    async def _touch(self) -> bool | None:
        """Renew, for as long as there is time; ``None`` where it is not known to have worked."""
        touching = asyncio.ensure_future(
            self._journal.touch(self._fleet, self._claim, self._owner)
        )
        limit = asyncio.ensure_future(self._sleep_until(self._stop_at()))
        try:
            await asyncio.wait({touching, limit}, return_when=asyncio.FIRST_COMPLETED)
            return touching.result() if touching.done() else None
        except (StoreUnavailable, OutcomeUnknown):
            return None
        finally:
            limit.cancel()
            _abandon(touching)

    async def _sleep_until(self, at: float) -> None:
        # The loop's clock stands still while the machine sleeps, ours does not: so look at ours
        # now and then.
        while (left_s := at - self._clock.monotonic()) > 0.0:
            await self._clock.sleep(min(left_s, LOOK_AGAIN_S))


def _abandon(touching: asyncio.Future[bool]) -> None:
    """Cancel, and never wait: a touch that hangs may not obey, and its owner must stop now."""
    touching.cancel()  # of no effect on one that has ended: its exception is taken note of
    touching.add_done_callback(_forget)


def _forget(touching: asyncio.Future[bool]) -> None:
    """Take note of how an abandoned touch ended, so that nobody is told of it later."""
    if not touching.cancelled():
        touching.exception()
