"""Devices that follow a decision wrongly: one rule of rows D2, D3 and K taken out of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, device
from orchestrator.protocol import device as dev
from orchestrator.protocol.device import Durable, Finished, Prepared
from orchestrator.protocol.messages import CatchUp, Decision, DeviceState, Heuristic
from orchestrator.protocol.order import Order
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.types import Outcome, Plan


class AbortsAlone(Participant):
    """Takes silence for an ABORT once it would have to hold (Spark, Flink)."""

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


class BelievesAnyDecision(Participant):
    """Takes every decision for that of what it has prepared (Junos: a confirm names no txn)."""

    def _obey(self, message: Decision, now: float) -> None:
        prepared = self.durable.prepared
        if prepared is not None and prepared.txn != message.txn:
            message = replace(message, txn=prepared.txn, seq=prepared.seq, plan=prepared.plan)
        super()._obey(message, now)


class NeedsItsEpoch(Participant):
    """Takes a decision only under the epoch that it voted for: never from who took over."""

    def _obey(self, message: Decision, now: float) -> None:
        prepared = self.durable.prepared
        if prepared is None or message.epoch == prepared.epoch:
            super()._obey(message, now)


class ForgetsItsYes(Participant):
    """Keeps what it has promised in memory alone (Spark, Flink: dropped at a restart)."""

    def __init__(
        self, durable: Durable, *, boot: str, decode_plan: Callable[[bytes], Plan]
    ) -> None:
        super().__init__(replace(durable, prepared=None), boot=boot, decode_plan=decode_plan)


class ForgetsItsActivation(Participant):
    """Keeps the pending activation in memory alone (netopeer2: lost at a restart)."""

    def __init__(
        self, durable: Durable, *, boot: str, decode_plan: Callable[[bytes], Plan]
    ) -> None:
        super().__init__(replace(durable, pending=None), boot=boot, decode_plan=decode_plan)


class AbortsInMemory(Participant):
    """Acknowledges the ABORT of what it has not prepared, and does not store it."""

    def _record(self, message: Decision, now: float) -> None:
        durable = self.durable
        aborted = message.outcome is Outcome.ABORT and message.seq > durable.last_seq
        if not aborted or not durable.known or self._foreign(message):
            super()._record(message, now)
            return
        self._drop_order()
        finished = Finished(txn=message.txn, seq=message.seq, outcome=Outcome.ABORT)
        self.durable = self._with(finished, durable)
        self._report(now)


class ActivatesAtOnce(Participant):
    """Activates when it hears of the COMMIT, not at the instant that was agreed."""

    def _obey(self, message: Decision, now: float) -> None:
        super()._obey(message, now)
        _hurry(self)


class CatchesUpAtOnce(Participant):
    """Activates what it is caught up to when it has it, though the fleet is to begin later."""

    def _catch_up(self, message: CatchUp, order: Order, now: float) -> None:
        super()._catch_up(message, order, now)
        _hurry(self)


def _hurry(core: Participant) -> None:
    """Let the activation that is about to be stored be due."""
    writing = core._writing
    if writing is None or writing.durable.pending is None:
        return
    pending = replace(writing.durable.pending, hold_at=0.0, activate_at=0.0)
    durable = replace(writing.durable, pending=pending)
    core._writing = replace(writing, durable=durable)
    core._writes = (*core._writes[:-1], dev.Save(durable=durable))


class RevertsAlone(Participant):
    """Goes back to the version before when it can't activate: a roll-back of its own."""

    def _handle(self, event: dev.Event, now: float) -> None:
        super()._handle(event, now)
        pending = self.durable.pending
        if not isinstance(event, dev.ActivationFailed) or pending is None:
            return
        if pending.previous_digest is None or event.version != self.durable.version:
            return
        durable = replace(
            self.durable,
            version=pending.previous_version,
            digest=pending.previous_digest,
            pending=None,
        )
        self._save(durable, then="reverted", message=None)

    def _reverted(self, _message: None, now: float) -> None:
        self._report(now)


class ObeysAnyCatchUp(Participant):
    """Installs whatever it is told to, under any epoch and be it older than its own."""

    def _consider_catch_up(self, message: CatchUp, now: float) -> None:
        has = (self.durable.version, self.durable.digest)
        if self._order is None and has != (message.version, message.digest):
            self._take_up(Order(message=message, at=now, digest=message.digest), now)


class SameBytesWillDo(Participant):
    """Takes no CATCH-UP to bytes that it has, under whatever version it has them."""

    def _consider_catch_up(self, message: CatchUp, now: float) -> None:
        if self.durable.digest == message.digest:
            self._report(now)
        else:
            super()._consider_catch_up(message, now)


class IgnoresThePending(Participant):
    """Reports a version as its own and active as soon as it is decided."""

    def state(self, now: float) -> DeviceState:
        """Say that it operates what it has yet to activate."""
        told = super().state(now)
        return replace(told, pending=False, operating=told.version, holds=())


_DECISION: Final = ("I1", "I2", "I17")

MUTANTS: Final[tuple[Mutant, ...]] = (
    device("aborts-alone", "no time-out aborts what is prepared", AbortsAlone, *_DECISION),
    device("commits-alone", "no time-out commits what is prepared", CommitsAlone, *_DECISION),
    device(
        "word-ends-the-doubt",
        "a person's word ends the hold, never the doubt",
        WordEndsDoubt,
        *_DECISION,
    ),
    device(
        "believes-any-decision",
        "a decision must fit what is prepared",
        BelievesAnyDecision,
        *_DECISION,
    ),
    device("needs-its-epoch", "DECISION is taken whatever its epoch", NeedsItsEpoch, "I6", "I28"),
    device("forgets-its-yes", "a yes survives a restart", ForgetsItsYes, "I2", "I15", "I25"),
    device(
        "forgets-its-activation",
        "a pending activation survives a restart",
        ForgetsItsActivation,
        "I5",
        "I13",
    ),
    device(
        "aborts-in-memory",
        "ABORT is stored also where nothing was prepared",
        AbortsInMemory,
        "I13",
        "I15",
    ),
    device("activates-at-once", "nothing is activated before activate_at", ActivatesAtOnce, "I5"),
    device("catches-up-at-once", "a CATCH-UP waits for activate_at, too", CatchesUpAtOnce, "I5"),
    device("reverts-alone", "no device goes back alone", RevertsAlone, "I11"),
    device(
        "obeys-any-catch-up",
        "CATCH-UP below its epoch or version is refused",
        ObeysAnyCatchUp,
        "I11",
    ),
    device(
        "same-bytes-will-do",
        "equal bytes under an older version are caught up, too",
        SameBytesWillDo,
        "I6",
        "I28",
    ),
    device(
        "ignores-the-pending",
        "active is reported once it is active",
        IgnoresThePending,
        "I13",
        "I29",
    ),
)
