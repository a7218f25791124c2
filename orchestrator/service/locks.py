"""
Looking at locks and taking them: who holds it, may I have it, force it.

Reading changes nothing. Taking is one guarded append of what the pure rules of
``protocol.lease`` return; a conflict means that somebody was faster, so look again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import Verdict, clock_time, judge, judge_waiter
from orchestrator.ports import (
    Claim,
    Conflict,
    Lease,
    OutcomeUnknown,
    RolledBack,
    StoreUnavailable,
)
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState, Waiter
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import Entry, LockState, Record, Verb
from orchestrator.protocol.types import ID_PATTERN, Epoch, FleetId, Outcome, Owner
from orchestrator.service.results import LockView, WaiterView
from orchestrator.service.world import World

TRIES_MAX: Final = 20
_LOCK_ID: Final = re.compile(rf"({ID_PATTERN})@(?:([1-9][0-9]{{0,8}})\.)?([0-9]{{1,15}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """
    A lock that this process holds, and the fold at which it does.

    ``since`` is the monotonic instant before the append: from then on its lease counts.
    """

    state: FleetState
    epoch: Epoch
    owner: Owner
    since: float


def parse_lock_id(text: str) -> tuple[FleetId, Epoch]:
    """Read ``FLEET@EPOCH``. Raises OperatingError (wrong use)."""
    found = _LOCK_ID.fullmatch(text)
    if found is None:
        raise OperatingError(
            f"{text!r} is not a lock id: write FLEET@EPOCH, as `aimctl lock list` shows it",
            exit_code=Exit.USAGE,
            next_command="aimctl lock list",
        )
    return FleetId(found[1]), Epoch(int(found[2] or 1), int(found[3]))


async def read_fleet(world: World, fleet: FleetId) -> FleetState:
    """
    Return the fold of the fleet's journal. Raises OperatingError where it can't be read.

    The world remembers the last one: a journal only grows, so only the news are read. Where it
    was rolled back that is told once (11) and forgotten: the next look begins at the start.
    """
    known = world.folds.get(fleet, FleetState(fleet=fleet))
    world.folds[fleet] = state = await refresh(world, known)
    return state


async def fleets(world: World) -> tuple[FleetId, ...]:
    """Return every fleet of the store, sorted. Raises OperatingError where it can't be read."""
    try:
        return tuple(await world.store.fleets())
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be read: {error}") from error


async def entries(world: World, fleet: FleetId) -> Sequence[Entry]:
    """Return the fleet's journal. Raises OperatingError where it can't be read."""
    try:
        return await world.store.read(fleet)
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be read: {error}") from error


async def refresh(world: World, state: FleetState) -> FleetState:
    """
    Return the fold that ``state`` has become: for whoever looks again and again.

    Raises OperatingError (11) where the journal can't be read, or was rolled back to before the
    end of ``state``: then nothing may be built on that.
    """
    try:
        news = await world.store.read(state.fleet, state.known)
    except RolledBack as error:
        world.folds.pop(state.fleet, None)
        reseed = f"aimctl reseed --fleet {state.fleet} --dry-run"
        raise unreachable(str(error), next_command=reseed) from error
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be read: {error}") from error
    return fold(state, news)


def unreachable(message: str, next_command: str = "aimctl doctor") -> OperatingError:
    """Make the error of a store or broker that is away: nothing was begun."""
    return OperatingError(
        f"{message}; nothing was begun", exit_code=Exit.UNREACHABLE, next_command=next_command
    )


async def look(world: World, state: FleetState) -> LockView:
    """Return the fleet's lock with its owner's liveness, and that of everybody who waits."""
    lock, owner, liveness = state.lock, state.lock.owner, None
    leases = await _leases(world, state.fleet)
    if owner is not None:
        sighting = world.processes.look_for(owner)
        liveness = judge(owner, leases.get(lock.epoch), sighting, world.stamp())
    shown = state.open or state.installed or state.last
    return LockView(
        fleet=state.fleet,
        config="" if shown is None else shown.begun.config,
        lock=lock,
        liveness=liveness,
        txn=state.open,
        waiters=tuple(_waiter(world, waiter, leases) for waiter in lock.waiters),
        reseeding=state.reseeding is not None,
    )


async def held_lock(world: World, fleet: FleetId, epoch: Epoch) -> LockView:
    """Return the held lock of that id. Raises OperatingError (8) when it is another by now."""
    state = await read_fleet(world, fleet)
    if state.lock.epoch != epoch or state.lock.state is LockState.FREE:
        raise not_the_lock(state, epoch)
    return await look(world, state)


async def _leases(world: World, fleet: FleetId) -> Mapping[Claim, Lease]:
    try:
        return await world.store.leases(fleet)
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be read: {error}") from error


def _waiter(world: World, waiter: Waiter, leases: Mapping[Claim, Lease]) -> WaiterView:
    owner = waiter.owner
    sighting = world.processes.look_for(owner)
    liveness = judge_waiter(owner, leases.get(waiter.ticket), sighting, world.stamp())
    return WaiterView(waiter=waiter, liveness=liveness)


Rule = Callable[[FleetState], tuple[Record, ...]]
"""Returns one append's records for a fold, none if nothing is to be done, or raises."""


async def change(world: World, fleet: FleetId, rule: Rule) -> FleetState:
    """
    Append what ``rule`` returns for the present fold; after a conflict look, and ask it again.

    Returns the fold after it. Raises what the rule raises, and OperatingError where the store is
    away.
    """
    state = await read_fleet(world, fleet)
    for _ in range(TRIES_MAX):
        records = rule(state)
        if not records:
            return state
        after = await append(world, state, records)
        if after is not None:
            return after
        state = await refresh(world, state)
    raise unreachable(f"the journal of {fleet} is too busy")


