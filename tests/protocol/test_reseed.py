"""A store that was rolled back: what is adopted from the devices, and what stays open (§6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import answers, reseed
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.messages import DeviceState
from orchestrator.protocol.records import Adopted, Decided, LockTaken, Record, Reseeded
from orchestrator.protocol.types import NOT_KNOWN, DeviceId, Epoch, Outcome, TxnId
from tests.protocol.journals import (
    AGAIN,
    COMMITTED,
    D1,
    D2,
    LEASED,
    OPEN,
    RETIRED,
    WORD,
    adopted,
    lost,
    reborn,
    reseeded,
    retired,
    told,
)
from tests.protocol.one_desk import NOW, hello
from tests.protocol.one_desk import state as says

OURS: Final = Epoch(2, 1)
COMMIT, ABORT = Outcome.COMMIT, Outcome.ABORT
OWNER: Final = samples.owner("o")


def in_doubt(number: int, plan: str | None = None) -> dict[str, object]:
    """What a device says that has promised this transaction, and knows no more."""
    txn = samples.txn_id(number)
    return {
        "prepared": txn,
        "prepared_seq": number,
        "prepared_plan": samples.digest(plan or f"plan-{txn}"),
        "prepared_digest": samples.digest(f"{txn}-x"),
    }


def recorded(number: int, outcome: Outcome, version: int = 0) -> dict[str, object]:
    """What a device says that has recorded this outcome, and is at ``version``."""
    digest = samples.digest(f"t{version}-x") if version else None
    return {
        "outcome_txn": samples.txn_id(number),
        "outcome": outcome,
        "outcome_seq": number,
        "last_seq": number,
        "version": version,
        "digest": digest,
    }


Said = Mapping[DeviceId, Mapping[str, object]]


def heard(said: Said, epoch: Epoch = OURS) -> Witness:
    """What devices have said after they were fenced into this incarnation."""
    witness = Witness()
    for device, change in said.items():
        told: dict[str, Any] = {"max_epoch": epoch, **change}
        witness.learn(hello(device, **told), NOW)
    return witness


def adopt(
    said: Said, *records: Record, unheard: tuple[DeviceId, ...] = ()
) -> tuple[Record, ...] | reseed.Doubtful:
    """Adopt what was said into a story that was rolled back; what comes of it folds."""
    state, _ = told(*records, reborn(), reseeded())
    found = reseed.adopt(state, OURS, heard(said), unheard, samples.CONFIG)
    if not isinstance(found, reseed.Doubtful):
        told(*records, reborn(), reseeded(), *found)
    return found


def outcomes(found: tuple[Record, ...] | reseed.Doubtful) -> dict[TxnId, Outcome]:
    """What a reseed has decided and relisted, by transaction."""
    assert not isinstance(found, reseed.Doubtful), found
    first = found[0]
    assert isinstance(first, Adopted)
    relisted = {one.txn: one.outcome for one in first.relisted}
    return relisted | {one.txn: one.outcome for one in found if isinstance(one, Decided)}


T1, T2, T4 = (samples.txn_id(number) for number in (1, 2, 4))

# --- what is adopted ----------------------------------------------------------------------------

TABLE: Final[Mapping[str, tuple[tuple[Record, ...], Said, Mapping[TxnId, Outcome]]]] = {
    "one-has-recorded-commit": (OPEN, {D1: recorded(1, COMMIT, 1), D2: in_doubt(1)}, {T1: COMMIT}),
    "one-has-recorded-abort": (OPEN, {D1: recorded(1, ABORT), D2: in_doubt(1)}, {T1: ABORT}),
    "nobody-knows": (OPEN, {D1: in_doubt(1), D2: in_doubt(1)}, {T1: ABORT}),
    "nobody-has-heard-of-it": (OPEN, {D1: {}, D2: {}}, {T1: ABORT}),
    "decided-already": (COMMITTED, {D1: recorded(1, COMMIT, 1), D2: in_doubt(1)}, {}),
    "lost-version": (
        AGAIN,
        {D1: recorded(4, COMMIT, 4), D2: recorded(4, COMMIT, 4)},
        {T4: COMMIT},
    ),
    "lost-version-and-one-in-doubt": (
        AGAIN,
        {D1: recorded(4, COMMIT, 4), D2: {**recorded(1, COMMIT, 1), **in_doubt(4)}},
        {T4: COMMIT},
    ),
    "lost-and-all-in-doubt": (
        AGAIN,
        {device: {**recorded(1, COMMIT, 1), **in_doubt(4)} for device in (D1, D2)},
        {T4: ABORT},
    ),
    "lost-abort-and-one-in-doubt": (
        AGAIN,
        {D1: recorded(4, ABORT, 1), D2: {**recorded(1, COMMIT, 1), **in_doubt(4)}},
        {T4: ABORT},
    ),
    "version-by-a-later-abort": (
        AGAIN,
        {D1: recorded(4, ABORT, 2), D2: recorded(4, ABORT, 2)},
        {TxnId("lost-2"): COMMIT},
    ),
    "another-of-the-same-number": (
        OPEN,
        {D1: {**recorded(1, COMMIT, 1), "outcome_txn": "t1-other"}, D2: in_doubt(1)},
        {TxnId("t1-other"): COMMIT, T1: ABORT},
    ),
    "all-have-gone-on": (
        OPEN,
        {D1: recorded(2, COMMIT, 2), D2: recorded(2, COMMIT, 2)},
        {T2: COMMIT, T1: ABORT},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_devices_have_recorded_is_the_decision(name: str) -> None:
    """A recorded outcome is taken over; what nobody knows is aborted once all were heard."""
    records, said, expected = TABLE[name]
    assert expected == outcomes(adopt(said, *records))


def test_what_is_relisted_names_who_has_it_and_who_waits() -> None:
    """Those at the version, and those in doubt with what they promised, are its members."""
    said = {D1: recorded(4, COMMIT, 4), D2: {**recorded(1, COMMIT, 1), **in_doubt(4)}}
    found = adopt(said, *AGAIN)
    assert isinstance(found, tuple)
    assert isinstance(found[0], Adopted)
    (one,) = found[0].relisted
    assert ((D2,), samples.digest("plan-t4"), 4) == (one.waiting, one.plan, one.seq)
    assert {D1: samples.digest("t4-x"), D2: samples.digest("t4-x")} == dict(one.digests)


def test_a_plan_that_nobody_knows_is_named_so() -> None:
    """Nobody is in doubt, so nobody has to be told by it."""
    found = adopt({D1: recorded(4, COMMIT, 4), D2: {}}, *AGAIN)
    assert isinstance(found, tuple)
    assert isinstance(found[0], Adopted)
    assert [NOT_KNOWN] == [one.plan for one in found[0].relisted]


# --- what stays open ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "records", "doubt"),
    [
        ({D1: in_doubt(1)}, OPEN, T1),
        ({D1: {}}, OPEN, T1),
        ({D1: {**recorded(1, COMMIT, 1), **in_doubt(4)}}, AGAIN, T4),
    ],
)
def test_with_members_unheard_nothing_is_aborted(
    said: Said, records: tuple[Record, ...], doubt: TxnId
) -> None:
    """Somebody who was not heard may have recorded a COMMIT: absence is never evidence."""
    found = adopt(said, *records, unheard=(D2,))
    assert (
        reseed.Doubtful(
            txns=(doubt,),
            unheard=(D2,),
            waiting=(D1,) if "prepared" in said[D1] else (),
        )
        == found
    )


@pytest.mark.parametrize("outcome", Outcome)
def test_with_members_unheard_a_recorded_outcome_is_enough(outcome: Outcome) -> None:
    """Who was not heard is in quarantine; what is known needs nobody else."""
    found = adopt({D1: recorded(1, outcome, outcome is COMMIT)}, *OPEN, unheard=(D2,))
    assert {T1: outcome} == outcomes(found)
    assert isinstance(found, tuple)
    assert isinstance(found[0], Adopted)
    assert (D2,) == found[0].quarantined


def test_a_device_that_was_retired_by_name_is_waited_for_no_more() -> None:
    """Retired instead of heard, it is given up: then nobody has recorded COMMIT."""
    state, _ = told(*OPEN, retired(D2), reborn(), reseeded())
    assert (D1,) == reseed.to_be_heard(state, (D1, D2))
    found = reseed.adopt(state, OURS, heard({D1: in_doubt(1)}), (), samples.CONFIG)
    assert {T1: ABORT} == outcomes(found)


def test_who_waits_for_what_others_have_left_must_be_retired() -> None:
    """Who has gone on can't tell any more what became of it: the one in doubt is named."""
    said = {D1: recorded(5, COMMIT, 5), D2: {**recorded(1, COMMIT, 1), **in_doubt(4)}}
    found = adopt(said, *AGAIN)
    assert reseed.Doubtful(txns=(T4,), unheard=(), waiting=(D2,)) == found
    assert {samples.txn_id(5): COMMIT} == outcomes(adopt(said, *AGAIN, retired(D2)))


