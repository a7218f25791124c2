"""
Cores with one rule taken out each: what the explorer and the state machine must find.

Each is a shortcut that somebody might take, or that others have taken. A checker that does not
find one of them checks less than it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from orchestrator.protocol import device as dev
from orchestrator.protocol import lease
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.device import Prepared
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import Decision, Hello, Prepare, Vote, Welcome
from orchestrator.protocol.order import Order
from orchestrator.protocol.participant import DeviceReady, Participant
from orchestrator.protocol.records import (
    Decided,
    Ended,
    LockState,
    LockTaken,
    Record,
    Verb,
)
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner
from tests.protocol.scope import Cores, Scope

PLAIN: Final = Scope(name="plain", instants=4, fences=False)
FORCE: Final = Scope(name="force", instants=4, forces=1, fences=False, zombies=True)


# --- devices ------------------------------------------------------------------------------------


class NoEpochCheck(Participant):
    """Prepares for any epoch."""

    def _consider(self, message: Prepare, now: float) -> None:
        if message.seq > self.durable.last_seq and self._order is None:
            self._take_up(Order(message=message, at=now), now)

    def _decide_vote(self, message: Prepare, order: Order, now: float) -> None:
        known = self.durable
        self.durable = replace(known, max_epoch=min(known.max_epoch, message.epoch))
        super()._decide_vote(message, order, now)
        self.durable = known


class StaleOrder(Participant):
    """Looks at last_seq when the PREPARE comes, but not any more when it votes."""

    def _work(self, now: float) -> None:
        known = self.durable
        self.durable = replace(known, last_seq=0)
        super()._work(now)
        self.durable = known
        if self._writing is not None:
            durable = replace(self._writing.durable, last_seq=known.last_seq)
            self._writing = replace(self._writing, durable=durable)
            self._writes = (dev.Save(durable=durable),)


class NoSeqCheck(StaleOrder):
    """Prepares for a transaction that it knows to be decided."""

    def _consider(self, message: Prepare, now: float) -> None:
        if message.epoch >= self.durable.max_epoch and self._order is None:
            self._take_up(Order(message=message, at=now), now)


class AbortsAlone(Participant):
    """Takes silence for an ABORT once it would have to hold."""

    outcome = Outcome.ABORT

    def _pursue(self, now: float) -> None:
        prepared = self.durable.prepared
        if prepared is not None and self.operation.reached(self._instant(prepared), now):
            alone = Decision(
                txn=prepared.txn,
                seq=prepared.seq,
                epoch=prepared.epoch,
                plan=prepared.plan,
                outcome=self.outcome,
            )
            self._obey(alone, now)
            return
        super()._pursue(now)

    def _instant(self, prepared: Prepared) -> float:
        return prepared.timeline.hold_at


class CommitsAlone(AbortsAlone):
    """Takes silence for a COMMIT at the instant of activation."""

    outcome = Outcome.COMMIT

    def _instant(self, prepared: Prepared) -> float:
        return prepared.timeline.activate_at


class VotesFirst(Participant):
    """Says yes, and stores it when the decision comes."""

    def _decide_vote(self, message: Prepare, order: Order, now: float) -> None:
        if order.reasons is None or order.digest is None:
            return
        vote = Vote(
            device=self.durable.device,
            txn=message.txn,
            seq=message.seq,
            epoch=message.epoch,
            plan=message.plan,
            yes=True,
        )
        if self._measure:  # said already
            return
        self._measure = True
        self._send(vote)


class NeverHolds(Participant):
    """Goes on with the old version while in doubt."""

    def _pursue_operation(self, now: float) -> None:
        known = self.durable
        self.durable = replace(known, prepared=None)
        super()._pursue_operation(now)
        self.durable = known


class ActivatesAtOnce(Participant):
    """Activates when it hears of the COMMIT, not at the instant that was agreed."""

    def _obey(self, message: Decision, now: float) -> None:
        super()._obey(message, now)
        if self._writing is None or self._writing.durable.pending is None:
            return
        pending = replace(self._writing.durable.pending, hold_at=0.0, activate_at=0.0)
        durable = replace(self._writing.durable, pending=pending)
        self._writing = replace(self._writing, durable=durable)
        self._writes = (dev.Save(durable=durable),)


class LateIsFine(Participant):
    """Operates what it has learned late, without asking whether the fleet is still there."""

    def _note_lateness(self, was: Prepared, now: float) -> None:
        pass


class BootsConfirmed(Participant):
    """Operates after a restart what it operated before."""

    def step(self, event: dev.Event, now: float) -> DeviceReady:
        if isinstance(event, dev.Connected) and self.operation.clock is None:
            self.operation.unconfirmed = None
        return super().step(event, now)


class AnyWelcome(Participant):
    """Takes the answer to any of its HELLOs, whatever has changed since."""

    def _confirm(self, message: Welcome, now: float) -> None:
        if message.boot == self.boot:
            self._nonce = message.nonce
        super()._confirm(message, now)


# --- coordinators -------------------------------------------------------------------------------


class TellsFirst(Coordinator):
    """Lets the decision be told before it is stored."""

    outcome = Outcome.COMMIT

    def _decide(self, txn: Txn, silent: Mapping[DeviceId, None], now: float) -> Decided | None:
        decided = super()._decide(txn, silent, now)
        if decided is None or decided.outcome is not self.outcome or self._detached:
            return decided
        self._detached = True  # told; it is stored at the next step
        begun = txn.begun
        told = Decision(
            txn=begun.txn,
            seq=begun.seq,
            epoch=begun.epoch,
            plan=begun.plan,
            outcome=self.outcome,
        )
        self._send(told)
        return None


class PresumesAbort(TellsFirst):
    """Says that it must have been aborted, and records that afterwards."""

    outcome = Outcome.ABORT


class AbortsInSilence(Coordinator):
    """Tells an ABORT only to those that have voted."""

    def _drive(self, now: float) -> tuple[Record, ...]:
        txn, epoch = self.state.open, self.epoch
        if txn is not None and epoch is not None and txn.outcome is Outcome.ABORT:
            return (Ended(txn=txn.begun.txn, epoch=epoch),)
        return super()._drive(now)


class CommitsOnMajority(Coordinator):
    """Does not wait for the last vote once it is late."""

    def _decide(self, txn: Txn, silent: Mapping[DeviceId, None], now: float) -> Decided | None:
        decided = super()._decide(txn, silent, now)
        if decided is not None and len(silent) == 1 and self._abort_cause(txn) is None:
            return self._decided(txn, Outcome.COMMIT, "most have voted yes", {})
        return decided


class NeverFenced(Coordinator):
    """Does not look at the lock's epoch when it folds the journal."""

    def _check_lock(self, epoch: Epoch) -> None:
        if self.state.lock.state is LockState.FREE:
            super()._check_lock(epoch)