async def append(
    world: World, state: FleetState, records: tuple[Record, ...]
) -> FleetState | None:
    """Append at the head of ``state``; return the new fold, or ``None`` after a conflict."""
    point = "append:" + "+".join(record.kind for record in records)
    world.faults.hit(f"{point}:before")
    try:
        entries = await world.store.append(state.fleet, state.known, records)
    except Conflict:
        return None
    except OutcomeUnknown:
        return await _whether_ours(world, state, records)
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be written: {error}") from error
    world.faults.hit(f"{point}:after")
    return fold(state, entries)


async def _whether_ours(
    world: World, state: FleetState, records: tuple[Record, ...]
) -> FleetState | None:
    """
    After a lost answer, read what is stored: ours, or not (I24).

    The fold ends with our own records: what somebody has appended after them is not ours. Raises
    OperatingError (12) where that can't be read: then nobody knows.
    """
    try:
        stored = await world.store.read(state.fleet, state.known)
    except StoreUnavailable as error:
        raise OperatingError(
            f"outcome unknown: the store went away as it was written to: {error}",
            exit_code=Exit.UNKNOWN,
            next_command=f"aimctl lock show {state.fleet}",
        ) from error
    ours = stored[: len(records)]
    return fold(state, ours) if [entry.record for entry in ours] == list(records) else None


async def take(
    world: World, fleet: FleetId, epoch: Epoch, reason: str, verb: Verb, command: str
) -> Held:
    """
    Take the lock from whoever holds it, deciding ABORT where nothing is decided: one append.

    The caller must then fence the devices, drive the decision, end and release. Raises
    OperatingError with exit code 8 when ``epoch`` is not the lock's (any more).
    """
    owner, since = world.me(command), world.clock.monotonic()

    def rule(state: FleetState) -> tuple[Record, ...]:
        taken = lease.resolve(state, epoch, owner, reason, verb)
        if isinstance(taken, lease.NotTheLock):
            raise not_the_lock(state, epoch)
        return taken

    after = await change(world, fleet, rule)
    return Held(state=after, epoch=after.lock.epoch, owner=owner, since=since)


# --- how it is told that it can't be had --------------------------------------------------------


def not_the_lock(state: FleetState, epoch: Epoch) -> OperatingError:
    """Make the error of a lock id that is no longer, or never was, the lock's."""
    now = f"{state.fleet}@{state.lock.epoch}"
    if state.lock.state is LockState.FREE:
        why = f"{state.fleet}@{epoch} is not held: the lock of {state.fleet} is free"
    else:
        why = f"{state.fleet}@{epoch} is not the lock any more: it is {now}, by {state.lock.owner}"
    return OperatingError(why, exit_code=Exit.PLAN_STALE, next_command="aimctl lock list")


def hot(view: LockView, config: str) -> OperatingError:
    """Make the HOT error: who holds the lock, what for, and the ways out."""
    config = view.config or config
    lines = [f"{config}: HOT", f"  held by   {_holder(view)}", f"  for       {_purpose(view)}"]
    if view.waiters:
        lines.append(f"  waiting   {len(view.waiters)}, next is {view.waiters[0].waiter.owner}")
    document: dict[str, object] = {"type": "hot", "config": config, "lock": view.document()}
    if view.lock.state is LockState.FREE:
        lines.append("  next      wait in line: the same command with --wait-lock SECONDS")
        document["next"] = f"aimctl lock show {view.fleet}"
        return OperatingError("\n".join(lines), exit_code=Exit.HOT, document=document)
    force = f"aimctl lock force-unlock {view.id} --dry-run"
    ghost = view.liveness is not None and view.liveness.verdict is Verdict.GHOST
    proved = ghost and view.liveness is not None and view.liveness.proved
    why = "the owner is proved gone" if proved else "its lease ran out long ago"
    lines.append(f"  next      {force}" + (f"   (or: aimctl recover, {why})" if ghost else ""))
    document["next"] = force
    if ghost:
        document["recover"] = f"aimctl recover --fleet {view.fleet}"
    return OperatingError("\n".join(lines), exit_code=Exit.HOT, document=document)


def _holder(view: LockView) -> str:
    owner, live = view.lock.owner, view.liveness
    if owner is None or live is None:
        return f"nobody, epoch {view.lock.epoch}: it is for the first in line"
    renewed = "no lease is stored"
    if live.renewed_at is not None:
        renewed = f"last renewal {clock_time(live.renewed_at)}, {live.renewed_ago_s:.0f} s ago"
    return f"{owner} ({live.process}; {renewed}), epoch {view.lock.epoch}"


def _purpose(view: LockView) -> str:
    txn = view.txn
    if view.reseeding:
        return f"a reseed of fleet {view.fleet}, which has not heard all devices yet"
    if txn is None and view.lock.state is LockState.FREE:
        return f"fleet {view.fleet}, no transaction is open"
    if txn is None:
        return f"{view.lock.purpose} on fleet {view.fleet}, no transaction is open"
    if txn.decided is None:
        votes = "" if view.votes is None else f", {view.votes} of {len(txn.begun.digests)} votes"
        return f"txn {txn.begun.seq} on fleet {view.fleet}, undecided{votes}"
    decided = "COMMIT" if txn.outcome is Outcome.COMMIT else "ABORT"
    return f"txn {txn.begun.seq} on fleet {view.fleet}, decided {decided}, being driven"
