"""
The rules of a fleet's lock: who may write which of its records, and when. Pure (DESIGN §6).

Each rule looks at the folded state and returns the records of *one* append, or the reason why
not. The host appends them at the head of exactly that state; a conflict means: read, fold, ask
again. So two who want the same thing see one winner, and no rule needs to know of the other.

========================  ======================================================================
acquire, queue, withdraw  a grant of the free lock to the first in line; a place in the line
release                   by its owner alone, with nothing open
request_release           asks a living owner, who answers in the journal
resolve                   the forced unlock, recovery and expiry: who drives changes, never what
                          was decided
break_glass               resolve and end in one append; every unresolved device is quarantined
========================  ======================================================================

Heartbeats are not records: the store's ``touch`` renews a lease, and changes nothing unless claim
and owner match (I21). Safety never depends on them; :func:`stage_of` only says when somebody may
*begin* to think that an owner is gone (I20).

The start values are those of DESIGN §6 (their ratios are those of Kubernetes' leader election
and Consul's lock-delay).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orchestrator.protocol.fleet import FleetState, Lock
from orchestrator.protocol.records import (
    Answer,
    Decided,
    Ended,
    LockReleased,
    LockRequested,
    LockState,
    LockTaken,
    LockWithdrawn,
    Record,
    ReleaseAnswered,
    ReleaseRequested,
    Verb,
)
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner, Ticket

LEASE_TTL_S: Final = 15.0
RENEW_EVERY_S: Final = 3.0
STOP_SELF_AFTER_S: Final = 10.0
GRACE_S: Final = 15.0
WAITERS_MAX: Final = 256
"""How many may wait for one lock: a program that asks in a loop must not fill the journal."""


class Stage(StrEnum):
    """How old a lease is: within its TTL, within the grace after it, or past both."""

    FRESH = "fresh"
    EXPIRED = "expired"
    PAST_GRACE = "past grace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """
    The lock can't be had now: somebody else holds it, or stands before us in the queue.

    Where the lock is FREE its first waiter is next.
    """

    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTheLock:
    """The epoch that was named is not the lock's: somebody was faster, or it is free."""

    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The rule does not allow it now; ``why`` is for people."""

    why: str


def stage_of(age_s: float) -> Stage:
    """
    Return the stage of a lease that is ``age_s`` old (I20).

    ``age_s`` counts from its last renewal, or from the lock manager's last restart if that was
    later: whoever could not renew while the manager was away gets a whole TTL again.
    """
    if age_s <= LEASE_TTL_S:
        return Stage.FRESH
    return Stage.EXPIRED if age_s <= LEASE_TTL_S + GRACE_S else Stage.PAST_GRACE


# --- taking and giving back ---------------------------------------------------------------------


def acquire(
    state: FleetState, owner: Owner, purpose: str, ticket: Ticket | None = None
) -> tuple[Record, ...] | Hot:
    """
    Return the grant of a free lock (row L), or who is before us. Never resolves (DESIGN §6).

    ``ticket`` is our place in the queue, if we have one: the first of the queue goes first (I26).
    """
    lock = state.lock
    first = lock.waiters[0] if lock.waiters else None
    turn = ticket is None if first is None else (first.ticket, first.owner) == (ticket, owner)
    if lock.state is not LockState.FREE or not turn:
        return Hot(lock=lock)
    return (
        LockTaken(
            epoch=lock.epoch.next(),
            state=LockState.HELD,
            owner=owner,
            purpose=purpose,
            ticket=ticket,
        ),
    )


def queue(
    state: FleetState, owner: Owner, purpose: str, ticket: Ticket
) -> tuple[Record, ...] | Refused:
    """
    Return the record of a place at the end of the queue; the caller keeps its lease alive.

    Nothing is to be written for a ticket that stands in line already.
    """
    if any(waiter.ticket == ticket for waiter in state.lock.waiters):
        return ()
    if len(state.lock.waiters) >= WAITERS_MAX:
        return Refused(why=f"{WAITERS_MAX} wait for the lock of {state.fleet} already")
    return (LockRequested(ticket=ticket, owner=owner, purpose=purpose),)


def withdraw(
    state: FleetState, tickets: Collection[Ticket], by: Owner, reason: str
) -> tuple[Record, ...]:
    """Return the records that take ``tickets`` out of the queue: left, or found dead."""
    return tuple(
        LockWithdrawn(ticket=waiter.ticket, by=by, reason=reason)
        for waiter in state.lock.waiters
        if waiter.ticket in tickets
    )


def release(
    state: FleetState, epoch: Epoch, by: Owner, reason: str | None = None
) -> tuple[Record, ...] | NotTheLock:
    """Return the release; only by the owner, under its epoch, with no open transaction."""
    lock = state.lock
    if lock.state is LockState.FREE or (lock.epoch, lock.owner) != (epoch, by):
        return NotTheLock(lock=lock)
    if state.open is not None or state.reseeding is not None:
        return NotTheLock(lock=lock)
    freed = LockReleased(epoch=epoch.next(), by=by, reason=reason)
    return (*answer(state, by, Answer.RELEASE), freed)


def request_release(
    state: FleetState, epoch: Epoch, by: Owner, reason: str
) -> tuple[Record, ...] | NotTheLock:
    """Return the request to the owner of ``epoch``, who answers at its next look."""
    lock = state.lock
    if lock.state is LockState.FREE or lock.epoch != epoch:
        return NotTheLock(lock=lock)
    return (ReleaseRequested(epoch=epoch, by=by, reason=reason),)


def answer(state: FleetState, by: Owner, answered: Answer) -> tuple[Record, ...]:
    """Return the owner's answer to a request that it has not answered yet; nothing if none is."""
    lock = state.lock
    if lock.release_requested is None or lock.release_answered is not None:
        return ()
    return (ReleaseAnswered(epoch=lock.epoch, by=by, answer=answered),)


