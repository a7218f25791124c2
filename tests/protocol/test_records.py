"""The fold of the journal: what each record does, and that an illegal one changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from typing import Final

import pytest

from drone_sim.cores import samples
from drone_sim.cores.audit import CHANGES
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.fleet import RECENT_KEPT, FleetState
from orchestrator.protocol.fold import apply
from orchestrator.protocol.invariants import journal_violations
from orchestrator.protocol.records import (
    Entry,
    LockState,
    Record,
    begun_record,
)
from orchestrator.protocol.types import Epoch, Ticket, TxnId
from tests.protocol.journals import (
    ABORT,
    ABORTED,
    AGAIN,
    COMMIT,
    COMMITTED,
    D1,
    D2,
    ENDED,
    HELD,
    IN_LINE,
    OPEN,
    STORIES,
    abort_asked,
    adopted,
    answered,
    asked,
    begun,
    decided,
    ended,
    horizon,
    looked_at,
    lost,
    quarantining,
    rejoined,
    released,
    requested,
    reseeded,
    retired,
    settled,
    taken,
    told,
    withdrawn,
    without_d2,
    word,
)

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
    "ask-abort": lambda _state: abort_asked(1),
    "settle": lambda _state: settled(D2),
    "grant-first": lambda state: replace(
        taken(1), epoch=state.lock.epoch.next(), ticket=Ticket("w1")
    ),
    "grant-second": lambda state: replace(
        taken(1), epoch=state.lock.epoch.next(), ticket=Ticket("w2")
    ),
    "force-reborn": lambda state: replace(
        taken(1, LockState.RESOLVING), epoch=state.lock.epoch.reborn()
    ),
    "grant-reborn": lambda state: replace(taken(1), epoch=state.lock.epoch.reborn()),
    "request": lambda _state: requested("w3"),
    "request-twice": lambda _state: requested("w1"),
    "withdraw": lambda _state: withdrawn("w1"),
    "ask-release": lambda state: replace(asked(1), epoch=state.lock.epoch),
    "ask-release-old-epoch": lambda _state: asked(99),
    "answer": lambda state: replace(answered(1), epoch=state.lock.epoch),
    "answer-old-epoch": lambda _state: answered(99),
    "begin-without-d2-early": lambda state: _leaving_out(state, 50.0),
    "begin-without-d2-late": lambda state: _leaving_out(state, 50.11),
    "end-quarantining": lambda state: replace(quarantining(1), epoch=state.lock.epoch),
    "rejoin": lambda _state: rejoined(D2),
    "raise-horizon-d1": lambda _state: horizon(5.0, 70.0, D1),
    "raise-horizon-d2": lambda _state: horizon(5.0, 70.0, D2),
    "end-leases": lambda _state: horizon(None, 70.0),
    "word": lambda _state: word(D2),
    "look-at": lambda _state: looked_at(D1),
    "retire": lambda _state: retired(D1),
    "reseed": lambda state: replace(reseeded(), epoch=state.lock.epoch),
    "reseed-old-epoch": lambda _state: replace(reseeded(), epoch=Epoch(9, 9)),
    "adopt": lambda state: replace(adopted(), epoch=state.lock.epoch),
    "adopt-old-epoch": lambda _state: replace(adopted(), epoch=Epoch(9, 9)),
    "adopt-known": lambda state: replace(adopted(lost(1, COMMIT)), epoch=state.lock.epoch),
}


def _leaving_out(state: FleetState, hold_at: float) -> Record:
    made = without_d2(hold_at)
    txn = samples.txn_id(state.last_seq + 1)
    epoch, base = state.lock.epoch, state.version
    return replace(made, txn=txn, seq=state.last_seq + 1, epoch=epoch, base_version=base)


BEGINS: Final = {"begin", "begin-without-d2-early", "begin-without-d2-late"}
ENDS: Final = {"end", "end-quarantining"}
OURS: Final = {"force", "answer"}
"""What is legal wherever somebody has the lock."""

LEGAL: Final[dict[str, set[str]]] = {
    "free": {"grant", "request-twice"},
    "held": OURS | BEGINS | {"release", "request-twice"},
    "open": OURS | {"commit", "abort", "request-twice"},
    "committed": OURS | ENDS | {"request-twice"},
    "aborted": OURS | ENDS | {"request-twice"},
    "ended": OURS | BEGINS | {"release", "request-twice"},
    "resolving-open": OURS | {"abort", "reseed", "request-twice"},
    "resolving": OURS | {"release", "reseed", "request-twice"},
    "free-again": {"grant", "request-twice"},
    "waited-for": OURS | BEGINS | {"release"},
    "in-line": {"grant-first"},
    "asked": OURS | {"commit", "abort", "request-twice"},
    "answered": OURS | {"commit", "abort", "request-twice"},
    "broken": OURS | {"release", "reseed", "request-twice"},
    "rejoined": OURS | {"release", "reseed", "request-twice"},
    "leased": OURS | BEGINS - {"begin-without-d2-early"} | {"release", "request-twice"},
    "left-out": OURS | {"request-twice"},
    "word": OURS | {"commit", "abort", "request-twice"},
    "retired": OURS | BEGINS - {"begin"} | {"release", "request-twice"},
    "reseeded": OURS | {"reseed", "adopt", "request-twice"},
    "adopted": OURS | {"commit", "abort", "reseed", "request-twice"},
}
"""What a story may go on with, beside what is legal anywhere."""

ANYWHERE: Final = {
    "ask-abort",
    "settle",
    "force-reborn",
    "request",
    "withdraw",
    "ask-release",
    "ask-release-old-epoch",
    "rejoin",
    "raise-horizon-d1",
    "raise-horizon-d2",
    "end-leases",
    "word",
    "look-at",
    "retire",
}
"""Facts, requests and the first record of a reseed: who may write them is not the fold's."""

