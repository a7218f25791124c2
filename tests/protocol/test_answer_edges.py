"""What the journal is held to lack, in words; and the answers where there is nothing to answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import samples
from orchestrator.protocol import answers
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.records import Record
from orchestrator.protocol.types import DeviceId, Epoch, TxnId
from tests.protocol.journals import (
    ABORT,
    ABORTED,
    ADOPTED,
    AGAIN,
    COMMIT,
    D1,
    ENDED,
    LEASED,
    OPEN,
    RESEEDED,
    adopted,
    begun,
    decided,
    ended,
    lost,
    told,
)
from tests.protocol.one_desk import state

OTHER: Final = TxnId("x")
T1, T4, T6 = samples.txn_id(1), samples.txn_id(4), samples.txn_id(6)
NEXT: Final = (
    replace(begun(6, 1, 4), epoch=Epoch(2, 3)),
    replace(decided(6, 1, ABORT), epoch=Epoch(2, 3)),
)
FOUND: Final[tuple[Record, ...]] = (
    *RESEEDED,
    adopted(lost(4, COMMIT)),
    replace(decided(1, 1, ABORT), epoch=Epoch(2, 1)),
    replace(ended(1, 1), epoch=Epoch(2, 1)),
)
"""A reseed has adopted version 4 and ended t1; it has heard of transactions up to 5."""


@pytest.mark.parametrize(
    ("journal", "said", "why"),
    [
        (ENDED, {}, None),
        (ENDED, {"max_epoch": samples.epoch(2)}, "it has seen epoch 2, this journal is at 1"),
        (ENDED, {"last_seq": 2}, "it has seen txn 2, this journal ends at 1"),
        (
            ENDED,
            {"prepared": OTHER, "prepared_seq": 2},
            "it has seen txn 2, this journal ends at 1",
        ),
        (ABORTED, {"version": 1}, "it is at version 1, this journal at 0"),
        (
            OPEN,
            {"prepared": T1, "prepared_seq": 1, "heuristic": COMMIT},
            "it acts on a word for commit of txn 1, here nobody gave one",
        ),
        (OPEN, {"prepared": T1, "prepared_seq": 1}, None),
        (OPEN, {"prepared": OTHER, "prepared_seq": 1}, "it knows txn 1 as x, this journal as t1"),
        (
            AGAIN,
            {"outcome_txn": OTHER, "outcome": COMMIT, "outcome_seq": 1},
            "it knows txn 1 as x, this journal as t1",
        ),
        (AGAIN, {"outcome_txn": None, "outcome_seq": 1}, None),
        (
            OPEN,
            {"outcome_txn": T1, "outcome": ABORT, "outcome_seq": 1},
            "it has recorded abort of txn 1, here nothing is decided",
        ),
        (
            ABORTED,
            {"outcome_txn": T1, "outcome": COMMIT, "outcome_seq": 1},
            "it has recorded commit of txn 1, here abort is",
        ),
        (
            (*ENDED, begun(2, 1, 1)),
            {"outcome_txn": T1, "outcome": ABORT, "outcome_seq": 1},
            "it has recorded abort of txn 1, here commit is",
        ),
        # up to what the reseed has heard of, devices may remember what the journal has lost
        (FOUND, {"outcome_txn": T1, "outcome": COMMIT, "outcome_seq": 1}, None),
        (FOUND, {"outcome_txn": OTHER, "outcome": COMMIT, "outcome_seq": 4}, None),
        (FOUND, {"outcome_txn": T4, "outcome": ABORT, "outcome_seq": 4}, None),
        (
            ADOPTED,
            {"outcome_txn": T1, "outcome": COMMIT, "outcome_seq": 1},
            "it has recorded commit of txn 1, here nothing is decided",
        ),
        (
            FOUND,
            {"prepared": OTHER, "prepared_seq": 5},
            "it is in doubt about txn 5 (x), which the last reseed has not heard of",
        ),
        (FOUND, {"prepared": T4, "prepared_seq": 4}, None),
    ],
)
def test_what_the_journal_lacks_is_said(
    journal: tuple[Record, ...], said: dict[str, object], why: str | None
) -> None:
    """Each contradiction in its own words, and none where there is none."""
    assert why == answers.contradiction(told(*journal)[0], state(**said))


def test_a_name_from_after_the_reseed_counts() -> None:
    """What is older than the reseed is passed over, not what stands beside it."""
    fleet = told(*FOUND)[0]
    later = replace(fleet, open=replace(fleet.known_txns()[0], begun=NEXT[0]), last_seq=6)
    said = state(
        prepared=T4, prepared_seq=4, outcome_txn=OTHER, outcome=ABORT, outcome_seq=6, last_seq=6
    )
    assert "it knows txn 6 as x, this journal as t6" == answers.contradiction(later, said)


def test_a_decision_is_not_told_before_it_is_stored() -> None:
    """I17 in its own words: there is no DECISION to be made of an open transaction."""
    fleet = told(*OPEN)[0]
    assert fleet.open is not None
    with pytest.raises(InvariantViolation) as refusal:
        answers.decision(fleet, fleet.open)
    assert "I17: told before it was stored" == str(refusal.value)


def test_who_has_no_configuration_is_not_caught_up() -> None:
    """Neither before the first version, nor where the version leaves the device out."""
    assert None is answers.catch_up(told(*OPEN)[0], D1)
    assert None is answers.catch_up(told(*ENDED)[0], DeviceId("d9"))


@pytest.mark.parametrize(
    ("device", "received", "lease_s"),
    [(D1, 40.0, 5.0), (D1, 47.0, 3.0), (D1, 51.0, 0.0), (DeviceId("d9"), 0.5, 0.0)],
)
def test_a_lease_ends_with_its_horizon(device: DeviceId, received: float, lease_s: float) -> None:
    """Never longer than the regime's, nor beyond the horizon; without one there is none."""
    assert lease_s == answers.lease_for(told(*LEASED)[0], device, received)
    assert None is answers.lease_for(told(*OPEN)[0], device, received)
