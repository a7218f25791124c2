"""
What a first push leaves behind, without playing it: journal, records and bytes of version 1.

A test plays that push and compares. The checker is told of it as of everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from drone_sim.cores import samples
from orchestrator.protocol.device import Durable, Finished, Pending, Prepared
from orchestrator.protocol.records import (
    Decided,
    Ended,
    LockReleased,
    LockState,
    LockTaken,
    Record,
    begun_record,
)
from orchestrator.protocol.types import DeviceId, Digest, Outcome, Owner, Timeline

BEGUN_S: Final = 10.0
"""So long before the story version 1 was pushed."""


def timeline(now: float, clock_error_s: float) -> Timeline:
    """Return the instants of a push that began BEGUN_S before ``now``."""
    begun = now - BEGUN_S
    return Timeline(
        vote_by=begun + 1.0,
        hold_at=begun + 1.1,
        activate_at=begun + 1.1 + 2 * clock_error_s,
        clock_error_s=clock_error_s,
    )


def records(devices: Sequence[DeviceId], owner: Owner, when: Timeline) -> tuple[Record, ...]:
    """Return the journal of a push to all of ``devices``, the first of their fleet."""
    goal = samples.push(1, 0, devices)
    epoch = samples.epoch(1)
    taken = LockTaken(epoch=epoch, state=LockState.HELD, owner=owner, purpose="push")
    begun = begun_record(
        goal.plan, txn=goal.txn, seq=1, epoch=epoch, digest=goal.digest, timeline=when
    )
    decided = Decided(
        txn=goal.txn, epoch=epoch, outcome=Outcome.COMMIT, cause="every member voted yes"
    )
    ended = Ended(txn=goal.txn, epoch=epoch)
    return (taken, begun, decided, ended, LockReleased(epoch=epoch.next(), by=owner))


def digest_of(device: DeviceId) -> Digest:
    """Return the configuration of a device in version 1."""
    return samples.digest(f"{samples.txn_id(1)}-{device}")


def steps(durable: Durable, when: Timeline) -> Iterator[Durable]:
    """Yield the records of a device during that push, one after the other."""
    epoch, txn = samples.epoch(1), samples.txn_id(1)
    digest = digest_of(durable.device)
    known = replace(durable, known=True, max_epoch=epoch)
    yield known
    prepared = Prepared(
        txn=txn,
        seq=1,
        epoch=epoch,
        plan=samples.digest(f"plan-{txn}"),
        digest=digest,
        config=samples.CONFIG,
        timeline=when,
    )
    yield replace(known, prepared=prepared)
    pending = Pending(
        hold_at=when.hold_at,
        activate_at=when.activate_at,
        clock_error_s=when.clock_error_s,
        previous_version=0,
        previous_digest=None,
    )
    decided = replace(
        known,
        last_seq=1,
        version=1,
        digest=digest,
        config=samples.CONFIG,
        pending=pending,
        finished=(Finished(txn=txn, seq=1, outcome=Outcome.COMMIT),),
    )
    yield decided
    yield replace(decided, pending=None)