class EnablesMembers(Coordinator):
    """Catches up and enables a member of the open transaction that does not show its yes."""

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        known = self.state
        txn = known.open
        if txn is not None and txn.decided is None:
            self.state = replace(known, open=None)
        super()._welcome(hello, received, now)
        self.state = known


# --- locks --------------------------------------------------------------------------------------


def just_steal(
    state: FleetState, _epoch: Epoch, by: Owner, reason: str, _verb: Verb = Verb.FORCE_UNLOCK
) -> tuple[Record, ...]:
    """A forced unlock that takes the lock and decides nothing under the old epoch."""
    taken = LockTaken(
        epoch=state.lock.epoch,
        state=LockState.RESOLVING,
        owner=by,
        purpose="resolve",
        reason=reason,
    )
    return (taken,)


def just_delete(state: FleetState, epoch: Epoch, by: Owner, _reason: str) -> tuple[Record, ...]:
    """A forced unlock that deletes the lock and lets the transaction be."""
    return (
        LockTaken(
            epoch=epoch.next(), state=LockState.HELD, owner=by, purpose="force", reason="deleted"
        ),
    )


def forgets_to_quarantine(
    state: FleetState, epoch: Epoch, by: Owner, reason: str
) -> tuple[Record, ...] | lease.NotTheLock | lease.Refused:
    """A break-glass that names nobody."""
    return _shattered(state, epoch, by, reason, lambda one: replace(one, quarantined=()))


