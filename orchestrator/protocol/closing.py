"""
The second half of a coordinator: once it is decided, until nobody waits for anything (row C3).

A decision is driven to every member, a rolled-back store is mended from what the devices know,
the lock is given back, and whoever still waits for an old decision is answered. None of it
decides a transaction by votes; that is the coordinator's.
"""

from __future__ import annotations

from typing import Final

from orchestrator.protocol import answers, lease, leases, reseed
from orchestrator.protocol.desk import RESEND_S, Desk
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import Fence
from orchestrator.protocol.orchestration import (
    DETACH_S,
    ClearRetained,
    Goal,
    Resolve,
    Settle,
    Timing,
)
from orchestrator.protocol.phases import Phase
from orchestrator.protocol.records import Ended, LockState, Record, Verb
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner

IDLE_S: Final = 1.0
"""How often somebody who answers for ever looks whether leases are due."""


class Closer(Desk):
    """A desk that can end what has been decided; ``epoch`` and ``owner`` are those of its lock."""

    def __init__(
        self,
        state: FleetState,
        *,
        goal: Goal,
        timing: Timing,
        epoch: Epoch | None,
        owner: Owner | None,
    ) -> None:
        super().__init__(state, timing)
        self.goal = goal
        self.epoch = epoch
        self.owner = owner
        self.finished: Txn | None = None
        """The transaction that this coordinator has ended, once it has."""
        self.doubtful: reseed.Doubtful | None = None
        """In a reseed that could not end: which transactions nobody we have heard can settle."""
        self._detached = False
        self._final: Phase | None = None
        self._started_at: float | None = None
        self._driving_since: float | None = None
        self._adopted_since: float | None = None
        self._leases_at = 0.0

    # --- the lock in our hands ------------------------------------------------------------------

    def _adopt(self, now: float) -> tuple[Record, ...]:
        """In a reseed: fence everybody into the new incarnation, and take over what they know."""
        epoch, goal, started = self.epoch, self.goal, self._started_at
        if epoch is None or not isinstance(goal, Resolve) or started is None:
            return ()
        members = reseed.to_be_heard(self.state, goal.members)
        unheard = self.witness.left(
            ("adopt", self.state.head), members, lambda d: self.witness.heard_in(d, epoch)
        )
        if self._announce_once("adopt", now):
            self._send(Fence(epoch=epoch))
        elif unheard and self._resend_due(now):
            for device in unheard:
                self._send(Fence(epoch=epoch), device)
        if unheard and now < started + self.timing.settle_s:
            return ()
        records = reseed.adopt(self.state, epoch, self.witness, tuple(unheard), goal.config)
        if isinstance(records, reseed.Doubtful):
            self.doubtful = records
            self._final = Phase.UNHEARD
            return ()
        return records

    def _drive(self, now: float) -> tuple[Record, ...]:
        """Tell the decision until every member has followed it, or is deferred by name (C3)."""
        txn, epoch = self.state.open, self.epoch
        if txn is None or epoch is None:
            return ()
        rejoined = self._newly_rejoined()
        if rejoined:
            return rejoined  # a member in quarantine that follows need not hold until the end
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

    def _release(self, now: float) -> tuple[Record, ...]:
        """Give the lock back; never with an open transaction (I15)."""
        if self.epoch is None or self.owner is None or self._reborn_wait(now):
            return ()
        released = lease.release(self.state, self.epoch, self.owner)
        return () if isinstance(released, lease.NotTheLock) else released

    def _reborn_wait(self, now: float) -> bool:
        """Whether devices that were heard in a reseed still wait to be told that they may aim."""
        goal, epoch = self.goal, self.epoch
        if not isinstance(goal, Resolve) or self.state.lock.purpose != Verb.RESEED or not epoch:
            return False
        self._adopted_since = now if self._adopted_since is None else self._adopted_since
        waiting = self.witness.left(
            ("reborn", self.state.head),
            goal.members,
            lambda device: (
                not self.witness.heard_in(device, epoch)
                or self.witness.settled(device, self.state)
            ),
        )
        return bool(waiting) and now < self._adopted_since + self.timing.settle_s

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

    # --- without the lock -----------------------------------------------------------------------

    def _settle(self, now: float) -> tuple[Record, ...]:
        """Answer those who wait for an old decision, and note who has followed it."""
        goal = self.goal
        if not isinstance(goal, Settle):
            return ()
        records = (*self._newly_settled(), *self._leases_due(goal, now))
        if records:
            return records
        holding = self.witness.left(
            ("settle", self.state.head),
            goal.members,
            lambda device: self.witness.settled(device, self.state),
        )
        waiting = self.state.deferred or self.state.quarantined or holding
        if goal.leases is not None:
            self._serve_for_ever(goal, now)
        elif now >= goal.until or not waiting:
            self._finish()
        elif self._announce_once("awaited", now):
            self._announce_awaited()
        elif self._resend_due(now):
            self._remind()
        return ()

    def _remind(self) -> None:
        """Tell again what is waited for; whoever only has to re-join is asked what it is."""
        for device, txns in self.state.deferred.items():
            self._tell_decision(device, txns[-1].begun.txn)
        for device in sorted(self.state.quarantined.difference(self.state.deferred)):
            self._send(answers.ROLL_CALL, device)

    # --- enable leases (DESIGN §5) --------------------------------------------------------------

    def _leases_due(self, goal: Settle, now: float) -> tuple[Record, ...]:
        """Return the horizons to raise: many devices at a time, not one append for each."""
        if goal.leases is None or now < self._leases_at:
            return ()
        wanted_s = self.state.lease_s if goal.leases.keep else goal.leases.lease_s
        lease_s = leases.regime(self.state, wanted_s, now)
        records = leases.due(self.state, self.witness, lease_s, now)
        if records:
            self._leases_at = now + RESEND_S
        return records

    def _serve_for_ever(self, goal: Settle, now: float) -> None:
        """Answer for ever, and see that whoever operates asks for its lease."""
        self._clear_retained()
        for device in sorted(self._unleased):
            if self.state.horizons.get(device, 0.0) > now:  # it asked before that was there
                self._unleased -= {device}
                self._send(answers.ROLL_CALL, device)
        if self._announce_once(("serve", self.state.lease_s, *self.state.awaited()), now):
            self._send(answers.ROLL_CALL)
            self._announce_awaited()
        elif self._resend_due(now):
            self._remind()
            for device in self._silent(goal, now):
                self._send(answers.ROLL_CALL, device)

    def _clear_retained(self) -> None:
        """Take back the decisions that we have told and that nobody waits for any more."""
        kept = {*self.state.awaited()}
        kept |= {txn.begun.txn for txn in (self.state.open, self.state.installed) if txn}
        for txn in sorted(set(self._retained) - kept):
            digests = tuple(sorted(self._retained[txn]))
            self._retained = {name: one for name, one in self._retained.items() if name != txn}
            self._effect(ClearRetained(txn=txn, digests=digests, decision=True))

    def _silent(self, goal: Settle, now: float) -> tuple[DeviceId, ...]:
        """Return who has not spoken for a whole lease: it is away, or operates without one."""
        lease_s = self.state.lease_s
        if lease_s is None:
            return ()
        gone = self.state.retired | self.state.quarantined
        heard = {device: self.witness.of(device).at for device in goal.members}
        return tuple(
            device
            for device, at in heard.items()
            if device not in gone and (at is None or at < now - lease_s)
        )
