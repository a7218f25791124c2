"""
The lock manager as a service: answers every fleet's devices, and resolves the locks of ghosts.

Nothing that matters lives in its memory. What it does to a lock is the journal's: a clean-up has
begun with its ``LockTaken(RESOLVING)`` and is finished with ``LockReleased``, so whoever comes
after a crash finds it half done and goes on. A restart gives every lease a fresh TTL first: an
owner that could not renew while the store was away is not taken for a ghost (I20).
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import may_act_unasked
from orchestrator.locksmith.watch import Watch
from orchestrator.ports import OutcomeUnknown, StoreUnavailable, TransportUnavailable
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.device import Holding
from orchestrator.protocol.messages import DeviceMessage, Vote
from orchestrator.protocol.orchestration import Leases, Settle, Timing
from orchestrator.protocol.order import STALE
from orchestrator.protocol.ready import Level, notice
from orchestrator.protocol.records import LockState, Verb
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.service import locks
from orchestrator.service.resolution import contradicted
from orchestrator.service.resolving import Order, force_unlock
from orchestrator.service.results import LockView
from orchestrator.service.session import Session
from orchestrator.service.world import World

SWEEP_S: Final = 1.0
"""How often every lock is looked at."""

AGAIN_S: Final = 1.0
AGAIN_MAX_S: Final = 15.0
"""The first and the longest pause before a fleet that could not be served is tried again."""

_RESULTS: Final[Mapping[Exit, str]] = {
    Exit.DONE: "whole",
    Exit.ACTIVATING: "deferred",
    Exit.FENCED: "fenced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A fleet that is served, as its file has it; ``lease_s`` is its enable lease."""

    id: FleetId
    timing: Timing = field(default_factory=Timing)
    members: tuple[DeviceId, ...] = ()
    config: str = ""
    lease_s: float | None = None


