"""Locks that can be lost: one rule of the Locksmith (DESIGN §6) taken out of each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, replaced
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.lease import acquire as _acquire  # as it is before it is replaced
from orchestrator.protocol.lease import break_glass as _break_glass
from orchestrator.protocol.lease import resolve as _resolve
from orchestrator.protocol.lease import stage_of as _stage_of
from orchestrator.protocol.records import (
    Ended,
    LockReleased,
    LockState,
    LockTaken,
    Record,
    Verb,
)
from orchestrator.protocol.types import DeviceId, Epoch, Owner, Ticket

Resolved = tuple[Record, ...] | lease.NotTheLock
Shattered = tuple[Record, ...] | lease.NotTheLock | lease.Refused


# --- the forced unlock --------------------------------------------------------------------------


def delete_the_lock(
    _state: FleetState, epoch: Epoch, by: Owner, _reason: str, _verb: Verb = Verb.FORCE_UNLOCK
) -> Resolved:
    """Take the lock as if it were free, and let the transaction be (Terraform)."""
    taken = LockTaken(
        epoch=epoch.next(), state=LockState.HELD, owner=by, purpose="force", reason="deleted"
    )
    return (taken,)


def keep_the_epoch(
    state: FleetState, _epoch: Epoch, by: Owner, reason: str, _verb: Verb = Verb.FORCE_UNLOCK
) -> Resolved:
    """Take the lock by force under the epoch that it has: nobody is fenced."""
    taken = LockTaken(
        epoch=state.lock.epoch,
        state=LockState.RESOLVING,
        owner=by,
        purpose="resolve",
        reason=reason,
    )
    return (taken,)


def close_the_books(
    state: FleetState, epoch: Epoch, by: Owner, reason: str, verb: Verb = Verb.FORCE_UNLOCK
) -> Resolved:
    """End the transaction in the books, and tell no device (hawkBit, AWS IoT)."""
    records = _resolve(state, epoch, by, reason, verb)
    if isinstance(records, lease.NotTheLock) or state.open is None:
        return records
    if state.reseeding is not None:
        return records
    return (*records, Ended(txn=state.open.begun.txn, epoch=epoch.next()))


def not_while_busy(
    state: FleetState, epoch: Epoch, by: Owner, reason: str, verb: Verb = Verb.FORCE_UNLOCK
) -> Resolved:
    """Refuse to force a lock whose transaction is under way (balena: the flag was lost then)."""
    if state.open is not None and state.open.decided is None:
        return lease.NotTheLock(lock=state.lock)
    return _resolve(state, epoch, by, reason, verb)


# --- break-glass ------------------------------------------------------------------------------


def quarantine_nobody(
    state: FleetState,
    epoch: Epoch,
    by: Owner,
    reason: str,
    followed: Collection[DeviceId] = (),
) -> Shattered:
    """Break the glass and name nobody."""
    records = _break_glass(state, epoch, by, reason, followed)
    return _changed(records, lambda one: replace(one, quarantined=()))


def free_while_open(
    state: FleetState,
    epoch: Epoch,
    by: Owner,
    reason: str,
    followed: Collection[DeviceId] = (),
) -> Shattered:
    """Break the glass and leave the transaction."""
    return _changed(_break_glass(state, epoch, by, reason, followed), lambda _one: None)


def _changed(records: Shattered, change: Callable[[Ended], Ended | None]) -> Shattered:
    if isinstance(records, lease.NotTheLock | lease.Refused):
        return records
    changed = [change(one) if isinstance(one, Ended) else one for one in records]
    return tuple(one for one in changed if one is not None)


# --- taking, keeping and giving back ----------------------------------------------------------


def past_the_queue(
    state: FleetState, owner: Owner, purpose: str, _ticket: Ticket | None = None
) -> tuple[Record, ...] | lease.Hot:
    """Grant a free lock to whoever asks first, whoever waits."""
    nobody = replace(state, lock=replace(state.lock, waiters=()))
    return _acquire(nobody, owner, purpose)


def release_whatever(
    state: FleetState, _epoch: Epoch, by: Owner, reason: str | None = None
) -> Resolved:
    """Free the lock for whoever asks, whoever owns it by now (etcd's v3lock)."""
    if state.lock.state is LockState.FREE:
        return lease.NotTheLock(lock=state.lock)
    return (LockReleased(epoch=state.lock.epoch.next(), by=by, reason=reason),)


def keep_the_dead(
    _state: FleetState, _tickets: Collection[Ticket], _by: Owner, _reason: str
) -> tuple[Record, ...]:
    """Let whoever has died, or left, stand in the queue."""
    return ()


def without_grace(age_s: float) -> lease.Stage:
    """Let a lock be taken over as soon as its TTL is over."""
    return lease.Stage.FRESH if age_s <= lease.LEASE_TTL_S else lease.Stage.PAST_GRACE


def never_past_grace(age_s: float) -> lease.Stage:
    """Let nobody ever take over from a silent owner (kured: a TTL of 0 never expires)."""
    stage = _stage_of(age_s)
    return lease.Stage.EXPIRED if stage is lease.Stage.PAST_GRACE else stage


_LEASE: Final = "orchestrator.protocol.lease"

MUTANTS: Final[tuple[Mutant, ...]] = (
    replaced(
        "deletes-the-lock",
        "a forced unlock resolves",
        (_LEASE, "resolve", delete_the_lock),
        "I14",
        "I15",
    ),
    replaced(
        "keeps-the-epoch",
        "a forced unlock raises the epoch",
        (_LEASE, "resolve", keep_the_epoch),
        "I9",
    ),
    replaced(
        "closes-the-books",
        "a forced unlock drives the decision to every device",
        (_LEASE, "resolve", close_the_books),
        "I15",
    ),
    replaced(
        "refuses-while-busy",
        "a forced unlock works while its holder is at it",
        (_LEASE, "resolve", not_while_busy),
        "I6",
        "I28",
    ),
    replaced(
        "forgets-to-quarantine",
        "broken glass names whom it leaves behind",
        (_LEASE, "break_glass", quarantine_nobody),
        "I15",
    ),
    replaced(
        "frees-while-open",
        "broken glass ends the open txn",
        (_LEASE, "break_glass", free_while_open),
        "I15",
    ),
    replaced(
        "grants-past-the-queue",
        "first in, first out",
        (_LEASE, "acquire", past_the_queue),
        "I26",
    ),
    replaced(
        "releases-for-anybody",
        "only its owner releases a lock",
        (_LEASE, "release", release_whatever),
        "I14",
        "I15",
    ),
    replaced(
        "queues-the-dead",
        "a dead waiter never blocks the queue",
        (_LEASE, "withdraw", keep_the_dead),
        "I4",
        "I6",
    ),
    replaced(
        "takes-over-without-grace",
        "nobody takes a lock unasked before TTL and grace",
        (_LEASE, "stage_of", without_grace),
        "I20",
    ),
    replaced(
        "never-expires",
        "a silent owner is taken over after TTL and grace",
        (_LEASE, "stage_of", never_past_grace),
        "I4",
        "I6",
    ),
)
