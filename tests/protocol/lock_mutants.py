"""
Shortcuts around the lock, for the yard: what its stories and its random walk must find.

The other half of :mod:`.mutants`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from orchestrator.protocol import lease, reseed
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import Decision, Hello, Heuristic, Welcome
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.records import (
    LockReleased,
    Record,
)
from orchestrator.protocol.types import Epoch, Owner, Ticket
from tests.protocol.mutants import forgets_to_quarantine, frees_while_open, just_steal
from tests.protocol.yard import Yard

# --- devices ------------------------------------------------------------------------------------


class LeaseFromReceipt(Participant):
    """Counts its lease from when the answer came."""

    def _confirm(self, message: Welcome, now: float) -> None:
        super()._confirm(replace(message, sent_at_device_s=now), now)


class OutlivesItsLease(Participant):
    """Goes on when its lease has run out, as long as nobody tells it anything."""

    def _pursue_operation(self, now: float) -> None:
        known, self.operation.lease_until = self.operation.lease_until, None
        super()._pursue_operation(now)
        self.operation.lease_until = known


class WordEndsDoubt(Participant):
    """Takes a person's word for the decision."""

    def _take_word(self, message: Heuristic, now: float) -> None:
        prepared = self.durable.prepared
        if prepared is not None and prepared.txn == message.txn:
            decision = Decision(
                txn=prepared.txn,
                seq=prepared.seq,
                epoch=self.durable.max_epoch,
                plan=prepared.plan,
                outcome=message.outcome,
            )
            self._obey(decision, now)


# --- coordinators -------------------------------------------------------------------------------


class ReleasesWhileOpen(Coordinator):
    """Gives the lock back as soon as the decision is told."""

    def _drive(self, now: float) -> tuple[Record, ...]:
        records = super()._drive(now)
        if self.epoch is None or self.owner is None:
            return records
        return (LockReleased(epoch=self.epoch.next(), by=self.owner),)


class CommitsAnyway(Coordinator):
    """Says that it aborts, and commits because all have voted yes."""

    def _abort_cause(self, txn: Txn) -> str | None:
        known = self.state
        self.state = replace(known, lock=replace(known.lock, release_requested=None))
        cause = super()._abort_cause(txn)
        self.state = known
        return cause


class EnablesQuarantined(Coordinator):
    """Enables whoever has the right version, whether it has re-joined or not."""

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        known = self.state
        self.state = replace(known, quarantined=frozenset())
        super()._welcome(hello, received, now)
        self.state = known


class IgnoresHorizon(Coordinator):
    """Begins without waiting for the leases of those who are left out."""

    def _begin(self, goal: orc.Push, epoch: Epoch, now: float) -> Record:
        known = self.state
        self.state = replace(known, horizons={})
        begun = super()._begin(goal, epoch, now)
        self.state = known
        return begun


class AbortsUnheard(Coordinator):
    """Ends a reseed by what was heard, whoever was not."""

    def _adopt(self, now: float) -> tuple[Record, ...]:
        records = super()._adopt(now)
        if self.doubtful is None or self.epoch is None:
            return records
        self._final, self.doubtful = None, None
        found = reseed.adopt(self.state, self.epoch, self.witness, (), "c")
        return () if isinstance(found, reseed.Doubtful) else found


# --- rules ---------------------------------------------------------------------------------------


def past_the_queue(
    state: FleetState, owner: Owner, purpose: str, _ticket: Ticket | None = None
) -> tuple[Record, ...] | lease.Hot:
    """Grants a free lock to whoever asks first, whoever waits."""
    nobody = replace(state, lock=replace(state.lock, waiters=()))
    return lease.acquire(nobody, owner, purpose)


def always_past_grace(_age_s: float) -> lease.Stage:
    """An expiry that waits for nothing."""
    return lease.Stage.PAST_GRACE


PEOPLE: Final[Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "grants-past-the-queue": ({"acquire": past_the_queue}, "I26"),
    "forgets-to-quarantine": ({"shatter": forgets_to_quarantine}, "I15"),
    "frees-while-open": ({"shatter": frees_while_open}, "I15"),
    "keeps-the-epoch": ({"resolve": just_steal}, "I9"),
    "expires-the-living": ({"stage_of": always_past_grace}, "I20"),
    "releases-while-open": ({"coordinator": ReleasesWhileOpen}, "I15"),
    "commits-when-asked-to-release": ({"coordinator": CommitsAnyway}, "I23"),
    "enables-the-quarantined": ({"coordinator": EnablesQuarantined}, "I25"),
    "ignores-the-horizon": ({"coordinator": IgnoresHorizon}, "I5"),
    "lease-from-receipt": ({"participant": LeaseFromReceipt}, "I5"),
    "outlives-its-lease": ({"participant": OutlivesItsLease}, "I5"),
    "word-ends-the-doubt": ({"participant": WordEndsDoubt}, "I1|I2|I17"),
    "aborts-with-members-unheard": ({"coordinator": AbortsUnheard}, "I1|I2|I17"),
}
"""Shortcuts around the lock: the rule that is changed, and the invariant that it breaks."""

WALKED: Final = (
    "grants-past-the-queue",
    "frees-while-open",
    "keeps-the-epoch",
    "expires-the-living",
    "releases-while-open",
)
"""What the random walk finds quickly; the others need a story of their own."""


def yard(changed: Mapping[str, Any]) -> type[Yard]:
    """Return a yard with rules and cores changed."""
    rules = {"acquire", "resolve", "shatter", "stage_of"}
    names = {name: staticmethod(one) if name in rules else one for name, one in changed.items()}
    return type("Mutated", (Yard,), names)
