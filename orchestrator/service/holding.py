"""
Holding a lock: take it in turn, keep it alive, give it back.

The queue is in the journal, first in, first out (I26). Whoever waits keeps their place alive by a
lease of its own, and whoever finds a dead one before them takes it out: a dead waiter blocks
nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import Verdict
from orchestrator.ports import StoreUnavailable
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import LockState, Record
from orchestrator.protocol.types import Epoch, FleetId, Owner, Ticket
from orchestrator.service import locks
from orchestrator.service.locks import Held
from orchestrator.service.results import LockView
from orchestrator.service.world import World

POLL_S: Final = 0.1
"""How often a waiter looks whether it is its turn."""

OnWait = Callable[[LockView], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """
    What a lock is wanted for, and how long to wait for it (``None``: not at all).

    ``owner`` is this process unless it holds the lock for somebody else. ``on_wait`` is told who
    is before us, at the start and whenever that changes. ``on_grant`` is told of the lock as soon
    as it is ours: whoever may be cancelled before :func:`acquire` returns gives it back by that.
    """

    purpose: str
    wait_s: float | None = None
    owner: Owner | None = None
    on_wait: OnWait | None = None
    on_grant: Callable[[Held], None] | None = None


async def acquire(world: World, fleet: FleetId, want: Want) -> Held | LockView:
    """
    Take the free lock (row L), durably, in turn; or return who has it, for :func:`locks.hot`.

    The caller must keep it alive, drive its transaction to the end and release. Cancelled while
    it waits, it leaves the queue.
    """
    owner = world.me(want.purpose) if want.owner is None else want.owner
    state = await locks.read_fleet(world, fleet)
    found = await _try(world, state, owner, want, None)
    if isinstance(found, Held):
        return found
    if want.wait_s is None:
        return await locks.look(world, found)
    return await _Place(world, found, owner, want).wait(want.wait_s)


class _Place:
    """A place in the queue."""

    def __init__(self, world: World, state: FleetState, owner: Owner, want: Want) -> None:
        self._world = world
        self._fleet = state.fleet
        self._state = state
        self._owner = owner
        self._want = want
        self._ticket: Ticket | None = None
        self._renew_at = 0.0
        self._told: object = None

    async def wait(self, wait_s: float) -> Held | LockView:
        """Wait in line until it is our turn and the lock is free, or time is up."""
        clock = self._world.clock
        until = clock.monotonic() + wait_s
        held = None
        try:
            while held is None:
                await self._keep()
                held = await self._try()
                if held is None:
                    view = await self._look()
                    if clock.monotonic() >= until:
                        return view
                    await clock.sleep(min(POLL_S, max(0.0, until - clock.monotonic())))
            return held
        finally:
            if held is None:
                await self._leave()

    async def _try(self) -> Held | None:
        state = await locks.refresh(self._world, self._state)
        found = await _try(self._world, state, self._owner, self._want, self._ticket)
        if isinstance(found, Held):
            return found
        self._state = found
        return None

    async def _keep(self) -> None:
        """Stand in line, and keep the place alive; whoever was passed over stands at the end."""
        clock = self._world.clock
        if self._ticket is not None and clock.monotonic() < self._renew_at:
            return
        self._renew_at = clock.monotonic() + lease.RENEW_EVERY_S
        if self._ticket is not None:
            with suppress(StoreUnavailable):
                if await self._world.store.touch(self._fleet, self._ticket, self._owner):
                    return
                self._ticket = None
        if self._ticket is None:
            await self._stand(Ticket(self._world.ids.new()))

    async def _stand(self, ticket: Ticket) -> None:
        def rule(state: FleetState) -> tuple[Record, ...]:
            asked = lease.queue(state, self._owner, self._want.purpose, ticket)
            if isinstance(asked, lease.Refused):
                raise OperatingError(
                    asked.why, exit_code=Exit.HOT, next_command="aimctl lock list"
                )
            return asked

        await locks.change(self._world, self._fleet, rule)
        self._ticket = ticket

    async def _look(self) -> LockView:
        view = await locks.look(self._world, self._state)
        before = [one.waiter.ticket for one in view.waiters]
        facts = (view.lock.epoch, before.index(self._ticket) if self._ticket in before else None)
        if self._want.on_wait is not None and facts != self._told:
            self._told = facts
            self._want.on_wait(view)
        return view

    async def _leave(self) -> None:
        if self._ticket is None:
            return
        gone = (self._ticket,)
        with suppress(OperatingError):  # its lease runs out, and then it is passed over
            await locks.change(
                self._world,
                self._fleet,
                lambda state: lease.withdraw(state, gone, self._owner, "left the queue"),
            )


async def _try(
    world: World, state: FleetState, owner: Owner, want: Want, ticket: Ticket | None
) -> Held | FleetState:
    """Take the lock if it is free and nobody alive is before us; else return what it is now."""
    state = await _without_the_dead(world, state, owner, ticket)
    for _ in range(locks.TRIES_MAX):
        grant = lease.acquire(state, owner, want.purpose, ticket)
        if isinstance(grant, lease.Hot):
            return state
        since = world.clock.monotonic()
        after = await locks.append(world, state, grant)
        if after is not None:
            held = Held(state=after, epoch=after.lock.epoch, owner=owner, since=since)
            if want.on_grant is not None:
                want.on_grant(held)
            return held
        state = await locks.refresh(world, state)
    raise locks.unreachable(f"the journal of {state.fleet} is too busy")


async def _without_the_dead(
    world: World, state: FleetState, by: Owner, mine: Ticket | None
) -> FleetState:
    """Take out of the queue who is dead, all in one append; the reason is the evidence."""
    if not state.lock.waiters:
        return state
    dead = {
        one.waiter.ticket: f"gone: {'; '.join(one.liveness.evidence)}"
        for one in (await locks.look(world, state)).waiters
        if one.waiter.ticket != mine and one.liveness.verdict is Verdict.GHOST
    }
    if not dead:
        return state

    def rule(now: FleetState) -> tuple[Record, ...]:
        gone = (lease.withdraw(now, (ticket,), by, why) for ticket, why in dead.items())
        return tuple(record for records in gone for record in records)

    return await locks.change(world, state.fleet, rule)


async def undo(world: World, granted: list[Held]) -> None:
    """Give back what was granted to somebody who is not there any more to take it."""
    for held in granted:
        with suppress(OperatingError):  # its lease runs out, and then it is a ghost's
            await release(world, held.state.fleet, held.epoch, held.owner)


# --- keeping and giving back --------------------------------------------------------------------


async def renew(world: World, fleet: FleetId, epoch: Epoch, owner: Owner) -> None:
    """
    Renew the lease of a held lock, once (I21).

    Raises OperatingError: fenced (7) where the lock is no longer that epoch's or that owner's.
    """
    try:
        ours = await world.store.touch(fleet, epoch, owner)
    except StoreUnavailable as error:
        raise locks.unreachable(f"the store can't be written: {error}") from error
    if not ours:
        raise fenced(await locks.read_fleet(world, fleet), epoch, owner)


async def release(
    world: World, fleet: FleetId, epoch: Epoch, owner: Owner, reason: str | None = None
) -> FleetState:
    """
    Give the lock back: by its owner alone, with nothing open.

    Raises OperatingError: 7 for an owner that is fenced, 6 for a foreign one or an open
    transaction.
    """

    def rule(state: FleetState) -> tuple[Record, ...]:
        check_owner(state, epoch, owner)
        if state.open is not None:
            raise OperatingError(
                f"txn {state.open.begun.seq} is open under {fleet}@{epoch}: a lock is not freed"
                " in the middle of one",
                exit_code=Exit.HOT,
                next_command=f"aimctl lock force-unlock {fleet}@{epoch} --dry-run",
            )
        records = lease.release(state, epoch, owner, reason)
        if isinstance(records, lease.NotTheLock):
            raise locks.not_the_lock(state, epoch)
        return records

    return await locks.change(world, fleet, rule)


def check_owner(state: FleetState, epoch: Epoch, owner: Owner) -> None:
    """Raise OperatingError unless ``owner`` holds the lock under ``epoch``."""
    lock = state.lock
    if lock.state is LockState.FREE or lock.epoch != epoch:
        raise fenced(state, epoch, owner)
    if lock.owner != owner:
        raise OperatingError(
            f"{state.fleet}@{epoch} is held by {lock.owner}, not by {owner}",
            exit_code=Exit.HOT,
            next_command=f"aimctl lock request-release {state.fleet}@{epoch} --reason TEXT",
        )


def fenced(state: FleetState, epoch: Epoch, owner: Owner) -> OperatingError:
    """Make the error of somebody who thinks that they hold a lock, and do not (any more)."""
    lock = state.lock
    if lock.state is LockState.FREE:
        now = f"it is free, at epoch {lock.epoch}"
    elif lock.epoch == epoch and lock.owner != owner:
        now = f"it is held by {lock.owner}"
    else:
        now = f"it is {state.fleet}@{lock.epoch} now, {lock.state} by {lock.owner}"
    return OperatingError(
        f"fenced: the lock is not {state.fleet}@{epoch} of {owner} any more: {now}",
        exit_code=Exit.FENCED,
        next_command=f"aimctl lock show {state.fleet}",
    )
