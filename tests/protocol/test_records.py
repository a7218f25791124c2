"""The fold of the journal: what each record does, and that an illegal one changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import pytest

from orchestrator.protocol import lease
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.invariants import journal_violations
from orchestrator.protocol.records import (
    RECENT_KEPT,
    AbortRequested,
    Begun,
    Decided,
    Ended,
    Entry,
    FleetState,
    LockReleased,
    LockState,
    LockTaken,
    Record,
    Settled,
    apply,
    begun_record,
    fold,
)
from orchestrator.protocol.types import Outcome, TxnId
from tests.protocol import samples

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
FREE: Final = ()
HELD: Final = (taken(1),)
OPEN: Final = (*HELD, begun(1, 1))
COMMITTED: Final = (*OPEN, decided(1, 1, COMMIT))
ABORTED: Final = (*OPEN, decided(1, 1, ABORT))
ENDED: Final = (*COMMITTED, ended(1, 1, D2))
RESOLVING_OPEN: Final = (*OPEN, taken(2, LockState.RESOLVING))
RESOLVING: Final = (*RESOLVING_OPEN, decided(1, 2, ABORT), ended(1, 2))
AGAIN: Final = (*ENDED, released(2))

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
}

KINDS: Final[dict[str, Callable[[FleetState], Record]]] = {
    "grant": lambda state: replace(taken(1), epoch=state.lock.epoch.next()),
    "grant-old-epoch": lambda state: replace(taken(1), epoch=state.lock.epoch),
    "force": lambda state: replace(taken(1, LockState.RESOLVING), epoch=state.lock.epoch.next()),
    "force-old-epoch": lambda state: replace(
        taken(1, LockState.RESOLVING), epoch=state.lock.epoch
    ),
    "release": lambda state: replace(released(1), epoch=state.lock.epoch.next()),
    "release-old-epoch": lambda state: replace(released(1), epoch=state.lock.epoch),
    "begin": lambda state: replace(
        begun(state.last_seq + 1, 1, state.version), epoch=state.lock.epoch
    ),
    "begin-old-epoch": lambda state: begun(state.last_seq + 1, 99, state.version),
    "begin-old-seq": lambda state: replace(
        begun(state.last_seq, 1, state.version), epoch=state.lock.epoch
    ),
    "begin-old-base": lambda state: replace(
        begun(state.last_seq + 1, 1, state.version + 7), epoch=state.lock.epoch
    ),
    "commit": lambda state: replace(decided(1, 1, COMMIT), epoch=state.lock.epoch),
    "commit-old-epoch": lambda _state: decided(1, 99, COMMIT),
    "abort": lambda state: replace(decided(1, 1, ABORT), epoch=state.lock.epoch),
    "abort-other": lambda state: replace(decided(9, 1, ABORT), epoch=state.lock.epoch),
    "end": lambda state: replace(ended(1, 1), epoch=state.lock.epoch),
    "end-old-epoch": lambda _state: ended(1, 99),
    "end-other": lambda state: replace(ended(9, 1), epoch=state.lock.epoch),
    "ask-abort": lambda _state: AbortRequested(txn=TxnId("t1"), by=samples.owner("p"), reason="r"),
    "settle": lambda _state: Settled(device=D2, txn=TxnId("t1"), version=1, last_seq=1),
}

LEGAL: Final[dict[str, set[str]]] = {
    "free": {"grant"},
    "held": {"force", "release", "begin"},
    "open": {"force", "commit", "abort"},
    "committed": {"force", "end"},
    "aborted": {"force", "end"},
    "ended": {"force", "release", "begin"},
    "resolving-open": {"force", "abort"},
    "resolving": {"force", "release"},
    "free-again": {"grant"},
}
"""What a story may go on with, beside the two records that are legal anywhere."""

ANYWHERE: Final = {"ask-abort", "settle"}


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("kind", KINDS)
def test_only_legal_records_are_folded(story: str, kind: str) -> None:
    """Each record in each state either is legal or is refused, as an invariant that it breaks."""
    state, _ = told(*STORIES[story])
    entry = Entry(index=state.head + 1, at=9.0, record=KINDS[kind](state))
    if kind in LEGAL[story] | ANYWHERE:
        assert state.head + 1 == apply(state, entry).head
    else:
        before = repr(state)
        with pytest.raises(InvariantViolation):
            apply(state, entry)
        assert before == repr(state)


@pytest.mark.parametrize("story", STORIES)
def test_the_strangers_reading_agrees_with_the_fold(story: str) -> None:
    """What the fold accepts has no violation in the eyes of the independent reader."""
    _, entries = told(*STORIES[story])
    assert [] == list(journal_violations(entries))


ILLEGAL_JOURNALS: Final[dict[str, Iterable[Record]]] = {
    "I7": (*COMMITTED, decided(1, 1, ABORT)),
    "I8": (*OPEN, decided(1, 9, COMMIT)),
    "I9": (*HELD, released(1)),
    "I11": (*AGAIN, taken(3), begun(1, 3, 1)),
    "I14": (*HELD, taken(2)),
    "I15": (*OPEN, released(2)),
}


@pytest.mark.parametrize("name", ILLEGAL_JOURNALS)
def test_the_stranger_sees_what_the_fold_would_refuse(name: str) -> None:
    """A journal that was written without the fold's help is judged by its records alone."""
    entries = [
        Entry(index=number, at=0.0, record=record)
        for number, record in enumerate(ILLEGAL_JOURNALS[name], 1)
    ]
    assert name in {violation.id for violation in journal_violations(entries)}


