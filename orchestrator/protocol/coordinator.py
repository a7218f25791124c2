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
from orchestrator.protocol.closing import IDLE_S, Closer
from orchestrator.protocol.desk import RESEND_PER_DEVICE_S, RESEND_S
from orchestrator.protocol.errors import ProtocolMisuse, require
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.fold import fold
from orchestrator.protocol.messages import Fence
from orchestrator.protocol.orchestration import (
    AbortAsked,
    Append,
    Arrived,
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
    Answer,
    Decided,
    LockState,
    Record,
    ReleaseRequested,
    begun_record,
)
from orchestrator.protocol.timeline import measured
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner

__all__ = ["DUE", "FINAL", "Coordinator", "Phase"]


class Coordinator(Closer):
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
        super().__init__(state, goal=goal, timing=timing, epoch=epoch, owner=owner)
        self._resend_s = max(RESEND_S, RESEND_PER_DEVICE_S * self._members())
        self.abort_cause: str | None = None
        self._appending: tuple[Record, ...] = ()
        self._append_s = append_s

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
        if self.state.reseeding is not None:
            return Phase.ADOPTING
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
            records = self._due(now)
        self._appending = records
        notices, self._notices = self._notices, ()
        if records:
            append = Append(expected=self.state.known, records=records)
            return Ready(writes=(append,), notices=notices)
        messages, self._messages = self._messages, ()
        effects, self._effects = self._effects, ()
        return Ready(
            messages=messages, effects=effects, notices=notices, wake_at=self._wake_at(now)
        )

    def _due(self, now: float) -> tuple[Record, ...]:
        """Return the records that are due, and before them our answer to who asks for release."""
        worded = self._newly_worded()
        if worded:
            return worded
        asked = self._release_asked()
        phase = self.phase
        records: tuple[Record, ...] = getattr(self, f"_{DUE[phase]}")(now)
        if asked is None or phase in FINAL or self.owner is None:
            return records
        if phase is Phase.RELEASING:
            return records  # lease.release has answered
        answered = Answer.ABORT if phase is Phase.PREPARING else Answer.FINISH
        return (*lease.answer(self.state, self.owner, answered), *records)

    def _release_asked(self) -> ReleaseRequested | None:
        """Return what somebody asks of us as the holder, until we have answered."""
        lock = self.state.lock
        asked = lock.release_requested
        if asked is None or asked.epoch != self.epoch:
            return None
        if self.phase is Phase.JOINING:
            self.abort_cause = self.abort_cause or f"asked by {asked.by}: {asked.reason}"
        return asked if lock.release_answered is None else None

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

    def _join(self, now: float) -> tuple[Record, ...]:
        """Fence the devices, hear who is there, catch up who missed something; then begin."""
        goal, epoch = self.goal, self.epoch
        if not isinstance(goal, Push) or epoch is None:
            return ()
        settled = self._newly_settled()
        if settled:
            return settled
        retired = self.state.retired.intersection(goal.plan.digests)
        if retired:
            self.abort_cause = f"retired meanwhile: {', '.join(sorted(retired))}"
            return self._release(now)
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
        left_out_until = self.state.left_out_until(goal.plan.digests)
        return begun_record(
            goal.plan,
            txn=goal.txn,
            seq=self.state.last_seq + 1,
            epoch=epoch,
            digest=goal.digest,
            timeline=measured(now, self.timing, told, self._append_s, left_out_until),
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
        asked = self.state.lock.release_requested
        if asked is not None:
            return f"release asked by {asked.by}: {asked.reason}"
        if txn.abort_requested is not None:
            return f"asked by {txn.abort_requested.by}: {txn.abort_requested.reason}"
        return self.abort_cause

    def _decided(
        self, txn: Txn, outcome: Outcome, cause: str, refused: Mapping[DeviceId, tuple[str, ...]]
    ) -> Decided:
        require(self.epoch is not None, "I8: decided without the lock")
        name, epoch, why = txn.begun.txn, self.state.lock.epoch, dict(refused)
        return Decided(txn=name, epoch=epoch, outcome=outcome, cause=cause, refused=why)

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
            forever = self.goal.leases is not None
            instants += [self._leases_at, now + IDLE_S] if forever else [self.goal.until]
        elif self.state.reseeding is not None and self._started_at is not None:
            instants.append(self._started_at + self.timing.settle_s)
        elif self._started_at is not None:
            instants.append(self._started_at + self.timing.join_s)
        return min((at for at in instants if at > now), default=now + self._resend_s)