# --- taking it from somebody --------------------------------------------------------------------


def resolve(
    state: FleetState, epoch: Epoch, by: Owner, reason: str, verb: Verb = Verb.FORCE_UNLOCK
) -> tuple[Record, ...] | NotTheLock:
    """
    Return the forced unlock's one append: who drives changes, what was decided does not.

    The append is ``LockTaken(epoch + 1, RESOLVING)`` and, where the open transaction is
    undecided, ``Decided(ABORT)`` (DESIGN §3). The caller must then fence the devices, drive the
    decision, end the transaction and release. In the middle of a reseed nothing is decided:
    whoever takes over goes on hearing the devices.
    """
    if state.lock.state is LockState.FREE or state.lock.epoch != epoch:
        return NotTheLock(lock=state.lock)
    taken = LockTaken(
        epoch=state.lock.epoch.next(),
        state=LockState.RESOLVING,
        owner=by,
        purpose=verb.value,
        reason=reason,
    )
    undecided = state.open is not None and state.open.decided is None
    if state.open is None or not undecided or state.reseeding is not None:
        return (taken,)
    aborted = Decided(
        txn=state.open.begun.txn,
        epoch=taken.epoch,
        outcome=Outcome.ABORT,
        cause=f"lock {state.fleet}@{epoch} was resolved: {reason}",
    )
    return (taken, aborted)


def break_glass(
    state: FleetState, epoch: Epoch, by: Owner, reason: str, followed: Collection[DeviceId] = ()
) -> tuple[Record, ...] | NotTheLock | Refused:
    """
    Return the append that frees the lock at once, whoever can be reached (verb 4 of DESIGN §6).

    It is :func:`resolve`'s append, ``Ended`` with every member quarantined that is not of
    ``followed`` (those that were heard to have followed the decision: nobody has where it is only
    being made), and the release. The caller should then tell the decision to whoever it can
    reach. Never taken by a timer.
    """
    if state.reseeding is not None:
        return Refused(
            why="a reseed is under way: what was decided is not known until the devices are heard"
        )
    taken = resolve(state, epoch, by, reason, Verb.BREAK_GLASS)
    if isinstance(taken, NotTheLock):
        return taken
    now = epoch.next()
    records: tuple[Record, ...] = taken
    if state.open is not None:
        begun = state.open.begun
        heard = () if state.open.decided is None else followed
        left = tuple(device for device in begun.digests if device not in heard)
        records += (Ended(txn=begun.txn, epoch=now, quarantined=left),)
    return (*records, LockReleased(epoch=now.next(), by=by))
