"""
Looking at locks and taking them: who holds it, may I have it, force it.

Reading changes nothing. Taking is one guarded append of what the pure rules of
``protocol.lease`` return; a conflict means that somebody was faster, so look again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import Verdict, clock_time, judge
from orchestrator.ports import Conflict, OutcomeUnknown, StoreUnavailable
from orchestrator.protocol import lease
from orchestrator.protocol.records import FleetState, LockState, Record, fold
from orchestrator.protocol.types import ID_PATTERN, Epoch, FleetId, Outcome, Owner
from orchestrator.service.results import LockView
from orchestrator.service.world import World

TRIES_MAX: Final = 20
_LOCK_ID: Final = re.compile(rf"({ID_PATTERN})@(?:([1-9][0-9]{{0,8}})\.)?([0-9]{{1,15}})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lock that this process holds, and the fold at which it does."""

    state: FleetState
    epoch: Epoch
    owner: Owner


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
    """Return the fold of the fleet's journal. Raises OperatingError where it can't be read."""
    try:
        entries = await world.store.read(fleet)
    except StoreUnavailable as error:
        raise unreachable(f"the store can't be read: {error}") from error
    return fold(FleetState(fleet=fleet), entries)


def unreachable(message: str) -> OperatingError:
    """Make the error of a store or broker that is away: nothing was begun."""
    return OperatingError(
        f"{message}; nothing was begun", exit_code=Exit.UNREACHABLE, next_command="aimctl doctor"
    )


async def look(world: World, state: FleetState) -> LockView:
    """Return the fleet's lock with its owner's liveness."""
    owner, liveness = state.lock.owner, None
    if owner is not None:
        held = await world.store.lease(state.fleet)
        mine = held if held is not None and held.epoch == state.lock.epoch else None
        liveness = judge(owner, mine, world.processes.look_for(owner), world.clock.now())
    shown = state.open or state.installed or state.last
    config = "" if shown is None else shown.begun.config
    return LockView(
        fleet=state.fleet, config=config, lock=state.lock, liveness=liveness, txn=state.open
    )


async def acquire(world: World, fleet: FleetId, purpose: str) -> Held | LockView:
    """
    Take the free lock (row L), durably; or return who has it, for :func:`hot`.

    The caller must drive its transaction to the end and release.
    """
    owner = world.processes.me(f"{world.program} {purpose}")
    state = await read_fleet(world, fleet)
    for _ in range(TRIES_MAX):
        grant = lease.acquire(state, owner, purpose)
        if isinstance(grant, lease.Hot):
            return await look(world, state)
        after = await append(world, state, grant)
        if after is not None and after.lock.epoch == grant_epoch(grant):
            return Held(state=after, epoch=after.lock.epoch, owner=owner)
        state = await read_fleet(world, fleet)
    raise unreachable(f"the journal of {fleet} is too busy")


def grant_epoch(records: tuple[Record, ...]) -> Epoch:
    """Return the epoch that an acquire or resolve asks for."""
    return next(record.epoch for record in records if record.kind == "lock_taken")


async def append(
    world: World, state: FleetState, records: tuple[Record, ...]
) -> FleetState | None:
    """Append at the head of ``state``; return the new fold, or ``None`` after a conflict."""
    point = "append:" + "+".join(record.kind for record in records)
    world.faults.hit(f"{point}:before")
    try:
        entries = await world.store.append(state.fleet, state.head, records)
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
    """After a lost answer, read what is stored: ours, or not (I24)."""
    after = await read_fleet(world, state.fleet)
    stored = await world.store.read(state.fleet, state.head)
    mine = [entry.record for entry in stored[: len(records)]]
    return after if mine == list(records) else None


async def resolve(world: World, fleet: FleetId, epoch: Epoch, reason: str, command: str) -> Held:
    """
    Take the lock from whoever holds it, deciding ABORT where nothing is decided: one append.

    The caller must then fence the devices, drive the decision, end and release. Raises
    OperatingError with exit code 8 when ``epoch`` is not the lock's (any more).
    """
    owner = world.processes.me(f"{world.program} {command}")
    state = await read_fleet(world, fleet)
    for _ in range(TRIES_MAX):
        taken = lease.resolve(state, epoch, owner, reason)
        if isinstance(taken, lease.NotTheLock):
            raise not_the_lock(state, epoch)
        after = await append(world, state, taken)
        if after is not None and after.lock.epoch == grant_epoch(taken):
            return Held(state=after, epoch=after.lock.epoch, owner=owner)
        state = await read_fleet(world, fleet)
    raise unreachable(f"the journal of {fleet} is too busy")


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
    force = f"aimctl lock force-unlock {view.id} --dry-run"
    ghost = view.liveness is not None and view.liveness.verdict is Verdict.GHOST
    proved = ghost and view.liveness is not None and view.liveness.proved
    why = "the owner is proved gone" if proved else "its lease ran out long ago"
    way_out = f"{force}   (or: aimctl recover, {why})" if ghost else force
    lines.append(f"  next      {way_out}")
    document: dict[str, object] = {
        "type": "hot",
        "config": config,
        "lock": view.document(),
        "next": force,
    }
    if ghost:
        document["recover"] = f"aimctl recover --fleet {view.fleet}"
    return OperatingError("\n".join(lines), exit_code=Exit.HOT, document=document)


def _holder(view: LockView) -> str:
    owner, live = view.lock.owner, view.liveness
    if owner is None or live is None:
        return f"nobody, epoch {view.lock.epoch}"
    process = live.evidence[0].removeprefix(f"pid {owner.pid} is ").removeprefix("running")
    renewed = "no lease is stored"
    if live.renewed_at is not None:
        renewed = f"last renewal {clock_time(live.renewed_at)}, {live.renewed_ago_s:.0f} s ago"
    state = f"{process}; {renewed}" if process else f"running; {renewed}"
    return f"{owner} ({state}), epoch {view.lock.epoch}"


def _purpose(view: LockView) -> str:
    txn = view.txn
    if txn is None:
        return f"{view.lock.purpose} on fleet {view.fleet}, no transaction is open"
    if txn.decided is None:
        votes = "" if view.votes is None else f", {view.votes} of {len(txn.begun.digests)} votes"
        return f"txn {txn.begun.seq} on fleet {view.fleet}, undecided{votes}"
    decided = "COMMIT" if txn.outcome is Outcome.COMMIT else "ABORT"
    return f"txn {txn.begun.seq} on fleet {view.fleet}, decided {decided}, being driven"
