"""What the fold says of a record that it refuses, and all that it makes of one that it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.fold import apply
from orchestrator.protocol.records import Entry, LockState, Record
from orchestrator.protocol.types import Epoch, Ticket
from tests.protocol.journals import (
    ABORT,
    COMMIT,
    D1,
    D2,
    STORIES,
    abort_asked,
    adopted,
    answered,
    asked,
    begun,
    decided,
    ended,
    horizon,
    lost,
    released,
    requested,
    reseeded,
    retired,
    settled,
    taken,
    told,
    withdrawn,
    without_d2,
)
from tests.protocol.verbatim import Shower, wrapped

REFUSED: Final[tuple[tuple[str, Record, str], ...]] = (
    ("held", taken(1), "I9: epoch 1 after 1"),
    ("free", taken(1, LockState.RESOLVING), "I14: nothing to resolve, the lock is free"),
    ("free", replace(taken(1), epoch=Epoch(2, 1)), "I9: only a reseed begins an incarnation"),
    ("held", taken(2), "I14: granted while it was held"),
    ("open", taken(2), "I14: granted while it was held"),
    ("in-line", taken(3), "I26: granted past the first of the queue"),
    (
        "in-line",
        replace(taken(3), ticket=Ticket("w2")),
        "I26: granted past the first of the queue",
    ),
    ("waited-for", requested("w2"), "I26: a ticket used twice"),
    ("free-again", answered(2), "I14: answered while it was free"),
    ("asked", answered(2), "I14: answered under another epoch"),
    ("free-again", released(3), "I14: released while it was free"),
    ("held", released(1), "I9: epoch 1 after 1"),
    ("ended", released(1), "I9: epoch 1 after 1"),
    ("open", released(2), "I15: freed with an open transaction"),
    ("adopted", replace(released(1), epoch=Epoch(2, 2)), "I15: freed with an open transaction"),
    ("free", begun(1, 0), "I14: begun without the lock"),
    ("resolving", begun(2, 2), "I14: begun without the lock"),
    ("held", begun(1, 2), "I14: begun under another epoch"),
    ("open", begun(2, 1), "I15: begun while another transaction was open"),
    ("ended", begun(1, 1, 1), "I11: seq 1 after 1"),
    ("ended", begun(2, 1, 0), "begun on a stale base version"),
    ("retired", begun(1, 1), "begun with a retired member"),
    (
        "leased",
        without_d2(50.09),
        "I5: hold_at before a lease of a device that is left out has run out",
    ),
    ("held", decided(1, 1, ABORT), "decided without being open"),
    ("open", decided(2, 1, ABORT), "decided without being open"),
    ("committed", decided(1, 1, COMMIT), "I7: decided twice"),
    ("open", decided(1, 2, ABORT), "I8: decided under another epoch than the lock's"),
    (
        "reseeded",
        replace(decided(1, 1, ABORT), epoch=Epoch(2, 1)),
        "I1: decided before a reseed has heard the devices",
    ),
    ("resolving-open", decided(1, 2, COMMIT), "I3: committed votes of another epoch"),
    ("held", ended(1, 1), "ended without being open"),
    ("committed", ended(2, 1), "ended without being open"),
    ("open", ended(1, 1), "I15: ended before it was decided"),
    ("committed", ended(1, 2), "I14: ended under another epoch"),
    (
        "left-out",
        horizon(5.0, 70.0, D1, D2),
        "I5: a lease of a device that the open transaction leaves out",
    ),
    ("reseeded", replace(reseeded(), epoch=Epoch(3, 1)), "I14: reseeded under another epoch"),
    ("held", replace(reseeded(), epoch=Epoch(1, 1)), "I14: reseeded without the lock"),
    ("reseeded", replace(adopted(), epoch=Epoch(3, 1)), "I14: adopted under another epoch"),
    ("adopted", adopted(), "I2: nothing is adopted but by a reseed"),
    ("reseeded", adopted(lost(4, ABORT), lost(1, ABORT)), "I7: relisted what is known"),
)


@pytest.mark.parametrize(("story", "record", "why"), REFUSED)
def test_a_refusal_says_what_is_wrong(story: str, record: Record, why: str) -> None:
    """Each illegal record is refused for its own reason, in these words."""
    state, _ = told(*STORIES[story])
    with pytest.raises(InvariantViolation) as refusal:
        apply(state, Entry(index=state.head + 1, at=9.0, record=record))
    assert why == str(refusal.value)


def test_a_lock_in_a_reseed_is_not_given_back() -> None:
    """Also where nothing is open, it ends first: nobody knows what the fleet is (I15)."""
    state, _ = told(taken(1), *STORIES["reseeded"][-2:])
    freed = replace(released(1), epoch=Epoch(2, 2))
    with pytest.raises(InvariantViolation) as refusal:
        apply(state, Entry(index=state.head + 1, at=9.0, record=freed))
    assert "I15: freed in the middle of a reseed" == str(refusal.value)


def test_a_gap_is_named() -> None:
    """It says which entry came after which."""
    state, _ = told(*STORIES["open"])
    with pytest.raises(InvariantViolation) as refusal:
        apply(state, Entry(index=4, at=9.0, record=released(2)))
    assert "journal gap: 4 after 2" == str(refusal.value)


MORE: Final[dict[str, tuple[Record, ...]]] = {
    "two-deferrals": (
        *STORIES["free-again"],
        taken(3),
        begun(2, 3, 1),
        decided(2, 3, COMMIT),
        ended(2, 3, D1, D2),
    ),
    "left-the-line": (*STORIES["in-line"], withdrawn("w1"), settled(D1)),
    "granted-in-turn": (*STORIES["in-line"], replace(taken(3), ticket=Ticket("w1"))),
    "settled-in-part": (
        *STORIES["free-again"],
        taken(3),
        begun(2, 3, 1),
        decided(2, 3, ABORT),
        ended(2, 3, D2),
        settled(D2),
    ),
    "asked-to-abort": (*STORIES["open"], abort_asked(1)),
    "asked-to-abort-another": (*STORIES["open"], abort_asked(2)),
    "asked-to-abort-too-late": (*STORIES["committed"], abort_asked(1)),
    "asked-when-free": (*STORIES["free-again"], asked(2)),
    "asked-another-epoch": (*STORIES["held"], asked(2)),
    "adopted-lost": (
        *STORIES["reseeded"],
        replace(
            adopted(lost(4, COMMIT, D2), lost(3, COMMIT), lost(5, ABORT, D1, D2)),
            quarantined=(D1,),
        ),
    ),
    "adopted-beside-the-retired": (
        *STORIES["retired"],
        *STORIES["reseeded"][-2:],
        replace(adopted(), last_seq=7, quarantined=(D1, D2)),
    ),
    "adopted-and-decided": (
        *STORIES["reseeded"],
        adopted(lost(4, COMMIT)),
        replace(decided(1, 1, COMMIT), epoch=Epoch(2, 1)),
    ),
    "left-out-and-decided": (*STORIES["left-out"], decided(2, 3, COMMIT)),
    "reseeded-with-leases": (*STORIES["leased"], *STORIES["reseeded"][-2:]),
    "regime-ended": (*STORIES["leased"], horizon(None, 0.0)),
    "retired-while-deferred": (*STORIES["broken"], retired(D1)),
}
FOLDED: Final = STORIES | MORE


def states() -> str:
    """Tell what each story comes to, a field a line, without what is usual."""
    found = []
    for name, records in FOLDED.items():
        state, _ = told(*records)
        found += [name, *(line for field in Shower().fields_of(state) for line in wrapped(field))]
    return "\n".join((*found, ""))


def test_the_fold_of_each_story_is_the_same(request: pytest.FixtureRequest) -> None:
    """Every field of every fold is as it is written (``--rewrite`` writes it anew)."""
    path = Path(__file__).parent / "words" / "fold.states"
    if request.config.getoption("--rewrite", default=False):
        path.write_text(states())
    else:
        assert path.read_text() == states()
