"""
What a journal owes its reader, beside what the fold refuses: I22, I23, I26 as a stranger asks.

Each record may change only what it is about, says who did it, and says why where it was done to
somebody else. What a heartbeat has to do with it (I20) is known to the yard alone, which keeps the
lease rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Final

from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.records import (
    Answer,
    Decided,
    Ended,
    Entry,
    HeuristicDecided,
    LockState,
    LockTaken,
    ReleaseAnswered,
    Retired,
    Verb,
)
from orchestrator.protocol.types import Outcome

CHANGES: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "lock_taken": "lock",
        "lock_released": "lock",
        "lock_requested": "lock",
        "lock_withdrawn": "lock",
        "release_requested": "lock",
        "release_answered": "lock",
        "begun": "open last_seq",
        "abort_requested": "open",
        "decided": "open installed decided_seq outside",
        "ended": "open installed last recent deferred quarantined",
        "settled": "deferred",
        "rejoined": "quarantined",
        "lease_horizon": "lease_s lease_since leased horizons",
        "heuristic_decided": "heuristics",
        "heuristic_settled": "heuristics",
        "retired": "retired quarantined deferred",
        "reseeded": "reseeding last_seq reseeded_seq horizons",
        "adopted": "reseeding installed recent last_seq decided_seq reseeded_seq deferred"
        " quarantined outside",
    }.items()
}
"""What each kind of record may change in the fold, beside its head."""

NEW_EPOCH: Final = frozenset({"lock_taken", "lock_released"})


def audit(before: FleetState, entry: Entry, after: FleetState) -> Iterator[Violation]:
    """Yield what one record owes its reader and does not have (I22, I23, I26)."""
    record = entry.record
    changed = {
        one.name
        for one in fields(FleetState)
        if one.name != "head" and getattr(before, one.name) != getattr(after, one.name)
    }
    too_much = changed - CHANGES[record.kind]
    if too_much:
        yield Violation(id="I23", text=f"{record.kind} has changed {sorted(too_much)}")
    if before.lock.epoch != after.lock.epoch and record.kind not in NEW_EPOCH:
        yield Violation(id="I23", text=f"{record.kind} has changed the lock's epoch")
    yield from _owner(after)
    yield from _reasons(before, entry)


def _owner(fleet: FleetState) -> Iterator[Violation]:
    lock = fleet.lock
    free = lock.state is LockState.FREE
    if free != (lock.owner is None) or (not free and not (lock.purpose and lock.since)):
        yield Violation(id="I22", text=f"{lock.state} without an owner who says what for")
    if lock.state is LockState.RESOLVING and not lock.reason:
        yield Violation(id="I22", text=f"resolved by {lock.owner} without a reason")
    if free and fleet.open is not None:
        yield Violation(id="I15", text="free with an open transaction")


def _reasons(before: FleetState, entry: Entry) -> Iterator[Violation]:
    match entry.record:
        case LockTaken(state=LockState.HELD, ticket=ticket, owner=owner):
            first = before.lock.waiters[0] if before.lock.waiters else None
            if first is not None and (first.ticket, first.owner) != (ticket, owner):
                yield Violation(id="I26", text=f"{owner} was granted it, {first.owner} is first")
        case Decided(outcome=outcome, cause=cause):
            if not cause:
                yield Violation(id="I23", text="decided without a cause")
            answered = before.lock.release_answered
            if outcome is Outcome.COMMIT and answered and answered.answer is not Answer.FINISH:
                yield Violation(id="I23", text=f"committed, and answered {answered.answer}")
        case Ended(quarantined=names) if names and before.lock.purpose != Verb.BREAK_GLASS:
            yield Violation(id="I23", text=f"{names} quarantined by {before.lock.purpose}")
        case ReleaseAnswered() if before.lock.release_requested is None:
            yield Violation(id="I23", text="an answer to nobody")
        case HeuristicDecided(reason=reason) | Retired(reason=reason) if not reason:
            yield Violation(id="I23", text=f"{entry.record.kind} without a reason")
        case _:
            return
