"""Asking a living owner: to abort its transaction, or to give its lock back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.liveness import Verdict
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.records import (
    AbortRequested,
    Answer,
    LockState,
    Record,
    ReleaseAnswered,
)
from orchestrator.protocol.types import Epoch, FleetId, Outcome, Owner, TxnId
from orchestrator.service import locks
from orchestrator.service.world import World

OBEY_S: Final = 10.0
"""How long ``abort`` waits to see its request obeyed."""

LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of a request for release: the holder's ``answer``, and whether it has let go."""

    answer: Answer | None
    free: bool
    state: FleetState


async def request_release(
    world: World, fleet: FleetId, epoch: Epoch, reason: str, wait_s: float, by: Owner | None = None
) -> Asked:
    """
    Ask the living holder of ``epoch`` to finish or abort; wait for its answer, and for the lock.

    Raises OperatingError: 8 when the epoch is not the lock's, 6 where the holder is a ghost, whom
    nobody can ask.
    """
    asker = world.me("lock request-release") if by is None else by
    view = await locks.look(world, await locks.read_fleet(world, fleet))
    ghost = view.liveness is not None and view.liveness.verdict is Verdict.GHOST
    if ghost and view.lock.epoch == epoch:
        raise locks.hot(view, view.config)

    def rule(state: FleetState) -> tuple[Record, ...]:
        records = lease.request_release(state, epoch, asker, reason)
        if isinstance(records, lease.NotTheLock):
            raise locks.not_the_lock(state, epoch)
        return records

    state = await locks.change(world, fleet, rule)
    until = world.clock.monotonic() + wait_s
    answer: Answer | None = None
    while True:
        lock = state.lock
        if lock.epoch != epoch or lock.state is LockState.FREE:
            answer = answer or await _last_answer(world, fleet, epoch)
            return Asked(answer=answer, free=True, state=state)
        if lock.release_answered is not None:
            answer = lock.release_answered.answer
        if world.clock.monotonic() >= until:
            return Asked(answer=answer, free=False, state=state)
        await world.clock.sleep(LOOK_S)
        state = await locks.refresh(world, state)


async def _last_answer(world: World, fleet: FleetId, epoch: Epoch) -> Answer | None:
    """Return what the holder of ``epoch`` answered, though it has let go since."""
    records = [entry.record for entry in await locks.entries(world, fleet)]
    found = [r.answer for r in records if isinstance(r, ReleaseAnswered) and r.epoch == epoch]
    return found[-1] if found else None


# --- abort --------------------------------------------------------------------------------------


async def request_abort(world: World, txn_id: TxnId, reason: str) -> tuple[FleetState, Txn]:
    """
    Ask the living owner of an undecided transaction to abort it; wait to see it obeyed.

    Returns the fold and the transaction as they are then. Raises OperatingError: 2 for an
    unknown txn, 6 where the owner is a ghost, 5 where COMMIT is decided already.
    """
    state, txn = await _find_open(world, txn_id)
    view = await locks.look(world, state)
    if view.liveness is not None and view.liveness.verdict is Verdict.GHOST:
        raise locks.hot(view, txn.begun.config)
    record = AbortRequested(txn=txn.begun.txn, by=world.processes.me(world.program), reason=reason)

    def rule(now: FleetState) -> tuple[Record, ...]:
        return () if now.open is None or now.open.decided is not None else (record,)

    state = await locks.change(world, state.fleet, rule)
    return await _see_obeyed(world, state.fleet, txn_id, txn)


async def _find_open(world: World, txn_id: TxnId) -> tuple[FleetState, Txn]:
    for fleet in await locks.fleets(world):
        state = await locks.read_fleet(world, fleet)
        txn = _named(state, txn_id)
        if txn is not None:
            _refuse_decided(txn)
            return state, txn
    raise OperatingError(
        f"no transaction {txn_id} is open in this store",
        exit_code=Exit.USAGE,
        next_command="aimctl history",
    )


def _named(state: FleetState, txn_id: TxnId) -> Txn | None:
    """Find a transaction by its id, or as FLEET/SEQ."""
    for txn in (state.open, state.last, state.installed):
        if txn is not None and txn_id in {txn.begun.txn, f"{state.fleet}/{txn.begun.seq}"}:
            return txn
    return None


def _refuse_decided(txn: Txn) -> None:
    if txn.outcome is Outcome.COMMIT:
        raise OperatingError(
            f"txn {txn.begun.txn} is decided COMMIT; a decision never changes",
            exit_code=Exit.ACTIVATING,
            next_command="aimctl status",
        )


async def _see_obeyed(
    world: World, fleet: FleetId, txn_id: TxnId, known: Txn
) -> tuple[FleetState, Txn]:
    until = world.clock.monotonic() + OBEY_S
    while True:
        state = await locks.read_fleet(world, fleet)
        txn = _named(state, txn_id)
        if txn is not None:
            known = txn
        if known.decided is not None or world.clock.monotonic() > until:
            return state, known
        await world.clock.sleep(LOOK_S)
