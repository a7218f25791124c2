"""
The fold of a fleet's journal: the one function that makes a new state (DESIGN §3).

Theory of operation
===================
The state of a fleet is the fold of its records from the first one; :func:`apply` is the only
function that makes a new state, in live operation, in recovery and for a reader alike. It refuses
a record that would break an invariant, so a journal that folds is a journal in which I7, I8, I9,
I14, I15 and I26 hold.

The fate of a transaction is one record: before its ``Decided`` exists the answer is no; after it
exists the answer never changes. A forced unlock is ``LockTaken(RESOLVING)`` and, where nothing
is decided, ``Decided(ABORT)`` in the same append.

Rule: this file knows what a record *means*. Who may write one is in ``lease``, ``coordinator`` and
``reseed``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.protocol.errors import require
from orchestrator.protocol.fleet import RECENT_KEPT, FleetState, Lock, Txn, Waiter
from orchestrator.protocol.records import (
    AbortRequested,
    Adopted,
    Begun,
    Decided,
    Ended,
    Entry,
    HeuristicDecided,
    HeuristicSettled,
    LeaseHorizon,
    LockReleased,
    LockRequested,
    LockState,
    LockTaken,
    LockWithdrawn,
    Rejoined,
    ReleaseAnswered,
    ReleaseRequested,
    Relisted,
    Reseeded,
    Retired,
    Settled,
)
from orchestrator.protocol.types import NOT_KNOWN, DeviceId, Outcome, Ticket, Timeline


def fold(state: FleetState, entries: Iterable[Entry]) -> FleetState:
    """Apply ``entries`` in order; raise :class:`InvariantViolation` at the first illegal one."""
    for entry in entries:
        state = apply(state, entry)
    return state


def apply(state: FleetState, entry: Entry) -> FleetState:
    """Return the state after ``entry``; the only transition function of the journal."""
    require(entry.index == state.head + 1, f"journal gap: {entry.index} after {state.head}")
    handler = _HANDLERS[type(entry.record)]
    return replace(handler(state, entry.record, entry.at), head=entry.index, mark=entry.mark)


def _lock_taken(state: FleetState, record: LockTaken, at: float) -> FleetState:
    lock = state.lock
    require(record.epoch > lock.epoch, f"I9: epoch {record.epoch} after {lock.epoch}")
    reborn = record.epoch.incarnation > lock.epoch.incarnation
    if record.state is LockState.RESOLVING:
        free = lock.state is LockState.FREE
        require(reborn or not free, "I14: nothing to resolve, the lock is free")
    else:
        require(not reborn, "I9: only a reseed begins an incarnation")
        require(lock.state is LockState.FREE, "I14: granted while it was held")
        require(state.open is None, "I15: granted while a transaction was open")
        first = lock.waiters[0].ticket if lock.waiters else None
        require(record.ticket == first, "I26: granted past the first of the queue")
    taken = Lock(
        state=record.state,
        epoch=record.epoch,
        owner=record.owner,
        purpose=record.purpose,
        reason=record.reason,
        since=at,
        waiters=_without(lock.waiters, record.ticket),
    )
    return replace(state, lock=taken)


def _without(waiters: tuple[Waiter, ...], ticket: Ticket | None) -> tuple[Waiter, ...]:
    return tuple(waiter for waiter in waiters if waiter.ticket != ticket)


def _lock_requested(state: FleetState, record: LockRequested, at: float) -> FleetState:
    lock = state.lock
    require(
        all(waiter.ticket != record.ticket for waiter in lock.waiters), "I26: a ticket used twice"
    )
    waiter = Waiter(ticket=record.ticket, owner=record.owner, purpose=record.purpose, since=at)
    return replace(state, lock=replace(lock, waiters=(*lock.waiters, waiter)))


def _lock_withdrawn(state: FleetState, record: LockWithdrawn, _at: float) -> FleetState:
    lock = state.lock
    return replace(state, lock=replace(lock, waiters=_without(lock.waiters, record.ticket)))


def _release_requested(state: FleetState, record: ReleaseRequested, _at: float) -> FleetState:
    lock = state.lock
    if lock.state is LockState.FREE or record.epoch != lock.epoch:
        return state
    asked = replace(lock, release_requested=record, release_answered=None)
    return replace(state, lock=asked)


def _release_answered(state: FleetState, record: ReleaseAnswered, _at: float) -> FleetState:
    require(state.lock.state is not LockState.FREE, "I14: answered while it was free")
    require(record.epoch == state.lock.epoch, "I14: answered under another epoch")
    return replace(state, lock=replace(state.lock, release_answered=record))


def _lock_released(state: FleetState, record: LockReleased, at: float) -> FleetState:
    require(state.lock.state is not LockState.FREE, "I14: released while it was free")
    require(record.epoch > state.lock.epoch, f"I9: epoch {record.epoch} after {state.lock.epoch}")
    require(state.open is None, "I15: freed with an open transaction")
    require(state.reseeding is None, "I15: freed in the middle of a reseed")
    free = Lock(epoch=record.epoch, since=at, waiters=state.lock.waiters)
    return replace(state, lock=free)


def _begun(state: FleetState, record: Begun, at: float) -> FleetState:
    require(state.lock.state is LockState.HELD, "I14: begun without the lock")
    require(record.epoch == state.lock.epoch, "I14: begun under another epoch")
    require(state.open is None, "I15: begun while another transaction was open")
    require(record.seq > state.last_seq, f"I11: seq {record.seq} after {state.last_seq}")
    require(record.base_version == state.version, "begun on a stale base version")
    require(state.retired.isdisjoint(record.digests), "begun with a retired member")
    left_out_until, timeline = state.left_out_until(record.digests), record.timeline
    require(
        not left_out_until or timeline.hold_at >= left_out_until + 2 * timeline.clock_error_s,
        "I5: hold_at before a lease of a device that is left out has run out",
    )
    return replace(state, open=Txn(begun=record, begun_at=at), last_seq=record.seq)


def _abort_requested(state: FleetState, record: AbortRequested, _at: float) -> FleetState:
    if state.open is None or state.open.begun.txn != record.txn or state.open.decided is not None:
        return state
    return replace(state, open=replace(state.open, abort_requested=record))


def _decided(state: FleetState, record: Decided, at: float) -> FleetState:
    txn = state.open
    require(txn is not None and txn.begun.txn == record.txn, "decided without being open")
    if txn is None:  # for the type checker; require() has raised
        return state
    require(txn.decided is None, "I7: decided twice")
    require(record.epoch == state.lock.epoch, "I8: decided under another epoch than the lock's")
    require(state.reseeding is None, "I1: decided before a reseed has heard the devices")
    # A reseed adopts what devices have recorded, and counts no votes.
    reborn = record.epoch.incarnation > txn.begun.epoch.incarnation
    reseeded = reborn and txn.begun.seq <= state.reseeded_seq
    if record.outcome is Outcome.COMMIT and not reseeded:
        require(txn.begun.epoch == record.epoch, "I3: committed votes of another epoch")
    decided = replace(txn, decided=record, decided_at=at)
    # What a reseed decides may be older than a version that it has adopted.
    newer = record.outcome is Outcome.COMMIT and txn.begun.seq > state.version
    installed = decided if newer else state.installed
    decided_seq = max(state.decided_seq, txn.begun.seq)
    return replace(
        state,
        open=decided,
        installed=installed,
        outside=_outside(state, installed),
        decided_seq=decided_seq,
    )


def _outside(state: FleetState, installed: Txn | None) -> frozenset[DeviceId]:
    """Return who was a member of an earlier version, or excused, and is not of this one."""
    if installed is None or installed is state.installed:
        return state.outside
    known = {*state.outside, *installed.begun.excused}
    if state.installed is not None:
        known.update(state.installed.begun.digests)
    return frozenset(known.difference(installed.begun.digests))


def _ended(state: FleetState, record: Ended, at: float) -> FleetState:
    txn = state.open
    require(txn is not None and txn.begun.txn == record.txn, "ended without being open")
    if txn is None:
        return state
    require(txn.decided is not None, "I15: ended before it was decided")
    require(record.epoch == state.lock.epoch, "I14: ended under another epoch")
    ended = replace(txn, ended=record, ended_at=at)
    deferred = dict(state.deferred)
    for device in (*record.deferred, *record.quarantined):
        if device not in state.retired:
            deferred[device] = (*deferred.get(device, ()), ended)
    installed = state.installed
    if installed is not None and installed.begun.txn == record.txn:
        installed = ended
    recent = (*state.recent, ended)[-RECENT_KEPT:]
    return replace(
        state,
        open=None,
        last=ended,
        recent=recent,
        installed=installed,
        deferred=deferred,
        quarantined=state.quarantined.union(record.quarantined) - state.retired,
    )


def _settled(state: FleetState, record: Settled, _at: float) -> FleetState:
    waiting = state.deferred.get(record.device, ())
    left = tuple(txn for txn in waiting if txn.begun.txn != record.txn)
    deferred = {device: txns for device, txns in state.deferred.items() if device != record.device}
    if left:
        deferred[record.device] = left
    return replace(state, deferred=deferred)


def _rejoined(state: FleetState, record: Rejoined, _at: float) -> FleetState:
    return replace(state, quarantined=state.quarantined - {record.device})


def _lease_horizon(state: FleetState, record: LeaseHorizon, at: float) -> FleetState:
    txn = state.open
    left_out = (
        () if txn is None else tuple(d for d in record.devices if d not in txn.begun.digests)
    )
    require(not left_out, "I5: a lease of a device that the open transaction leaves out")
    horizons = dict(state.horizons)
    for device in record.devices:
        horizons[device] = max(horizons.get(device, 0.0), record.until)
    same = record.lease_s == state.lease_s
    return replace(
        state,
        lease_s=record.lease_s,
        lease_since=state.lease_since if same else at,
        leased=frozenset() if record.lease_s is None else state.leased.union(record.leased),
        horizons=horizons,
    )


def _heuristic_decided(state: FleetState, record: HeuristicDecided, _at: float) -> FleetState:
    return replace(state, heuristics={**state.heuristics, record.device: record})


def _heuristic_settled(state: FleetState, record: HeuristicSettled, _at: float) -> FleetState:
    if state.acts_on_word(record.device):
        return state  # it is an exception to I5 as long as the word may still be on its way
    left = {device: one for device, one in state.heuristics.items() if device != record.device}
    return replace(state, heuristics=left)


def _retired(state: FleetState, record: Retired, _at: float) -> FleetState:
    deferred = {name: txns for name, txns in state.deferred.items() if name != record.device}
    return replace(
        state,
        retired=state.retired | {record.device},
        quarantined=state.quarantined - {record.device},
        deferred=deferred,
    )


# --- a store that was rolled back (DESIGN §6) ---------------------------------------------------


def _reseeded(state: FleetState, record: Reseeded, at: float) -> FleetState:
    require(record.epoch == state.lock.epoch, "I14: reseeded under another epoch")
    require(state.lock.state is LockState.RESOLVING, "I14: reseeded without the lock")
    last_seq = max(state.last_seq, record.last_seq)
    return replace(
        state,
        reseeding=record,
        last_seq=last_seq,
        reseeded_seq=last_seq,
        horizons=_lost_horizons(state, at),
    )


def _lost_horizons(state: FleetState, at: float) -> Mapping[DeviceId, float]:
    """Return the horizons of a journal that may have lost some: all leases were issued before."""
    if state.lease_s is None:
        return state.horizons
    members = () if state.installed is None else state.installed.begun.digests
    until = at + state.lease_s
    names = {*state.horizons, *members}
    return {device: max(until, state.horizons.get(device, 0.0)) for device in names}


def _adopted(state: FleetState, record: Adopted, at: float) -> FleetState:
    require(record.epoch == state.lock.epoch, "I14: adopted under another epoch")
    require(state.reseeding is not None, "I2: nothing is adopted but by a reseed")
    known = {txn.begun.txn for txn in state.known_txns()}
    require(known.isdisjoint(one.txn for one in record.relisted), "I7: relisted what is known")
    relisted = [_relisted(record, one, at) for one in record.relisted]
    committed = [txn for txn in relisted if txn.outcome is Outcome.COMMIT]
    newest = max(committed, key=lambda txn: txn.begun.seq, default=None)
    installed = state.installed
    if newest is not None and newest.begun.seq > state.version:
        installed = newest
    last_seq = max(state.last_seq, record.last_seq)
    deferred = dict(state.deferred)
    for one, txn in zip(record.relisted, relisted, strict=True):
        for device in one.waiting:
            deferred[device] = (*deferred.get(device, ()), txn)
    return replace(
        state,
        reseeding=None,
        installed=installed,
        outside=_outside(state, installed),
        recent=(*state.recent, *relisted)[-RECENT_KEPT:],
        last_seq=last_seq,
        decided_seq=last_seq,
        reseeded_seq=last_seq,
        deferred=deferred,
        quarantined=state.quarantined.union(record.quarantined) - state.retired,
    )


def _relisted(record: Adopted, one: Relisted, at: float) -> Txn:
    """Return what is known of a lost transaction, in the form of one that was not."""
    epoch = record.epoch
    begun = Begun(
        txn=one.txn,
        seq=one.seq,
        epoch=epoch,
        config=one.config,
        base_version=0,
        plan=one.plan,
        bundle=NOT_KNOWN,
        digests=one.digests,
        timeline=Timeline(vote_by=at, hold_at=at, activate_at=at, clock_error_s=0.0),
    )
    cause = "adopted from the devices by a reseed"
    decided = Decided(txn=one.txn, epoch=epoch, outcome=one.outcome, cause=cause)
    ended = Ended(txn=one.txn, epoch=epoch, deferred=one.waiting)
    return Txn(begun=begun, begun_at=at, decided=decided, decided_at=at, ended=ended, ended_at=at)


_HANDLERS: Mapping[type, Callable[[FleetState, Any, float], FleetState]] = {
    LockTaken: _lock_taken,
    LockReleased: _lock_released,
    LockRequested: _lock_requested,
    LockWithdrawn: _lock_withdrawn,
    ReleaseRequested: _release_requested,
    ReleaseAnswered: _release_answered,
    Begun: _begun,
    AbortRequested: _abort_requested,
    Decided: _decided,
    Ended: _ended,
    Settled: _settled,
    Rejoined: _rejoined,
    LeaseHorizon: _lease_horizon,
    HeuristicDecided: _heuristic_decided,
    HeuristicSettled: _heuristic_settled,
    Retired: _retired,
    Reseeded: _reseeded,
    Adopted: _adopted,
}
