"""What the tests of the stores append: named records, one true story, and any record at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from hypothesis import strategies as st

from orchestrator.ports import Claim, Store
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import (
    START,
    AbortRequested,
    Adopted,
    Answer,
    Begun,
    Decided,
    Ended,
    Head,
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
)
from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    FleetId,
    Outcome,
    Owner,
    Ticket,
    Timeline,
    TxnId,
)

FLEET = FleetId("hazard-12")
OTHER = FleetId("harbour-3")
MIRA = Owner(
    user="mira",
    host="aim-control",
    machine_id="m1",
    boot_id="b1",
    pid_namespace="4026531836",
    pid=4121,
    start_ticks=123_456,
    program="aimctl push",
)
NOA = replace(MIRA, user="noa", pid=4200, start_ticks=130_000)
DIGEST = Digest("sha256:" + "a" * 64)
D1, D2 = DeviceId("d-01"), DeviceId("d-02")
W1, W2 = Ticket("w1"), Ticket("w2")


HELD_OR_RESOLVING = Literal[LockState.HELD, LockState.RESOLVING]


def taken(
    number: int = 1,
    owner: Owner = MIRA,
    state: HELD_OR_RESOLVING = LockState.HELD,
    ticket: Ticket | None = None,
) -> LockTaken:
    """A grant, of ``ticket`` where its owner has waited; a takeover where it is RESOLVING."""
    epoch = Epoch(1, number)
    return LockTaken(epoch=epoch, state=state, owner=owner, purpose="push", ticket=ticket)


def requested(ticket: Ticket, owner: Owner = NOA) -> LockRequested:
    """A place in the queue."""
    return LockRequested(ticket=ticket, owner=owner, purpose="push")


def withdrawn(ticket: Ticket, by: Owner = NOA) -> LockWithdrawn:
    """The place is given up, or taken from somebody who is dead."""
    return LockWithdrawn(ticket=ticket, by=by, reason="left")


def released(number: int = 2, by: Owner = MIRA) -> LockReleased:
    """The owner gives the lock back."""
    return LockReleased(epoch=Epoch(1, number), by=by)


def begun(seq: int = 1, number: int = 1, base_version: int = 0) -> Begun:
    """Transaction ``t<seq>`` of two devices."""
    return Begun(
        txn=TxnId(f"t{seq}"),
        seq=seq,
        epoch=Epoch(1, number),
        config="aim_lock_config.conf",
        base_version=base_version,
        plan=DIGEST,
        bundle=DIGEST,
        digests={D2: DIGEST, D1: DIGEST},
        timeline=Timeline(vote_by=1.5, hold_at=1.52, activate_at=1.62, clock_error_s=0.05),
    )


def decided(seq: int = 1, number: int = 1, outcome: Outcome = Outcome.COMMIT) -> Decided:
    """The fate of ``t<seq>``."""
    return Decided(txn=TxnId(f"t{seq}"), epoch=Epoch(1, number), outcome=outcome, cause="all yes")


def ended(seq: int = 1, number: int = 1, deferred: tuple[DeviceId, ...] = ()) -> Ended:
    """The end of ``t<seq>``."""
    return Ended(txn=TxnId(f"t{seq}"), epoch=Epoch(1, number), deferred=deferred)


def noise(number: int) -> AbortRequested:
    """A record that the fold ignores where no transaction is open: filler that tells itself."""
    return AbortRequested(txn=TxnId("none"), by=MIRA, reason=f"filler {number}")


STORY: Sequence[tuple[Record, ...]] = (
    (taken(1),),
    (begun(1, 1),),
    (decided(1, 1),),
    (ended(1, 1, deferred=(D2,)), released(2)),
    (Settled(device=D2, txn=TxnId("t1"), version=1, last_seq=1),),
    (taken(3),),
    (begun(2, 3, base_version=1),),
    (AbortRequested(txn=TxnId("t2"), by=NOA, reason="wrong bundle"),),
    (taken(4, NOA, LockState.RESOLVING), decided(2, 4, Outcome.ABORT)),
    (ended(2, 4), released(5, NOA)),
    (taken(6),),
    (requested(W1),),
    (requested(W2),),
    (released(7),),
    (withdrawn(W1, MIRA), taken(8, NOA, ticket=W2)),
    (begun(3, 8, base_version=1),),
    (
        taken(9, MIRA, LockState.RESOLVING),
        decided(3, 9, Outcome.ABORT),
        Ended(txn=TxnId("t3"), epoch=Epoch(1, 9), quarantined=(D1, D2)),
        released(10),
    ),
)
"""
Appends of one fleet that fold.

