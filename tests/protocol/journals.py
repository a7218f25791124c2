"""Records by the short, and short stories told in them: the tables are made of these."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from drone_sim.cores import samples
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import (
    AbortRequested,
    Adopted,
    Answer,
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
    Record,
    Rejoined,
    ReleaseAnswered,
    ReleaseRequested,
    Relisted,
    Reseeded,
    Retired,
    Settled,
    begun_record,
)
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Ticket, TxnId

D1, D2 = samples.device_id(1), samples.device_id(2)


def taken(number: int, state: LockState = LockState.HELD) -> LockTaken:
    """A lock that was taken under this epoch."""
    assert state is not LockState.FREE
    return LockTaken(
        epoch=samples.epoch(number), state=state, owner=samples.owner("o"), purpose="push"
    )


def released(number: int) -> LockReleased:
    """A lock that was given back with this epoch."""
    return LockReleased(epoch=samples.epoch(number), by=samples.owner("o"))


def begun(number: int, epoch: int, base: int = 0) -> Begun:
    """A transaction that begins under this epoch."""
    goal = samples.push(number, base, (D1, D2))
    return begun_record(
        goal.plan,
        txn=goal.txn,
        seq=number,
        epoch=samples.epoch(epoch),
        digest=goal.digest,
        timeline=samples.timeline(),
    )


def decided(number: int, epoch: int, outcome: Outcome) -> Decided:
    """A decision under this epoch."""
    return Decided(
        txn=samples.txn_id(number), epoch=samples.epoch(epoch), outcome=outcome, cause="test"
    )


def ended(number: int, epoch: int, *deferred: str) -> Ended:
    """The end of a transaction."""
    names = tuple(device for device in (D1, D2) if device in deferred)
    return Ended(txn=samples.txn_id(number), epoch=samples.epoch(epoch), deferred=names)


def told(*records: Record) -> tuple[FleetState, list[Entry]]:
    """The fold of a story, and its entries."""
    entries = [Entry(index=n, at=float(n), record=one) for n, one in enumerate(records, 1)]
    return fold(FleetState(fleet=samples.FLEET), entries), entries


COMMIT, ABORT = Outcome.COMMIT, Outcome.ABORT


def requested(ticket: str) -> LockRequested:
    """Somebody who stands in line."""
    return LockRequested(ticket=Ticket(ticket), owner=samples.owner(ticket), purpose="push")


def withdrawn(ticket: str) -> LockWithdrawn:
    """Somebody who has left the line."""
    return LockWithdrawn(ticket=Ticket(ticket), by=samples.owner(ticket), reason="left")


def asked(epoch: int) -> ReleaseRequested:
    """A request to the owner of this epoch."""
    return ReleaseRequested(epoch=samples.epoch(epoch), by=samples.owner("p"), reason="please")


def answered(epoch: int) -> ReleaseAnswered:
    """The answer of the owner of this epoch."""
    by = samples.owner("o")
    return ReleaseAnswered(epoch=samples.epoch(epoch), by=by, answer=Answer.ABORT)


def quarantining(epoch: int) -> Ended:
    """The end of transaction 1 by break-glass."""
    return Ended(txn=TxnId("t1"), epoch=samples.epoch(epoch), quarantined=(D1, D2))


def rejoined(device: DeviceId) -> Rejoined:
    """A device that has been heard to be the fleet's."""
    return Rejoined(device=device, version=0, last_seq=1)


def settled(device: DeviceId) -> Settled:
    """A device that has followed transaction 1 after all."""
    return Settled(device=device, txn=TxnId("t1"), version=1, last_seq=1)


def abort_asked(number: int) -> AbortRequested:
    """Somebody who asks for an ABORT."""
    return AbortRequested(txn=samples.txn_id(number), by=samples.owner("p"), reason="stop")


def horizon(lease_s: float | None, until: float, *devices: DeviceId) -> LeaseHorizon:
    """The horizon of these devices."""
    return LeaseHorizon(lease_s=lease_s, until=until, devices=devices)


