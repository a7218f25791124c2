"""
Models with one rule taken out each: what the verification must find.

Each is a shortcut that somebody might take, or that others have taken. ``finds`` are the
properties that are violated; each is asked alone (``-DONLY``), so that none hides behind another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.model.scopes import COARSE, NO_FAULTS
from tests.model.spin import Scope

KINDS: Final = (
    "FORCES",
    "CRASHES",
    "RESTARTS",
    "LOST",
    "LOSSES",
    "EXCUSES",
    "EXPIRIES",
    "ASKS",
)
"""The switches of fleet.pml that allow faults of a kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A switch of the model; the faults without which the rule is not missed; what finds it."""

    switch: str
    about: str
    finds: tuple[str, ...]
    faults: tuple[str, ...] = ()
    more: Mapping[str, int] | None = None

    def scope(self, found_by: str) -> Scope:
        """Return what is verified to see whether ``found_by`` finds it."""
        switches = {kind: int(kind in self.faults) for kind in KINDS}
        switches = {"FAULTS": len(self.faults), **switches, "CONFIRMS": 0, "LATES": 0}
        claim = found_by if found_by in LIVENESS else None
        if found_by == "I4":
            switches |= NO_FAULTS
        if claim is not None:
            switches |= {**COARSE, "CONFIRMS": 1}
        return Scope(
            name=self.switch,
            about=self.about,
            switches={**switches, **(self.more or {})},
            claim=claim,
        )


LIVENESS: Final = ("I4", "I6", "I16", "I18")
"""The properties of whole runs: LTL formulae, which -DONLY does not concern."""

MUTANTS: Final = (
    # --- the lock ----------------------------------------------------------------------------
    Mutant(
        switch="DELETES_THE_LOCK",
        about="the forced unlock frees the lock, and leaves the rest as it is",
        finds=("I14", "I15"),
        faults=("FORCES",),
    ),
    Mutant(
        switch="NEVER_DRIVES",
        about="whoever has taken the lock decides, and does not see to it that it is followed",
        finds=("I16", "I6"),
        faults=("FORCES",),
    ),
    Mutant(
        switch="OVERRULES",
        about="the forced unlock aborts what is open, whether it was decided or not",
        finds=("I1", "I2", "I7"),
        faults=("FORCES",),
    ),
    Mutant(
        switch="GRANT_WHILE_HELD",
        about="the lock is granted to whoever asks",
        finds=("I14",),
    ),
    Mutant(
        switch="ANYBODY_RELEASES",
        about="a release does not look whose lock it is",
        finds=("I14",),
        faults=("FORCES",),
    ),
    Mutant(
        switch="FREE_WITH_OPEN",
        about="the lock is given back before the transaction has ended",
        finds=("I15",),
    ),
    Mutant(
        switch="SAME_EPOCH",
        about="a new owner goes on under the old epoch",
        finds=("I9",),
    ),
    Mutant(
        switch="ANYBODY_RENEWS",
        about="a heartbeat renews the lock, whoever's it is",
        finds=("I21",),
        faults=("FORCES", "EXPIRIES"),
        more={"PUSHES": 1},
    ),
    Mutant(
        switch="NO_RECOVERY",
        about="nobody takes the lock of who is dead",
        finds=("I6",),
        faults=("CRASHES",),
    ),
    # --- the journal and the decision ----------------------------------------------------------
    Mutant(
        switch="NO_COMPARE",
        about="the journal appends without comparing: a zombie is not fenced",
        finds=("I14", "I7", "I8"),
        faults=("FORCES",),
    ),
    Mutant(
        switch="TWO_DECIDERS",
        about="devices are fenced, also against decisions, and each driver decides by itself",
        finds=("I1", "I7"),
        faults=("FORCES",),
        more={"RAW": 1},
    ),
    Mutant(
        switch="FIRST_YES",
        about="COMMIT on the first yes",
        finds=("I3",),
    ),
    Mutant(
        switch="ANY_VOTE",
        about="a yes for the transaction before counts, too",
        finds=("I3",),
        more={"RAW": 1},
    ),
    Mutant(
        switch="SILENCE_IS_NO",
        about="ABORT as long as a vote is missing, without waiting for vote_by",
        finds=("I4",),
    ),
    Mutant(
        switch="TOLD_FIRST",
        about="COMMIT is told, and then stored",
        finds=("I1", "I17"),
    ),
    Mutant(
        switch="PRESUMES_ABORT",
        about="whoever asks about what is not decided is told ABORT",
        finds=("I1", "I17"),
    ),
    Mutant(
        switch="UNSURE_IS_ABORT",
        about="whoever loses the answer of its COMMIT tells ABORT",
        finds=("I1", "I17"),
        faults=("LOST",),
    ),
    Mutant(
        switch="FORGETS_THE_MISSING",
        about="the transaction ends, and nobody is deferred",
        finds=("I15",),
    ),
    Mutant(
        switch="ABORT_TO_VOTERS",
        about="ABORT concerns those alone who have voted",
        finds=("I15",),
    ),
    Mutant(
        switch="NO_DESK",
        about="nobody answers those who are in doubt after the end",
        finds=("I6", "I18"),
        faults=("LOSSES",),
    ),
    # --- the device ----------------------------------------------------------------------------
    Mutant(
        switch="NO_EPOCH_CHECK",
        about="a device prepares for any epoch",
        finds=("I10",),
        faults=("FORCES",),
    ),
    Mutant(
        switch="NO_LAST_SEQ",
        about="a device prepares for what it knows to be decided",
        finds=("I11",),
    ),
    Mutant(
        switch="STALE_ORDER",
        about="it looks at last_seq when PREPARE comes, and not any more when it votes",
        finds=("I11",),
    ),
    Mutant(
        switch="SECOND_PROMISE",
        about="a newer PREPARE replaces a promise",
        finds=("I2", "I12"),
    ),
    Mutant(
        switch="VOTE_FIRST",
        about="a yes is said, and then stored",
        finds=("I3",),
    ),
    Mutant(
        switch="ABORTS_ALONE",
        about="a prepared device aborts at a time-out",
        finds=("I1", "I3", "I17"),
    ),
    Mutant(
        switch="COMMITS_ALONE",
        about="a prepared device commits at activate_at",
        finds=("I1", "I17"),
    ),
    Mutant(
        switch="ANY_DECISION",
        about="a retained decision of another transaction is taken for this one's",
        finds=("I1", "I17"),
    ),
    Mutant(
        switch="DECISION_AGAIN",
        about="a retained COMMIT is obeyed once more",
        finds=("I11", "I18"),
    ),
    Mutant(
        switch="PROMISE_IN_RAM",
        about="a restart forgets the promise",
        finds=("I2", "I3"),
        faults=("RESTARTS",),
        more={"CONFIRMS": 1},
    ),
    Mutant(
        switch="EPOCH_IN_RAM",
        about="a restart forgets max_epoch",
        finds=("I10",),
        faults=("RESTARTS",),
        more={"CONFIRMS": 1},
    ),
    Mutant(
        switch="SEQ_IN_RAM",
        about="a restart forgets last_seq",
        finds=("I11",),
        faults=("RESTARTS",),
        more={"CONFIRMS": 1},
    ),
)