class Server:
    """
    Serves ``fleets`` and every other fleet of the store. Run it until it is cancelled.

    What it knows beside the journal is for metrics alone, and counts from its start.
    """

    def __init__(self, world: World, fleets: Sequence[Served] = ()) -> None:
        self._world = world
        self._served = {one.id: one for one in fleets}
        self._watch = Watch()
        self._desks: dict[FleetId, Coordinator] = {}
        self._tasks: dict[FleetId, asyncio.Task[None]] = {}
        self._cleaning: dict[FleetId, asyncio.Task[None]] = {}
        self._doubts: dict[FleetId, dict[DeviceId, float]] = {}
        self._trouble: dict[FleetId, str] = {}
        self._results: Counter[str] = Counter()
        self._rejections: Counter[str] = Counter(device=0, holder=0)

    async def run(self) -> None:
        """
        Serve until cancelled. A fleet that can't be served is told, and keeps no other from it.

        Raises OperatingError where the store can't be used at the start, and what no fleet can be
        served after: a broken invariant.
        """
        try:
            await self._world.store.extend_leases()
        except StoreUnavailable as error:
            raise locks.unreachable(f"the store can't be written: {error}") from error
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._sweep(group)
                    await self._world.clock.sleep(SWEEP_S)
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    # --- what it is asked for metrics -----------------------------------------------------------

    def in_doubt(self) -> Mapping[FleetId, Mapping[DeviceId, float]]:
        """Return the devices of every fleet that are in doubt, and since when (UTC s)."""
        return {fleet: dict(self._doubts.get(fleet, {})) for fleet in self._tasks}

    def fence_rejections(self) -> Mapping[str, int]:
        """Return how often an old epoch was refused: by a ``device``, or to our own ``holder``."""
        return dict(self._rejections)

    def cleanup_runs(self) -> Mapping[str, int]:
        """Return how often a ghost's lock was cleaned up, by how that ended."""
        return dict(self._results)

    def not_ready(self) -> Mapping[FleetId, str]:
        """Return the fleets that can't be served for now, each with why."""
        return dict(self._trouble)

    # --- looking at every lock ------------------------------------------------------------------

    async def _sweep(self, group: asyncio.TaskGroup) -> None:
        """Look at every lock once: serve its fleet, clean up what a ghost has left."""
        try:
            fleets = sorted({*self._served, *await self._world.store.fleets()})
        except StoreUnavailable as error:
            self._say(Level.WARNING, "store-unavailable", why=str(error))
            return
        for fleet in fleets:
            if fleet not in self._tasks:
                self._tasks[fleet] = group.create_task(self._serve(fleet))
            self._note_doubts(fleet)
            try:
                await self._look(fleet, group)
            except OperatingError as error:
                self._trouble[fleet] = error.message
            except StoreUnavailable as error:
                self._trouble[fleet] = str(error)

    async def _look(self, fleet: FleetId, group: asyncio.TaskGroup) -> None:
        busy = self._cleaning.get(fleet)
        if busy is not None and not busy.done():
            return
        view = await locks.look(self._world, await locks.read_fleet(self._world, fleet))
        if view.lock.state is LockState.FREE or view.liveness is None:
            return
        if view.reseeding:
            return  # a person has begun it, and a person says who is given up
        held = (await self._world.store.leases(fleet)).get(view.lock.epoch)
        now = self._world.clock.monotonic()
        unchanged_s = 0.0 if held is None else self._watch.unchanged_s(held, now)
        if may_act_unasked(view.liveness, unchanged_s):
            self._cleaning[fleet] = group.create_task(self._clean_up(fleet, view))

    async def _clean_up(self, fleet: FleetId, view: LockView) -> None:
        """Resolve a ghost's lock, as `aimctl recover` does; idempotent, and anybody may go on."""
        evidence = () if view.liveness is None else view.liveness.evidence
        why = "; ".join(evidence)
        self._say(Level.WARNING, "clean-up", fleet=fleet, lock=view.id, why=why)
        served = self._facts(fleet)
        order = Order(
            fleet=fleet,
            epoch=view.lock.epoch,
            reason=f"expired: {why}",
            timing=served.timing,
            members=served.members,
            config=served.config,
            verb=Verb.EXPIRE,
            command="serve",
        )
        try:
            found = await force_unlock(self._world, order)
        except (StoreUnavailable, OutcomeUnknown) as error:
            self._results["failed"] += 1
            self._say(Level.ERROR, "clean-up-ended", why=str(error))
            return
        except OperatingError as error:
            lost = error.exit_code is Exit.PLAN_STALE
            self._results["outrun" if lost else "failed"] += 1
            self._say(Level.INFO if lost else Level.ERROR, "clean-up-ended", why=error.message)
            return
        self._results[_RESULTS.get(found.exit_code, "failed")] += 1
        if found.exit_code is Exit.FENCED:
            self._rejections["holder"] += 1
        self._say(Level.INFO, "clean-up-ended", fleet=fleet, why=found.message)

    def _facts(self, fleet: FleetId) -> Served:
        return self._served.get(fleet) or Served(id=fleet)

    def _note_doubts(self, fleet: FleetId) -> None:
        """Note who is in doubt now, and since when we know it."""
        desk, before = self._desks.get(fleet), self._doubts.get(fleet, {})
        now = self._world.clock.now()
        witness = {} if desk is None else desk.witness.devices
        self._doubts[fleet] = {
            device: before.get(device, now)
            for device, known in witness.items()
            if known.state is not None and Holding.DOUBT.value in known.state.holds
        }

    # --- answering a fleet's devices ------------------------------------------------------------

    async def _serve(self, fleet: FleetId) -> None:
        """Answer the devices of a fleet, for ever; after a trouble begin again."""
        pause_s = AGAIN_S
        while True:
            began = self._world.clock.monotonic()
            try:
                await self._answer(fleet)
            except (OperatingError, TransportUnavailable, StoreUnavailable) as error:
                self._trouble[fleet] = str(error)
                self._say(Level.WARNING, "not-served", fleet=fleet, why=str(error))
            if self._world.clock.monotonic() - began > AGAIN_MAX_S:
                pause_s = AGAIN_S  # it went well for a while
            await self._world.clock.sleep(pause_s)
            pause_s = min(2 * pause_s, AGAIN_MAX_S)

    async def _answer(self, fleet: FleetId) -> None:
        state, served = await locks.read_fleet(self._world, fleet), self._facts(fleet)
        installed = () if state.installed is None else tuple(state.installed.begun.digests)
        goal = Settle(
            until=math.inf,
            members=tuple(sorted({*served.members, *installed})),
            leases=Leases(lease_s=served.lease_s, keep=fleet not in self._served),
        )
        desk = Coordinator(state, goal=goal, timing=served.timing)
        async with self._world.connect(fleet) as transport:
            self._desks[fleet] = desk
            session = Session(self._world, desk, transport, self._seen)
            session.on_message = self._heard
            await session.run()
        raise StoreUnavailable("the store went away")

    def _seen(self, desk: Coordinator) -> None:
        """Note after every step whether the fleet is well served, or contradicts its journal."""
        if desk.contradiction is not None:
            self._trouble[desk.state.fleet] = contradicted(desk.contradiction)
        else:
            self._trouble.pop(desk.state.fleet, None)

    def _heard(self, message: DeviceMessage) -> None:
        if not isinstance(message, Vote) or message.yes:
            return
        if any(reason.startswith(STALE) for reason in message.reasons):
            self._rejections["device"] += 1

    def _say(self, level: Level, event: str, **detail: str | None) -> None:
        self._world.audience.tell(notice(level, event, **detail))
