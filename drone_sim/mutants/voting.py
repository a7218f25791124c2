"""Devices that vote wrongly: one rule of row D1 taken out of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, device, replaced
from orchestrator.protocol.device import Durable, Save, Write
from orchestrator.protocol.messages import Decision, Prepare, Vote
from orchestrator.protocol.order import Order
from orchestrator.protocol.order import refusals as _refusals  # as it is before it is replaced
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.types import Version


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
    """Goes on with what it stages, and votes, though it has heard that it is aborted (sysrepo)."""

    def _record(self, message: Decision, now: float) -> None:
        order, self._order = self._order, None  # nothing is dropped
        super()._record(message, now)
        self._order = order

    def _work(self, now: float) -> None:
        known = self.durable
        self.durable = replace(known, last_seq=0)
        super()._work(now)
        self.durable = known
        if self._writing is not None:
            durable = replace(self._writing.durable, last_seq=known.last_seq)
            self._writing = replace(self._writing, durable=durable)
            self._writes = _saving(self._writes, durable)


def _saving(writes: Sequence[Write], durable: Durable) -> tuple[Write, ...]:
    """Return the same writes with another record."""
    return tuple(Save(durable=durable) if isinstance(one, Save) else one for one in writes)


class NoSeqCheck(StaleOrder):
    """Prepares for a transaction that it knows to be decided (TiDB 43540: a replayed request)."""

    def _consider(self, message: Prepare, now: float) -> None:
        if message.epoch >= self.durable.max_epoch and self._order is None:
            self._take_up(Order(message=message, at=now), now)


class VotesFirst(Participant):
    """Says yes, and stores it when the decision comes."""

    def _decide_vote(self, message: Prepare, order: Order, now: float) -> None:  # noqa: ARG002
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


class ChangesItsMind(Participant):
    """Checks again when it is asked again, and may take its yes back."""

    def _answer(self, message: Prepare, now: float) -> None:
        prepared = self.durable.prepared
        if prepared is not None and prepared.txn == message.txn:
            durable = replace(self.durable, prepared=None)
            self._save(durable, then="reconsidered", message=message)
        else:
            super()._answer(message, now)

    def _reconsidered(self, message: Prepare, now: float) -> None:
        self._consider(message, now)


class VotesOnThePast(Participant):
    """Answers a PREPARE that is decided already by a no, where it once said yes."""

    def _answer(self, message: Prepare, now: float) -> None:
        if message.seq <= self.durable.last_seq:
            self._vote(message, ("stale",))
        else:
            super()._answer(message, now)


class PreparesWhilePending(Participant):
    """Prepares the next version before the last one is active, and forgets that (netopeer2)."""

    def _answer(self, message: Prepare, now: float) -> None:
        durable = self.durable
        known = message.seq <= durable.last_seq or message.epoch < durable.max_epoch
        if durable.prepared is not None or known:
            super()._answer(message, now)
        else:
            self._take_up(Order(message=message, at=now), now)

    def _decide_vote(self, message: Prepare, order: Order, now: float) -> None:
        known = self.durable
        self.durable = replace(known, pending=None)
        super()._decide_vote(message, order, now)
        self.durable = known


class VotesAsAStranger(Participant):
    """Votes before any HELLO of it was answered: it can't know what it has missed."""

    def _work(self, now: float) -> None:
        super()._work(now)
        order = self._order
        if order is None or order.reasons is None or not isinstance(order.message, Prepare):
            return
        if not self._writes and (self.operation.clock is None or not self.durable.known):
            self._decide_vote(order.message, order, now)


def on_any_base(message: Prepare, durable: Durable, *known: Version | None) -> tuple[str, ...]:
    """Let a device prepare a plan that was made for another version than its own."""
    return _refusals(message, replace(durable, version=message.base_version), *known)


_ORDER: Final = "orchestrator.protocol.order"

MUTANTS: Final[tuple[Mutant, ...]] = (
    device("no-epoch-check", "PREPARE below max_epoch is refused", NoEpochCheck, "I10"),
    device("no-last-seq", "PREPARE with seq <= last_seq is refused", NoSeqCheck, "I2", "I11"),
    device("stale-order", "last_seq is looked at again when it votes", StaleOrder, "I11"),
    device("votes-first", "a yes is stored before it is said", VotesFirst, "I3", "I13"),
    device(
        "changes-its-mind",
        "a duplicate PREPARE is answered by the stored yes",
        ChangesItsMind,
        "I2",
    ),
    device("votes-on-the-past", "what is decided is never voted on", VotesOnThePast, "I2"),
    device(
        "votes-as-a-stranger",
        "no PREPARE is taken before a HELLO was answered",
        VotesAsAStranger,
        "I11",
    ),
    device(
        "prepares-while-pending",
        "no PREPARE is taken while an activation is pending",
        PreparesWhilePending,
        "I12",
    ),
    replaced(
        "ignores-the-base",
        "the plan must be for the device's version",
        (_ORDER, "refusals", on_any_base),
        "I3",
    ),
)
