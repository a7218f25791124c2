"""
Who may write the lock's records: acquire, resolve (forced unlock), release. Pure rules.

Each rule looks at the folded state and returns the records of *one* append, or the reason why
not. The host appends them at the head of exactly that state; a conflict means: read, fold, ask
again. Heartbeats are not records: the store's ``touch`` renews a lease, and changes nothing
unless owner and epoch match (I21). Safety never depends on them.

The start values are those of DESIGN §6 (their ratios are those of Kubernetes' leader election
and Consul's lock-delay).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.protocol.records import (
    Decided,
    FleetState,
    Lock,
    LockReleased,
    LockState,
    LockTaken,
    Record,
)
from orchestrator.protocol.types import Epoch, Outcome, Owner

LEASE_TTL_S: Final = 15.0
RENEW_EVERY_S: Final = 3.0
STOP_SELF_AFTER_S: Final = 10.0
GRACE_S: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """The lock is held by somebody else."""

    lock: Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTheLock:
    """The epoch that was named is not the lock's: somebody was faster, or it is free."""

    lock: Lock


def acquire(state: FleetState, owner: Owner, purpose: str) -> tuple[Record, ...] | Hot:
    """Return the grant of a free lock (row L), or who holds it. Never resolves (DESIGN §6)."""
    if state.lock.state is not LockState.FREE:
        return Hot(lock=state.lock)
    return (
        LockTaken(
            epoch=state.lock.epoch.next(), state=LockState.HELD, owner=owner, purpose=purpose
        ),
    )


def resolve(
    state: FleetState, epoch: Epoch, by: Owner, reason: str
) -> tuple[Record, ...] | NotTheLock:
    """
    Return the forced unlock's one append: who drives changes, what was decided does not.

    The append is ``LockTaken(epoch + 1, RESOLVING)`` and, where the open transaction is
    undecided, ``Decided(ABORT)`` (DESIGN §3). The caller must then fence the devices, drive the
    decision, end the transaction and release.
    """
    if state.lock.state is LockState.FREE or state.lock.epoch != epoch:
        return NotTheLock(lock=state.lock)
    taken = LockTaken(
        epoch=state.lock.epoch.next(),
        state=LockState.RESOLVING,
        owner=by,
        purpose="resolve",
        reason=reason,
    )
    if state.open is None or state.open.decided is not None:
        return (taken,)
    aborted = Decided(
        txn=state.open.begun.txn,
        epoch=taken.epoch,
        outcome=Outcome.ABORT,
        cause=f"lock {state.fleet}@{epoch} was resolved: {reason}",
    )
    return (taken, aborted)


def release(state: FleetState, epoch: Epoch, by: Owner) -> tuple[Record, ...] | NotTheLock:
    """Return the release; only by the owner, under its epoch, with no open transaction."""
    if state.lock.state is LockState.FREE or state.lock.epoch != epoch or state.open is not None:
        return NotTheLock(lock=state.lock)
    return (LockReleased(epoch=epoch.next(), by=by),)
