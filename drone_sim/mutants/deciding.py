"""Coordinators that begin or decide wrongly: one rule of rows C1, C2 and C2' taken out of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, coordinator, replaced
from orchestrator.protocol import answers
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.fleet import Txn
from orchestrator.protocol.messages import Decision, Vote
from orchestrator.protocol.records import Begun, Decided, Ended, LockState, Record
from orchestrator.protocol.timeline import measured as _measured
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Timeline


def decision(txn: Txn, outcome: Outcome) -> Decision:
    """Make a DECISION that need not be stored."""
    begun = txn.begun
    return Decision(
        txn=begun.txn, seq=begun.seq, epoch=begun.epoch, plan=begun.plan, outcome=outcome
    )


class AsksFirst(Coordinator):
    """Sends PREPARE at once, and stores what it has begun while the devices stage."""

    asked: Begun | None = None

    def _begin(self, goal: orc.Push, epoch: Epoch, now: float) -> Record:
        return self.asked or super()._begin(goal, epoch, now)

    def _join(self, now: float) -> tuple[Record, ...]:
        records = super()._join(now)
        if self.asked is None and len(records) == 1 and isinstance(records[0], Begun):
            self.asked = records[0]
            self._send(answers.prepare(Txn(begun=self.asked, begun_at=now)))
            return ()
        return records


class TellsFirst(Coordinator):
    """Lets the decision be told before it is stored."""

    outcome = Outcome.COMMIT

    def _decide(self, txn: Txn, silent: Mapping[DeviceId, None], now: float) -> Decided | None:
        decided = super()._decide(txn, silent, now)
        if decided is None or decided.outcome is not self.outcome or self._detached:
            return decided
        self._detached = True  # told; it is stored at the next step
        self._send(decision(txn, self.outcome))
        return None


class PresumesAbort(TellsFirst):
    """Says that it must have been aborted, and records that afterwards."""

    outcome = Outcome.ABORT


class CommitsOnMajority(Coordinator):
    """Does not wait for the last vote once it is late."""

    def _decide(self, txn: Txn, silent: Mapping[DeviceId, None], now: float) -> Decided | None:
        decided = super()._decide(txn, silent, now)
        if decided is not None and len(silent) == 1 and self._abort_cause(txn) is None:
            return self._decided(txn, Outcome.COMMIT, "most have voted yes", {})
        return decided


class CommitsOverANo(Coordinator):
    """Waits for every vote and looks at none."""

    def _decide(self, txn: Txn, silent: Mapping[DeviceId, None], now: float) -> Decided | None:
        late = now > txn.begun.timeline.vote_by
        if not silent and not late and self._abort_cause(txn) is None:
            return self._decided(txn, Outcome.COMMIT, "every member voted", {})
        return super()._decide(txn, silent, now)


class CountsAnyVote(Coordinator):
    """Takes any vote for one on whatever is open: late, repeated, of a transaction before."""

    def _count(self, vote: Vote) -> None:
        if self.state.open is not None:
            begun = self.state.open.begun
            vote = replace(vote, txn=begun.txn, seq=begun.seq, epoch=begun.epoch, plan=begun.plan)
        super()._count(vote)


class BelievesItsCommit(Coordinator):
    """Takes a decision whose answer was lost for stored, and tells it."""

    def _fold(self, event: orc.Journaled, now: float) -> None:
        attempted, txn = self._appending, self.state.open
        super()._fold(event, now)
        lost = event.unknown and not event.entries
        tried = [one for one in attempted if isinstance(one, Decided)]
        if lost and txn is not None and tried:
            self._send(decision(txn, tried[0].outcome))


class AbortsWithoutStore(Coordinator):
    """Lets nobody wait for a store that has gone away: it tells an ABORT."""

    def _take(self, event: orc.Event, now: float) -> None:
        super()._take(event, now)
        txn = self.state.open
        if isinstance(event, orc.StoreLost) and txn is not None and txn.decided is None:
            self._send(decision(txn, Outcome.ABORT))


class TakesItsCommitBack(Coordinator):
    """Aborts after all what some do not follow (clixon: a failure in the commit phase)."""

    def _drive(self, now: float) -> tuple[Record, ...]:
        records, txn = super()._drive(now), self.state.open
        failed = any(isinstance(one, Ended) and one.deferred for one in records)
        if txn is not None and txn.outcome is Outcome.COMMIT and failed:
            return (self._decided(txn, Outcome.ABORT, "not everybody has followed", {}), *records)
        return records


class NeverFenced(Coordinator):
    """Does not look at the lock's epoch when it folds the journal."""

    def _check_lock(self, epoch: Epoch) -> None:
        if self.state.lock.state is LockState.FREE:
            super()._check_lock(epoch)


class CommitsAnyway(Coordinator):
    """Says that it aborts, and commits because all have voted yes."""

    def _abort_cause(self, txn: Txn) -> str | None:
        known = self.state
        self.state = replace(known, lock=replace(known.lock, release_requested=None))
        cause = super()._abort_cause(txn)
        self.state = known
        return cause


class IgnoresHorizon(Coordinator):
    """Begins without waiting for the leases of those who are left out."""

    def _begin(self, goal: orc.Push, epoch: Epoch, now: float) -> Record:
        known = self.state
        self.state = replace(known, horizons={})
        begun = super()._begin(goal, epoch, now)
        self.state = known
        return begun


def without_pause(
    now: float,
    timing: orc.Timing,
    told: Iterable[Evidence],
    append_s: float,
    leases_until: float = 0.0,
) -> Timeline:
    """Let the new version begin at the instant at which the old one ends, as if clocks agreed."""
    found = _measured(now, timing, told, append_s, leases_until)
    return replace(found, activate_at=found.hold_at)


MUTANTS: Final[tuple[Mutant, ...]] = (
    coordinator("asks-first", "Begun is stored before PREPARE is sent", AsksFirst, "I13"),
    coordinator(
        "tells-first", "COMMIT is stored before it is told", TellsFirst, "I2", "I13", "I17"
    ),
    coordinator(
        "presumes-abort",
        "ABORT is stored before it is told",
        PresumesAbort,
        "I1",
        "I2",
        "I13",
        "I17",
    ),
    coordinator("commits-on-majority", "COMMIT needs every vote", CommitsOnMajority, "I3"),
    coordinator("commits-over-a-no", "one no is enough", CommitsOverANo, "I3"),
    coordinator("counts-any-vote", "a vote is for one txn", CountsAnyVote, "I3"),
    coordinator(
        "believes-its-commit",
        "a lost answer is read back before anything is told",
        BelievesItsCommit,
        "I17",
        "I24",
    ),
    coordinator(
        "aborts-without-store",
        "where the store stays away the outcome is unknown",
        AbortsWithoutStore,
        "I17",
        "I24",
    ),
    coordinator("takes-its-commit-back", "a decision never changes", TakesItsCommitBack, "I7"),
    coordinator("never-fenced", "a new epoch in the journal stops it", NeverFenced, "I14", "X"),
    coordinator(
        "commits-when-asked-to-release",
        "what was answered to a request is done",
        CommitsAnyway,
        "I23",
    ),
    coordinator(
        "ignores-the-horizon",
        "hold_at is past the leases of who is left out",
        IgnoresHorizon,
        "I5",
    ),
    replaced(
        "begins-without-a-pause",
        "activate_at is 2ε after hold_at",
        ("orchestrator.protocol.coordinator", "measured", without_pause),
        "I5",
    ),
)
