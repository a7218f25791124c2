"""Coordinators that end a transaction wrongly: one rule of row C3 taken out of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from drone_sim.mutants.deciding import decision
from drone_sim.mutants.mutant import Mutant, coordinator, replaced
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import Txn
from orchestrator.protocol.records import Ended, LockReleased, Record
from orchestrator.protocol.types import DeviceId, Outcome, TxnId

_acknowledged: Final = Witness.acknowledged  # as it is before it is replaced


class AbortsInSilence(Coordinator):
    """Tells an ABORT only to those that have voted: a late PREPARE finds the others ready."""

    def _drive(self, now: float) -> tuple[Record, ...]:
        txn = self.state.open
        if txn is None or txn.outcome is not Outcome.ABORT:
            return super()._drive(now)
        begun = txn.begun
        voted = {d: g for d, g in begun.digests.items() if self.witness.vote(d, begun.txn)}
        known = self.state
        self.state = replace(known, open=replace(txn, begun=replace(begun, digests=voted)))
        records = super()._drive(now)
        self.state = known
        return records


class DefersNobody(Coordinator):
    """Ends a transaction without naming whom it has not heard."""

    def _drive(self, now: float) -> tuple[Record, ...]:
        return tuple(
            replace(record, deferred=()) if isinstance(record, Ended) else record
            for record in super()._drive(now)
        )


class ReleasesWhileOpen(Coordinator):
    """Gives the lock back as soon as the decision is told."""

    def _drive(self, now: float) -> tuple[Record, ...]:
        records = super()._drive(now)
        if self.epoch is None or self.owner is None:
            return records
        return (LockReleased(epoch=self.epoch.next(), by=self.owner),)


class KeepsTheLock(Coordinator):
    """Holds the lock for as long as it lives (clixon: locks outlive their transaction)."""

    def _release(self, _now: float) -> tuple[Record, ...]:
        return ()


class AbsenceIsAbort(Coordinator):
    """Answers who asks about what is not decided: no decision, so it must have been aborted."""

    def _tell_decision(self, device: DeviceId, asked: TxnId) -> None:
        txn = self.state.open
        if txn is not None and txn.begun.txn == asked and txn.decided is None:
            self._send(decision(txn, Outcome.ABORT), device)
        else:
            super()._tell_decision(device, asked)


class AnswersOnlyTheLast(Coordinator):
    """Answers about the last transaction alone: whoever waits for an older one waits on."""

    def _tell_decision(self, device: DeviceId, asked: TxnId) -> None:
        last = self.state.open or self.state.last
        if last is not None and last.begun.txn == asked:
            super()._tell_decision(device, asked)

    def _announce_awaited(self) -> None:
        pass


def acknowledged_unless_prepared(witness: Witness, device: DeviceId, txn: Txn) -> bool:
    """Take everybody who is not prepared for a follower, be PREPARE still on its way to it."""
    told = witness.of(device).state
    if told is not None and txn.outcome is Outcome.ABORT:
        return told.prepared != txn.begun.txn
    return _acknowledged(witness, device, txn)


Acknowledged = Callable[[Witness, DeviceId, Txn], bool]

MUTANTS: Final[tuple[Mutant, ...]] = (
    coordinator("aborts-in-silence", "ABORT goes to the silent, too", AbortsInSilence, "I15"),
    coordinator("defers-nobody", "who was not heard is named", DefersNobody, "I15"),
    coordinator(
        "releases-while-open", "no lock is free with an open txn", ReleasesWhileOpen, "I15"
    ),
    coordinator("keeps-the-lock", "a lock is given back at the end", KeepsTheLock, "I4", "I6"),
    coordinator(
        "absence-is-abort", "absence is never evidence", AbsenceIsAbort, "I1", "I2", "I17"
    ),
    coordinator(
        "answers-only-the-last",
        "whoever is deferred is answered",
        AnswersOnlyTheLast,
        "I6",
        "I28",
    ),
    replaced(
        "counts-the-unprepared",
        "an ABORT is acknowledged by a raised last_seq",
        ("orchestrator.protocol.evidence:Witness", "acknowledged", acknowledged_unless_prepared),
        "I15",
    ),
)