def frees_while_open(
    state: FleetState, epoch: Epoch, by: Owner, reason: str
) -> tuple[Record, ...] | lease.NotTheLock | lease.Refused:
    """A break-glass that frees the lock and leaves the transaction."""
    return _shattered(state, epoch, by, reason, lambda _one: None)


def _shattered(
    state: FleetState,
    epoch: Epoch,
    by: Owner,
    reason: str,
    change: Callable[[Ended], Ended | None],
) -> tuple[Record, ...] | lease.NotTheLock | lease.Refused:
    records = lease.break_glass(state, epoch, by, reason)
    if isinstance(records, lease.NotTheLock | lease.Refused):
        return records
    changed = [change(one) if isinstance(one, Ended) else one for one in records]
    return tuple(one for one in changed if one is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One shortcut; ``scope`` is where breadth-first exploration finds it, and as what."""

    name: str
    cores: Cores
    scope: Scope
    finds: tuple[str, ...]


def _device(core: type[Participant], scope: Scope, *finds: str) -> Mutant:
    return Mutant(name=core.__name__, cores=Cores(participant=core), scope=scope, finds=finds)


def _coordinator(core: type[Coordinator], scope: Scope, *finds: str) -> Mutant:
    return Mutant(name=core.__name__, cores=Cores(coordinator=core), scope=scope, finds=finds)


FENCES: Final = replace(PLAIN, name="fences", fences=True, forces=1)
REFUSAL: Final = replace(PLAIN, name="refusal", instants=1, noes=1, crashes=(1, 0))
NEW_DISK: Final = replace(
    PLAIN, name="new-disk", instants=3, crashes=(1, 0), wiped=(1, 0), cuts=False
)
CRASH: Final = replace(PLAIN, name="crash", crashes=(1, 0))

MUTANTS: Final[Sequence[Mutant]] = (
    _device(NoEpochCheck, FENCES, "I10"),
    _device(NoSeqCheck, REFUSAL, "I11"),
    _device(StaleOrder, REFUSAL, "I11"),
    _device(AbortsAlone, PLAIN, "I1", "I2", "I17"),
    _device(CommitsAlone, PLAIN, "I1", "I2", "I17"),
    _device(VotesFirst, PLAIN, "I3"),
    _device(NeverHolds, PLAIN, "I5"),
    _device(ActivatesAtOnce, PLAIN, "I5"),
    _device(BootsConfirmed, CRASH, "I25"),
    _device(LateIsFine, PLAIN, "I25"),
    _coordinator(PresumesAbort, PLAIN, "I1", "I2", "I17"),
    _coordinator(TellsFirst, PLAIN, "I2", "I17"),
    _coordinator(AbortsInSilence, PLAIN, "I15"),
    _coordinator(CommitsOnMajority, PLAIN, "I3"),
    _coordinator(NeverFenced, FORCE, "I14"),
    _coordinator(EnablesMembers, NEW_DISK, "I5"),
    Mutant(
        name="no_comparing",
        cores=Cores(coordinator=NeverFenced, compares=False),
        scope=FORCE,
        finds=("I7", "I8", "I14"),
    ),
    Mutant(name="just_steal", cores=Cores(resolve=just_steal), scope=FORCE, finds=("I9",)),
    Mutant(
        name="forgets_to_quarantine",
        cores=Cores(shatter=forgets_to_quarantine),
        scope=replace(PLAIN, name="glass", glass=1),
        finds=("I15",),
    ),
    Mutant(
        name="frees_while_open",
        cores=Cores(shatter=frees_while_open),
        scope=replace(PLAIN, name="glass", glass=1),
        finds=("I15",),
    ),
    Mutant(name="just_delete", cores=Cores(resolve=just_delete), scope=FORCE, finds=("I14",)),
)
