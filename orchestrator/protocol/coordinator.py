"""
The orchestrator's side of the transaction, as a pure state machine (rows C1 to C3).

Theory of operation
===================
The coordinator knows two things: the fold of the journal, which is the truth, and the evidence
that devices have sent, which is only ever used to decide what to do next. After every event it
looks at both and does what is *due* in its phase (:data:`DUE`); no message drives it from one
phase to the next. So recovery, a takeover and the normal course are one code path: fold the
journal, look, go on.

Its fold changes by :class:`Journaled` alone, which the host tells after an append, whether it
was ours or, after a conflict, somebody else's. A message that depends on a record is made from
the folded record; so nothing can be told before it is stored (I13, I17), and a coordinator whose
lock was taken sees the higher epoch in the fold and stops (fenced, with no clock trusted).

``now`` is the orchestrator's UTC clock in s.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from orchestrator.protocol import answers, lease
from orchestrator.protocol.desk import RESEND_PER_DEVICE_S, RESEND_S, Desk
from orchestrator.protocol.errors import ProtocolMisuse, require
from orchestrator.protocol.messages import Fence
from orchestrator.protocol.orchestration import (
    DETACH_S,
    AbortAsked,
    Append,
    Arrived,
    ClearRetained,
    Connected,
    CoordinatorReady,
    Detach,
    Event,
    Goal,
    Journaled,
    LeaseLost,
    Push,
    Settle,
    StoreLost,
    Tick,
    Timing,
)
from orchestrator.protocol.phases import DUE, FINAL, Phase
from orchestrator.protocol.ready import Ready
from orchestrator.protocol.records import (
    Decided,
    Ended,
    FleetState,
    LockState,
    Record,
    Txn,
    begun_record,
    fold,
)
from orchestrator.protocol.timeline import measured
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner

__all__ = ["DUE", "FINAL", "Coordinator", "Phase"]


class Coordinator(Desk):
    """
    Drives one fleet towards one goal. Feed it events with :meth:`step` until ``phase`` is final.

    ``epoch`` and ``owner`` are those under which the lock is held (``None`` only for Settle),
    ``append_s`` is how long its durable append took.
    The host must have stored the plan and every configuration as blobs before the first step.
    """

    def __init__(
        self,
        state: FleetState,
        *,
        goal: Goal,
        timing: Timing,
        epoch: Epoch | None = None,
        owner: Owner | None = None,
        append_s: float = 0.0,
    ) -> None:
        require((epoch is None) == isinstance(goal, Settle), "a driver needs the lock's epoch")
        super().__init__(state, timing)
        self.goal = goal
        self._resend_s = max(RESEND_S, RESEND_PER_DEVICE_S * self._members())
        self.epoch = epoch
        self.owner = owner
        self.finished: Txn | None = None
        """The transaction that this coordinator has ended, once it has."""
        self.abort_cause: str | None = None
        self._detached = False
        self._final: Phase | None = None
        self._appending: tuple[Record, ...] = ()
        self._append_s = append_s
        self._started_at: float | None = None
        self._driving_since: float | None = None

    def _members(self) -> int:
        """Return how many devices are concerned."""
        if isinstance(self.goal, Push):
            return len(self.goal.plan.members)
        txn = self.state.open or self.state.installed
        return 0 if txn is None else len(txn.begun.digests)

    # --- the one entry ------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """Where the coordinator is."""
        if self._final is not None:
            return self._final
        txn = self.state.open
        if isinstance(self.goal, Settle):
            return Phase.SETTLING
        if txn is not None:
            return Phase.PREPARING if txn.decided is None else Phase.DRIVING
        begins = isinstance(self.goal, Push) and self.finished is None and not self.abort_cause
        return Phase.JOINING if begins else Phase.RELEASING

    @property
    def appending(self) -> tuple[Record, ...]:
        """The records whose append is under way: the next event must tell its answer."""
        return self._appending

    def step(self, event: Event, now: float) -> CoordinatorReady:
        """
        Take one event at UTC instant ``now`` and return what to do.

        Raises ProtocolMisuse if the answer of an append was due and something else was told.
        """
        if self._appending and not isinstance(event, Journaled | StoreLost):
            raise ProtocolMisuse(f"{type(event).__name__} while an append is under way")
        self._started_at = now if self._started_at is None else self._started_at
        records: tuple[Record, ...] = ()
        if self._final is None:
            self._take(event, now)
            records = getattr(self, f"_{DUE[self.phase]}")(now)
        self._appending = records
        notices, self._notices = self._notices, ()
        if records:
            append = Append(expected_head=self.state.head, records=records)
            return Ready(writes=(append,), notices=notices)
        messages, self._messages = self._messages, ()
        effects, self._effects = self._effects, ()
        return Ready(
            messages=messages, effects=effects, notices=notices, wake_at=self._wake_at(now)
        )

    def fork(self) -> Coordinator:
        """Return an independent copy: for exploring what else might happen."""
        twin = copy.copy(self)
        twin.witness = self.witness.fork()
        twin._published = dict(self._published)  # noqa: SLF001 - a copy of ourselves
        twin._retained = dict(self._retained)  # noqa: SLF001
        return twin

    def _take(self, event: Event, now: float) -> None:
        match event:
            case Journaled():
                self._fold(event, now)
            case StoreLost():
                self._final = Phase.UNKNOWN
            case LeaseLost():
                self._final = Phase.STOPPED
            case AbortAsked(cause=cause):
                self.abort_cause = self.abort_cause or cause
            case Detach():
                self._detached = True
            case Connected():
                self._announced = None  # a broker that restarted has lost what was retained
                self._published.clear()
            case Arrived(message=message, at=at):
                self._hear(message, now if at is None else at, now)
                self.abort_cause = self.abort_cause or self.contradiction
            case Tick():
                pass

    def _fold(self, event: Journaled, now: float) -> None:
        """Fold what the journal has; see at once whether the lock is still ours."""
        attempted, self._appending = self._appending, ()
        self._append_s = max(self._append_s, event.took_s)
        was_open = self.state.open
        # Whoever reads the journal beside us may tell us again what we have folded.
        new = [entry for entry in event.entries if entry.index > self.state.head]
        self.state = fold(self.state, new)
        if was_open is not None and self.state.open is None:
            self.finished = self.state.last
        self._resend_at, self._resend_pause_s = now, self._resend_s
        lost = event.unknown and not event.entries
        if lost and any(isinstance(record, Decided) for record in attempted):
            # The answer of C2 was lost and the record is not there: it may still arrive, so
            # the only safe next write is an ABORT; whichever is stored is the truth (I24).
            self.abort_cause = self.abort_cause or "the answer of the decision was lost"
        if self.epoch is not None:
            self._check_lock(self.epoch)

    def _check_lock(self, epoch: Epoch) -> None:
        lock = self.state.lock
        if lock.epoch == epoch and lock.state is not LockState.FREE:
            return
        if lock.state is not LockState.FREE or lock.epoch != epoch.next():
            self._final = Phase.FENCED
            return
        self._finish()

    def _finish(self) -> None:
        """End, and take back what is retained in our topics and waited for by nobody."""
        self._final = Phase.DONE
        if self.finished is not None:
            begun = self.finished.begun
            self._retain(begun.txn, begun.plan, *begun.digests.values())
        awaited = self.state.awaited()
        open_txn = None if self.state.open is None else self.state.open.begun.txn
        for txn, digests in self._retained.items():
            if txn == open_txn:
                continue  # somebody else's, at work
            kept = txn in awaited
            self._effect(ClearRetained(txn=txn, digests=tuple(sorted(digests)), decision=not kept))

    def _join(self, now: float) -> tuple[Record, ...]:
        """Fence the devices, hear who is there, catch up who missed something; then begin."""
        goal, epoch = self.goal, self.epoch
        if not isinstance(goal, Push) or epoch is None:
            return ()
        settled = self._newly_settled()
        if settled:
            return settled
        waiting = self.witness.left(
            ("join", self.state.head),
            goal.plan.members,
            lambda device: self.witness.joined(device, self.state, epoch),
        )
        if self._announce_once("join", now):
            self.witness.fence_sent(now)
            self._send(Fence(epoch=epoch))
            self._announce_awaited()
        elif waiting and self._resend_due(now):
            for device in waiting:
                self._send(Fence(epoch=epoch), device)
        started = now if self._started_at is None else self._started_at
        if waiting and now < started + self.timing.join_s:
            return ()
        return (self._begin(goal, epoch, now),)

    def _begin(self, goal: Push, epoch: Epoch, now: float) -> Record:
        """Make C1's record."""
        told = [self.witness.of(device) for device in goal.plan.members]
        return begun_record(
            goal.plan,
            txn=goal.txn,
            seq=self.state.last_seq + 1,
            epoch=epoch,
            digest=goal.digest,
            timeline=measured(now, self.timing, told, self._append_s),
            spare=goal.spare,
        )

    def _prepare(self, now: float) -> tuple[Record, ...]:
        """Ask for votes until all are in or ``vote_by`` has passed; then decide (C2, C2')."""
        txn = self.state.open
        if txn is None:
            return ()
        begun = txn.begun
        silent = self.witness.left(
            ("votes", begun.txn),
            begun.digests,
            lambda device: self.witness.vote(device, begun.txn) is not None,
        )
        decided = self._decide(txn, silent, now)
        if decided is not None:
            return (decided,)
        if self._announce_once(("prepare", begun.txn), now):
            for digest in (begun.plan, *sorted(set(begun.digests.values()))):
                self._publish(begun.txn, digest, now)
            self._send(answers.prepare(txn))
        elif self._resend_due(now):
            for device in silent:
                self._send(answers.prepare(txn), device)
        return ()

    def _decide(self, txn: Txn, silent: Mapping[DeviceId, None], now: float) -> Decided | None:
        """Return the decision, if there is one to make: COMMIT only on every member's yes (I3)."""
        begun, late = txn.begun, now > txn.begun.timeline.vote_by
        cause = self._abort_cause(txn)
        if cause is None and silent and not late:
            return None
        votes = {d: self.witness.vote(d, begun.txn) for d in begun.digests}
        refused = {d: vote.reasons for d, vote in votes.items() if vote and not vote.yes}
        if cause is None and not silent and not refused and not late:
            return self._decided(txn, Outcome.COMMIT, "every member voted yes", {})
        if cause is None and late:
            refused |= {device: (self.witness.silence(device),) for device in silent}
            cause = "votes missing at vote_by" if silent else "the votes came too late"
        return self._decided(txn, Outcome.ABORT, cause or "refused", refused)

    def _abort_cause(self, txn: Txn) -> str | None:
        """Return why the transaction must abort whatever the votes are."""
        if txn.begun.epoch != self.epoch:
            return "its coordinator lost the lock"
        if txn.abort_requested is not None:
            return f"asked by {txn.abort_requested.by}: {txn.abort_requested.reason}"
        return self.abort_cause

    def _decided(
        self, txn: Txn, outcome: Outcome, cause: str, refused: Mapping[DeviceId, tuple[str, ...]]
    ) -> Decided:
        require(self.epoch is not None, "I8: decided without the lock")
        name, epoch, why = txn.begun.txn, self.state.lock.epoch, dict(refused)
        return Decided(txn=name, epoch=epoch, outcome=outcome, cause=cause, refused=why)

    def _drive(self, now: float) -> tuple[Record, ...]:
        """Tell the decision until every member has followed it, or is deferred by name (C3)."""
        txn, epoch = self.state.open, self.epoch
        if txn is None or epoch is None:
            return ()
        begun = txn.begun
        self._driving_since = now if self._driving_since is None else self._driving_since
        missing = self.witness.left(
            ("drive", begun.txn), begun.digests, lambda device: self.witness.followed(device, txn)
        )
        if not missing or now >= self._settle_by(txn):
            deferred = tuple(d for d in missing if not self.witness.acknowledged(d, txn))
            return (Ended(txn=begun.txn, epoch=epoch, deferred=deferred),)
        if self._announce_once(("decision", begun.txn), now):
            if self.state.lock.state is LockState.RESOLVING:
                self._send(Fence(epoch=epoch))
            self._send(answers.decision(self.state, txn))
        elif self._resend_due(now):
            early = now < begun.timeline.activate_at
            for device in missing:
                if not (early and self.witness.recorded(device, txn)):
                    self._send(answers.decision(self.state, txn), device)
        return ()

    def _settle_by(self, txn: Txn) -> float:
        commit = txn.outcome is Outcome.COMMIT
        activate_at = txn.begun.timeline.activate_at if commit else None
        instants = (activate_at, txn.decided_at, self._driving_since)
        patience_s = DETACH_S if self._detached else self.timing.settle_s
        return max(at for at in instants if at is not None) + patience_s

    def _release(self, _now: float) -> tuple[Record, ...]:
        """Give the lock back; never with an open transaction (I15)."""
        if self.epoch is None or self.owner is None:
            return ()
        released = lease.release(self.state, self.epoch, self.owner)
        return () if isinstance(released, lease.NotTheLock) else released

    def _settle(self, now: float) -> tuple[Record, ...]:
        """Answer those who wait for an old decision, and note who has followed it."""
        settled = self._newly_settled()
        if settled:
            return settled
        if not isinstance(self.goal, Settle):
            return ()
        holding = self.witness.left(
            ("settle", self.state.head),
            self.goal.members,
            lambda device: self.witness.settled(device, self.state),
        )
        if now >= self.goal.until or not (self.state.deferred or holding):
            self._finish()
        elif self._announce_once("awaited", now):
            self._announce_awaited()
        elif self._resend_due(now):
            for device, txns in self.state.deferred.items():
                self._send(answers.decision(self.state, txns[-1]), device)
        return ()

    def _rest(self, _now: float) -> tuple[Record, ...]:
        return ()

    def _wake_at(self, now: float) -> float | None:
        if self.phase in FINAL:
            return None
        instants, txn = [self._resend_at], self.state.open
        if txn is not None:
            vote_by = txn.begun.timeline.vote_by + 1e-3
            instants.append(vote_by if txn.decided is None else self._settle_by(txn))
        elif isinstance(self.goal, Settle):
            instants.append(self.goal.until)
        elif self._started_at is not None:
            instants.append(self._started_at + self.timing.join_s)
        return min((at for at in instants if at > now), default=now + self._resend_s)