def test_everybody_who_may_know_is_to_be_heard() -> None:
    """Members of what is open or installed, of the fleet file, deferred, in quarantine."""
    d9 = samples.device_id(9)
    state, _ = told(*OPEN)
    assert (D1, D2, d9) == reseed.to_be_heard(state, (d9,))


# --- the new incarnation ------------------------------------------------------------------------


def begin(*said: DeviceState, story: tuple[Record, ...] = OPEN) -> tuple[LockTaken, Reseeded]:
    """Begin a reseed from what was said at the roll call."""
    state, _ = told(*story)
    told_of = {samples.device_id(number): one for number, one in enumerate(said, 1)}
    taken, begun = reseed.begin(state, told_of, OWNER, "restored", (D1, D2))
    assert isinstance(taken, LockTaken)
    assert isinstance(begun, Reseeded)
    told(*story, taken, begun)
    return taken, begun


@pytest.mark.parametrize(
    "story", [OPEN, AGAIN, RETIRED, LEASED, WORD, (*OPEN, reborn(), reseeded())]
)
def test_a_reseed_may_begin_in_any_state(story: tuple[Record, ...]) -> None:
    """Free, held, or in the middle of another reseed: it begins a new incarnation."""
    taken, _ = begin(story=story)
    assert told(*story)[0].lock.epoch.reborn() == taken.epoch