A commit with a deferred device, a forced unlock, a queue whose first has died, a broken glass.
"""


def claims_of(state: FleetState) -> set[Claim]:
    """What there must be a lease for, by the journal: a held lock, each place in its queue."""
    lock = state.lock
    waiting: set[Claim] = {waiter.ticket for waiter in lock.waiters}
    return waiting if lock.owner is None else {lock.epoch, *waiting}


async def head_of(store: Store, fleet: FleetId = FLEET) -> Head:
    """Where the journal ends, as whoever reads all of it knows."""
    entries = await store.read(fleet)
    return entries[-1].head if entries else START


async def play(store: Store, fleet: FleetId = FLEET) -> None:
    """Run the story with its heartbeats and its blobs, until something fails."""
    head = START
    for number, records in enumerate(STORY):
        head = (await store.append(fleet, head, records))[-1].head
        await store.touch(fleet, Epoch(1, 1), MIRA)
        await store.put_blob(b"bundle %d" % number)


_WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_NAMED = _WORDS.filter(lambda text: text.partition("\0")[0])
_COUNTS = st.integers(0, 2**53)
_EPOCHS = st.builds(Epoch, st.integers(1, 9), _COUNTS)
_INSTANTS = st.floats(allow_nan=False, allow_infinity=False)
_OUTCOMES = st.sampled_from(Outcome)
_DEVICES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True).map(DeviceId)
_DIGESTS = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True).map(Digest)
_TXNS = _WORDS.map(TxnId)
_TICKETS = _WORDS.map(Ticket)
_DEVICE_LISTS = st.lists(_DEVICES, max_size=3).map(tuple)
OWNERS = st.builds(
    Owner,
    user=_NAMED,
    host=_NAMED,
    machine_id=_WORDS,
    boot_id=_WORDS,
    pid_namespace=_WORDS,
    pid=st.integers(1, 2**22),
    start_ticks=_COUNTS,
    program=_NAMED,
)
_TIMELINES = st.builds(
    Timeline,
    vote_by=_INSTANTS,
    hold_at=_INSTANTS,
    activate_at=_INSTANTS,
    clock_error_s=_INSTANTS,
)
_LOCKS = st.builds(
    LockTaken,
    epoch=_EPOCHS,
    state=st.sampled_from([LockState.HELD, LockState.RESOLVING]),
    owner=OWNERS,
    purpose=_WORDS,
    reason=st.none() | _WORDS,
    ticket=st.none() | _TICKETS,
)
_BEGUN = st.builds(
    Begun,
    txn=_TXNS,
    seq=_COUNTS,
    epoch=_EPOCHS,
    config=_WORDS,
    base_version=_COUNTS,
    plan=_DIGESTS,
    bundle=_DIGESTS,
    digests=st.dictionaries(_DEVICES, _DIGESTS, max_size=4),
    excused=_DEVICE_LISTS,
    spare=st.dictionaries(_DEVICES, _DIGESTS, max_size=2),
    timeline=_TIMELINES,
)
_DECIDED = st.builds(
    Decided,
    txn=_TXNS,
    epoch=_EPOCHS,
    outcome=_OUTCOMES,
    cause=_WORDS,
    refused=st.dictionaries(_DEVICES, st.lists(_WORDS, max_size=3).map(tuple), max_size=3),
)
_HORIZONS = st.builds(
    LeaseHorizon, lease_s=st.none() | _INSTANTS, until=_INSTANTS, devices=_DEVICE_LISTS
)
_HEURISTICS = st.builds(
    HeuristicDecided, device=_DEVICES, txn=_TXNS, outcome=_OUTCOMES, by=OWNERS, reason=_WORDS
)
_RELISTED = st.builds(
    Relisted,
    txn=_TXNS,
    seq=_COUNTS,
    outcome=_OUTCOMES,
    config=_WORDS,
    plan=_DIGESTS,
    digests=st.dictionaries(_DEVICES, _DIGESTS, max_size=3),
    waiting=_DEVICE_LISTS,
)
_ADOPTED = st.builds(
    Adopted,
    epoch=_EPOCHS,
    last_seq=_COUNTS,
    relisted=st.lists(_RELISTED, max_size=2).map(tuple),
    quarantined=_DEVICE_LISTS,
)
KINDS: dict[type[Record], st.SearchStrategy[Record]] = {
    LockTaken: _LOCKS,
    LockReleased: st.builds(LockReleased, epoch=_EPOCHS, by=OWNERS, reason=st.none() | _WORDS),
    LockRequested: st.builds(LockRequested, ticket=_TICKETS, owner=OWNERS, purpose=_WORDS),
    LockWithdrawn: st.builds(LockWithdrawn, ticket=_TICKETS, by=OWNERS, reason=_WORDS),
    ReleaseRequested: st.builds(ReleaseRequested, epoch=_EPOCHS, by=OWNERS, reason=_WORDS),
    ReleaseAnswered: st.builds(
        ReleaseAnswered, epoch=_EPOCHS, by=OWNERS, answer=st.sampled_from(Answer)
    ),
    Begun: _BEGUN,
    AbortRequested: st.builds(AbortRequested, txn=_TXNS, by=OWNERS, reason=_WORDS),
    Decided: _DECIDED,
    Ended: st.builds(
        Ended, txn=_TXNS, epoch=_EPOCHS, deferred=_DEVICE_LISTS, quarantined=_DEVICE_LISTS
    ),
    Settled: st.builds(Settled, device=_DEVICES, txn=_TXNS, version=_COUNTS, last_seq=_COUNTS),
    Rejoined: st.builds(Rejoined, device=_DEVICES, version=_COUNTS, last_seq=_COUNTS),
    LeaseHorizon: _HORIZONS,
    HeuristicDecided: _HEURISTICS,
    HeuristicSettled: st.builds(HeuristicSettled, device=_DEVICES, by=OWNERS, reason=_WORDS),
    Retired: st.builds(Retired, device=_DEVICES, by=OWNERS, reason=_WORDS),
    Reseeded: st.builds(Reseeded, epoch=_EPOCHS, last_seq=_COUNTS, by=OWNERS, reason=_WORDS),
    Adopted: _ADOPTED,
}
"""A strategy for every kind of record; test_codec checks that none is missing."""

RECORDS = st.one_of(list(KINDS.values()))