def without_d2(hold_at: float, epoch: int = 3) -> Begun:
    """Transaction 2, which leaves D2 out and waits until ``hold_at``."""
    goal = samples.push(2, 1, (D1,), (D2,))
    return begun_record(
        goal.plan,
        txn=goal.txn,
        seq=2,
        epoch=samples.epoch(epoch),
        digest=goal.digest,
        timeline=replace(samples.timeline(), hold_at=hold_at, activate_at=hold_at + 0.1),
        spare=goal.spare,
    )


def word(device: DeviceId) -> HeuristicDecided:
    """A person's word for a device."""
    by = samples.owner("person")
    return HeuristicDecided(device=device, txn=TxnId("t1"), outcome=COMMIT, by=by, reason="fly")


def looked_at(device: DeviceId) -> HeuristicSettled:
    """A person has looked at it."""
    return HeuristicSettled(device=device, by=samples.owner("person"), reason="seen")


def retired(device: DeviceId) -> Retired:
    """A device that is out for good."""
    return Retired(device=device, by=samples.owner("person"), reason="sold")


def reborn() -> LockTaken:
    """The lock of a reseed: the first epoch of the next incarnation."""
    return replace(taken(1, LockState.RESOLVING), epoch=Epoch(2, 1), purpose="reseed")


def reseeded() -> Reseeded:
    """The store was rolled back; devices have told of transaction 5."""
    return Reseeded(epoch=Epoch(2, 1), last_seq=5, by=samples.owner("o"), reason="restored")


def adopted(*relisted: Relisted) -> Adopted:
    """What the devices know is taken over."""
    return Adopted(epoch=Epoch(2, 1), last_seq=5, relisted=relisted)


def lost(seq: int, outcome: Outcome, *waiting: DeviceId) -> Relisted:
    """A transaction that only devices know of."""
    txn = samples.txn_id(seq)
    digests = {device: samples.digest(f"{txn}-{device}") for device in (D1, D2)}
    return Relisted(
        txn=txn,
        seq=seq,
        outcome=outcome,
        config=samples.CONFIG,
        plan=samples.digest(f"plan-{txn}"),
        digests=digests,
        waiting=waiting,
    )


FREE: Final = ()
HELD: Final = (taken(1),)
OPEN: Final = (*HELD, begun(1, 1))
COMMITTED: Final = (*OPEN, decided(1, 1, COMMIT))
ABORTED: Final = (*OPEN, decided(1, 1, ABORT))
ENDED: Final = (*COMMITTED, ended(1, 1, D2))
RESOLVING_OPEN: Final = (*OPEN, taken(2, LockState.RESOLVING))
RESOLVING: Final = (*RESOLVING_OPEN, decided(1, 2, ABORT), ended(1, 2))
AGAIN: Final = (*ENDED, released(2))
WAITED_FOR: Final = (*HELD, requested("w1"), requested("w2"))
IN_LINE: Final = (*WAITED_FOR, released(2))
ASKED: Final = (*OPEN, asked(1))
ANSWERED: Final = (*ASKED, answered(1))
BROKEN: Final = (*OPEN, taken(2, LockState.RESOLVING), decided(1, 2, ABORT), quarantining(2))
REJOINED: Final = (*BROKEN, rejoined(D1))
LEASED: Final = (*AGAIN, horizon(5.0, 50.0, D1, D2), taken(3))
LEFT_OUT: Final = (*LEASED, without_d2(60.0))
WORD: Final = (*OPEN, word(D1))
RETIRED: Final = (*HELD, retired(D2))
RESEEDED: Final = (*OPEN, reborn(), reseeded())
ADOPTED: Final = (*RESEEDED, adopted())

STORIES: Final[dict[str, tuple[Record, ...]]] = {
    "free": FREE,
    "held": HELD,
    "open": OPEN,
    "committed": COMMITTED,
    "aborted": ABORTED,
    "ended": ENDED,
    "resolving-open": RESOLVING_OPEN,
    "resolving": RESOLVING,
    "free-again": AGAIN,
    "waited-for": WAITED_FOR,
    "in-line": IN_LINE,
    "asked": ASKED,
    "answered": ANSWERED,
    "broken": BROKEN,
    "rejoined": REJOINED,
    "leased": LEASED,
    "left-out": LEFT_OUT,
    "word": WORD,
    "retired": RETIRED,
    "reseeded": RESEEDED,
    "adopted": ADOPTED,
}