def test_it_names_whom_it_must_hear() -> None:
    """Whoever goes on with it after a crash hears the same devices, without the fleet's file."""
    d9 = samples.device_id(9)
    state, _ = told(*AGAIN)
    records = reseed.begin(state, {d9: says()}, OWNER, "restored", (D1, D2))
    after, _ = told(*AGAIN, *records)
    assert (D1, D2, d9) == reseed.to_be_heard(after, ())


def test_its_epochs_are_above_all_that_any_device_has_seen() -> None:
    """A device with a higher incarnation would take no other's word."""
    taken, _ = begin(says(max_epoch=Epoch(3, 7)), says())
    assert Epoch(4, 1) == taken.epoch


@pytest.mark.parametrize(
    "said", [{"last_seq": 9}, {"version": 9, "last_seq": 9}, {"prepared_seq": 9, "prepared": "t9"}]
)
def test_sequence_numbers_go_on_above_all_that_any_device_has_seen(
    said: dict[str, object],
) -> None:
    """Decided, installed or only promised: no number is given twice (I11)."""
    _, begun = begin(says(**said))
    assert 9 == begun.last_seq


# --- how it is found out ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"max_epoch": Epoch(1, 9)}, "seen epoch 9"),
        ({"max_epoch": Epoch(2, 1)}, "seen epoch 2.1"),
        ({"last_seq": 9}, "seen txn 9"),
        ({"prepared": "t9", "prepared_seq": 9}, "seen txn 9"),
        ({"version": 1, "last_seq": 1}, "at version 1"),
        ({"prepared": "other", "prepared_seq": 1}, "as other"),
        (recorded(1, COMMIT), "recorded commit of txn 1, here nothing is decided"),
        ({"heuristic": COMMIT, "prepared": "t1", "prepared_seq": 1}, "here nobody gave one"),
    ],
)
def test_whatever_a_device_knows_and_the_journal_lacks_is_named(
    said: dict[str, object], why: str
) -> None:
    """An epoch, a number, a version, a transaction, an outcome, a word."""
    state, _ = told(*OPEN)
    assert why in (answers.contradiction(state, says(**said)) or "")
    assert None is answers.contradiction(state, says())


def test_a_doubt_that_a_reseed_has_not_heard_of_asks_for_another() -> None:
    """A device that was away is in doubt about what was lost: nobody can answer it yet."""
    state, _ = told(*OPEN, reborn(), reseeded(), adopted())
    why = answers.contradiction(state, says(prepared="t4", prepared_seq=4))
    assert "not heard of" in (why or "")
    known, _ = told(*OPEN, reborn(), reseeded(), adopted(lost(4, ABORT)))
    assert None is answers.contradiction(known, says(prepared="t4", prepared_seq=4))
