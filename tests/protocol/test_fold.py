"""What the fold makes of those who are not with the fleet, of leases, words and reseeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drone_sim.cores import samples
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.fold import apply
from orchestrator.protocol.records import Entry
from orchestrator.protocol.types import Epoch
from tests.protocol.journals import (
    ABORT,
    AGAIN,
    BROKEN,
    COMMIT,
    COMMITTED,
    D1,
    D2,
    LEASED,
    OPEN,
    RESEEDED,
    WORD,
    adopted,
    decided,
    ended,
    horizon,
    looked_at,
    lost,
    quarantining,
    reborn,
    rejoined,
    reseeded,
    retired,
    told,
)

# --- who is not with the fleet ------------------------------------------------------------------


def test_break_glass_defers_and_quarantines() -> None:
    """Each member that it names is answered when it asks, and not enabled until it re-joins."""
    state, _ = told(*BROKEN)
    assert ({D1, D2}, {D1, D2}) == (set(state.deferred), set(state.quarantined))
    back = apply(state, Entry(index=state.head + 1, at=9.0, record=rejoined(D1)))
    assert ({D2}, {D1, D2}) == (set(back.quarantined), set(back.deferred))


def test_the_retired_are_waited_for_no_more() -> None:
    """A retired device is neither deferred nor in quarantine, and no later end names it."""
    state, _ = told(*BROKEN, retired(D1))
    assert ({D2}, {D2}, {D1}) == (
        set(state.deferred),
        set(state.quarantined),
        set(state.retired),
    )
    late, _ = told(*COMMITTED, retired(D1), quarantining(1))
    assert ({D2}, {D2}) == (set(late.deferred), set(late.quarantined))


def test_a_horizon_never_goes_back() -> None:
    """Of two horizons of a device the later one counts: a lease may have been issued up to it."""
    state, _ = told(*LEASED, horizon(1.0, 40.0, D1), horizon(1.0, 60.0, D2))
    assert {D1: 50.0, D2: 60.0} == dict(state.horizons)
    assert (60.0, 50.0, 0.0) == tuple(
        state.left_out_until(members) for members in ([D1], [D2], [D1, D2])
    )


def test_the_end_of_the_regime_ends_no_lease() -> None:
    """Where there are leases no more, those that were issued are still waited for."""
    state, _ = told(*LEASED, horizon(None, 0.0))
    assert (None, 50.0) == (state.lease_s, state.left_out_until([D1]))


def test_a_word_is_an_exception_until_its_device_has_followed() -> None:
    """It is settled by a person, and only once the word can't be on its way any more."""
    early, _ = told(*WORD, looked_at(D1))
    assert {D1} == set(early.heuristics)
    deferred, _ = told(*WORD, decided(1, 1, ABORT), ended(1, 1, D1), looked_at(D1))
    assert {D1} == set(deferred.heuristics)
    late, _ = told(*WORD, decided(1, 1, ABORT), ended(1, 1), looked_at(D1))
    assert {} == dict(late.heuristics)


def test_what_devices_know_is_adopted() -> None:
    """A lost COMMIT becomes the fleet's version; who is in doubt about it is answered."""
    state, _ = told(*RESEEDED, adopted(lost(4, COMMIT, D2), lost(5, ABORT)))
    assert (4, 5, 5) == (state.version, state.last_seq, state.decided_seq)
    assert samples.digest("t4-d1") == state.digest_of(D1)
    assert {D2: ["t4"]} == {
        device: [txn.begun.txn for txn in txns] for device, txns in state.deferred.items()
    }
    assert None is state.reseeding


def test_what_is_decided_late_does_not_bring_the_version_back() -> None:
    """The open transaction may be older than a version that the same reseed adopts."""
    late = replace(decided(1, 1, COMMIT), epoch=Epoch(2, 1))
    state, _ = told(*RESEEDED, adopted(lost(4, COMMIT)), late)
    assert (4, 5) == (state.version, state.decided_seq)


def test_a_commit_without_votes_is_a_reseeds_alone() -> None:
    """A new incarnation that never asked the devices commits nothing (I3)."""
    state, _ = told(*OPEN, reborn())
    commit = replace(decided(1, 1, COMMIT), epoch=Epoch(2, 1))
    with pytest.raises(InvariantViolation, match="I3"):
        apply(state, Entry(index=state.head + 1, at=9.0, record=commit))


def test_leases_that_a_journal_has_lost_are_waited_for() -> None:
    """All of them were issued before the reseed: none runs longer than one lease from then."""
    state, _ = told(*LEASED, reborn(), reseeded())
    at = float(len(LEASED) + 2)
    assert {D1: 50.0, D2: 50.0} == dict(state.horizons)
    short, _ = told(*AGAIN, horizon(5.0, 6.0, D1), reborn(), reseeded())
    assert {D1: at + 4.0, D2: at + 4.0} == dict(short.horizons)