NOWHERE: Final = {"left-out": {"raise-horizon-d2"}}
"""What is not legal after a story, though it is after all others."""


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("kind", KINDS)
def test_only_legal_records_are_folded(story: str, kind: str) -> None:
    """Each record in each state either is legal or is refused, as an invariant that it breaks."""
    state, _ = told(*STORIES[story])
    entry = Entry(index=state.head + 1, at=9.0, record=KINDS[kind](state))
    if kind in (LEGAL[story] | ANYWHERE) - NOWHERE.get(story, set()):
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
    "I26": (*IN_LINE, replace(taken(3), ticket=Ticket("w2"))),
    "I14-resolving": (taken(1, LockState.RESOLVING),),
    "I26-without-a-place": (*IN_LINE, taken(3)),
    "I15-ended-undecided": (*OPEN, quarantining(1)),
}


@pytest.mark.parametrize("name", ILLEGAL_JOURNALS)
def test_the_stranger_sees_what_the_fold_would_refuse(name: str) -> None:
    """A journal that was written without the fold's help is judged by its records alone."""
    entries = [
        Entry(index=number, at=0.0, record=record)
        for number, record in enumerate(ILLEGAL_JOURNALS[name], 1)
    ]
    assert name.split("-", maxsplit=1)[0] in {
        violation.id for violation in journal_violations(entries)
    }


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
            record=settled(D2),
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


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_record_changes_what_it_is_about(story: str, kind: str) -> None:
    """No record changes more of the fold than its kind may (I23), and the lock has an owner."""
    state, _ = told(*STORIES[story])
    if kind not in (LEGAL[story] | ANYWHERE) - NOWHERE.get(story, set()):
        return
    entry = Entry(index=state.head + 1, at=9.0, record=KINDS[kind](state))
    after = apply(state, entry)
    changed = {
        one.name for one in fields(state) if getattr(state, one.name) != getattr(after, one.name)
    }
    assert changed <= CHANGES[entry.record.kind] | {"head"}
    assert (LockState.FREE is after.lock.state) == (after.lock.owner is None)