def test_a_gap_is_refused() -> None:
    """A fold never skips an entry."""
    with pytest.raises(InvariantViolation, match="journal gap"):
        apply(FleetState(fleet=samples.FLEET), Entry(index=2, at=0.0, record=taken(1)))


def test_a_commit_installs_its_version() -> None:
    """The fleet's version is that of the last COMMIT; a decided seq is never given again."""
    state, _ = told(*COMMITTED)
    assert (1, 1, 1) == (state.version, state.decided_seq, state.last_seq)


def test_an_abort_leaves_a_gap() -> None:
    """An aborted transaction uses up its number and changes no version."""
    state, _ = told(*ABORTED)
    assert (0, 1) == (state.version, state.decided_seq)


def test_the_deferred_are_named_until_they_settle() -> None:
    """A device that has not acknowledged stays deferred on its transaction by name."""
    state, entries = told(*ENDED)
    assert [TxnId("t1")] == list(state.awaited())
    after = apply(
        state,
        Entry(
            index=len(entries) + 1,
            at=9.0,
            record=Settled(device=D2, txn=TxnId("t1"), version=1, last_seq=1),
        ),
    )
    assert {} == dict(after.deferred)


def test_the_excused_can_be_caught_up() -> None:
    """A device that was excused has a digest at the fleet's version if the bundle has one."""
    goal = samples.push(1, 0, (D1,), excused=(D2,))
    record = begun_record(
        goal.plan,
        txn=goal.txn,
        seq=1,
        epoch=samples.epoch(1),
        digest=goal.digest,
        timeline=samples.timeline(),
        spare=goal.spare,
    )
    state, _ = told(taken(1), record, decided(1, 1, COMMIT))
    assert goal.spare[D2] == state.digest_of(D2)
    assert None is state.digest_of(samples.device_id(9))


def test_ended_transactions_are_remembered_for_a_while() -> None:
    """Whoever asks late about one of the last transactions is answered from the fold."""
    records: list[Record] = []
    for number in range(1, RECENT_KEPT + 3):
        epoch = 2 * number - 1
        records += [taken(epoch), begun(number, epoch), decided(number, epoch, ABORT)]
        records += [ended(number, epoch), released(epoch + 1)]
    state, _ = told(*records)
    assert RECENT_KEPT == len(state.recent)
    assert state.last == state.recent[-1]


# --- the lock's rules ---------------------------------------------------------------------------


@pytest.mark.parametrize("story", STORIES)
def test_only_a_free_lock_is_granted(story: str) -> None:
    """Acquire never resolves: it grants a free lock, or says who holds it."""
    state, _ = told(*STORIES[story])
    granted = lease.acquire(state, samples.owner("new"), "push")
    assert (state.lock.state is LockState.FREE) == (not isinstance(granted, lease.Hot))


@pytest.mark.parametrize("story", STORIES)
def test_only_an_owner_without_a_transaction_releases(story: str) -> None:
    """Release needs the lock's epoch and no open transaction (I15)."""
    state, _ = told(*STORIES[story])
    may = state.lock.state is not LockState.FREE and state.open is None
    freed = lease.release(state, state.lock.epoch, samples.owner("o"))
    assert may == (not isinstance(freed, lease.NotTheLock))
    wrong = lease.release(state, samples.epoch(99), samples.owner("o"))
    assert isinstance(wrong, lease.NotTheLock)


@pytest.mark.parametrize("story", STORIES)
def test_a_forced_unlock_is_one_legal_append(story: str) -> None:
    """Resolve takes the lock and aborts what is undecided; what is decided it leaves alone."""
    state, entries = told(*STORIES[story])
    found = lease.resolve(state, state.lock.epoch, samples.owner("r"), "why")
    if state.lock.state is LockState.FREE:
        assert isinstance(found, lease.NotTheLock)
        return
    assert not isinstance(found, lease.NotTheLock)
    after = fold(
        state,
        [
            Entry(index=len(entries) + number, at=9.0, record=record)
            for number, record in enumerate(found, 1)
        ],
    )
    assert LockState.RESOLVING is after.lock.state
    before = None if state.open is None else state.open.outcome
    assert (after.open is None) == (state.open is None)
    assert after.open is None or after.open.outcome is (before or ABORT)


@pytest.mark.parametrize("story", STORIES)
def test_nobody_forces_a_lock_that_he_has_not_seen(story: str) -> None:
    """Resolve names the epoch: the second of two operators gets nothing."""
    state, _ = told(*STORIES[story])
    found = lease.resolve(state, samples.epoch(99), samples.owner("r"), "why")
    assert isinstance(found, lease.NotTheLock)
