"""
What may be said when: I13 (write before send), I17 (recorded before told), I24 (read back).

One rule for each row of DESIGN §4 that has a message. A message may be handed to the network long
after it was made, so it is held against everything that was ever stored: a device's message must
tell what its record once was, an orchestrator's what the journal once had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drone_sim.checker.ledger import Ledger
from drone_sim.checker.truth import Truth
from orchestrator.protocol.device import Durable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import (
    Ask,
    Blob,
    CatchUp,
    Decision,
    DeviceState,
    Fence,
    Hello,
    Heuristic,
    Message,
    Prepare,
    Report,
    Vote,
    Welcome,
)
from orchestrator.protocol.types import NOT_KNOWN, DeviceId, Epoch, Outcome, TxnId, Version

ROLL_CALL: Final = Epoch(0, 0)
"""The epoch of a FENCE that fences nobody."""

ROUNDING_S: Final = 1e-6

Told = tuple[object, ...]
Found = Iterator[tuple[str, str]]


def told_by(durable: Durable) -> Told:
    """Return what HELLO and REPORT say of a record."""
    prepared = durable.prepared
    last = durable.finished[-1] if durable.finished else None
    return (
        durable.version,
        durable.digest,
        durable.last_seq,
        durable.max_epoch,
        durable.heuristic,
        durable.pending is not None,
        None if prepared is None else (prepared.txn, prepared.seq, prepared.plan, prepared.digest),
        None if last is None else (last.txn, last.seq, last.outcome),
    )


def _told_in(state: DeviceState) -> Told:
    prepared, last = state.prepared, state.outcome_txn
    return (
        state.version,
        state.digest,
        state.last_seq,
        state.max_epoch,
        state.heuristic,
        state.pending,
        None
        if prepared is None
        else (prepared, state.prepared_seq, state.prepared_plan, state.prepared_digest),
        None if last is None else (last, state.outcome_seq, state.outcome),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A HELLO that was sent, after so many folds; ``shown`` are the transactions it told of."""

    folds: int
    shown: tuple[TxnId | None, TxnId | None]


class Speech:
    """Listens to every message that is handed to the network by whoever made it."""

    def __init__(self, truth: Truth, ledger: Ledger) -> None:
        self._truth = truth
        self._ledger = ledger
        self._records: dict[DeviceId, dict[Told, None]] = {}
        self._yeses: dict[tuple[DeviceId, TxnId, int, Epoch, object], None] = {}
        self._said_yes: dict[tuple[DeviceId, TxnId], None] = {}
        self._aims: dict[tuple[DeviceId, int], None] = {}
        self._folds: list[FleetState] = [truth.fleet]
        self._epochs: dict[Epoch, None] = {truth.fleet.lock.epoch: None}
        self._installed: dict[tuple[Epoch, Version, int], None] = {}
        """Which version was the fleet's under which epoch, with which last_seq."""
        self._asked: dict[tuple[str, int], _Asked] = {}
        self._unread: dict[str, TxnId | None] = {}
        """Who has lost an answer and not read the journal since, and what it may have decided."""
        self.states: dict[tuple[DeviceId, int, int | None], float] = {}
        """When a device first told that it is at a version and operates one, in story time."""
        for name in truth.devices:
            self.stored(name, truth.devices[name].durable)

    # --- what is stored -------------------------------------------------------------------------

    def stored(self, device: DeviceId, durable: Durable) -> None:
        """Take a record that is durable: it may be told from now on."""
        self._records.setdefault(device, {})[told_by(durable)] = None
        prepared = durable.prepared
        self._aims[device, durable.version] = None
        if prepared is not None:
            yes = (device, prepared.txn, prepared.seq, prepared.epoch, prepared.plan)
            self._yeses[yes] = None
            if durable.heuristic is Outcome.COMMIT:
                self._aims[device, prepared.seq] = None

    def replaced(self, device: DeviceId) -> None:
        """Take that a device has forgotten what it has said: another unit, or a disk that lied."""
        self._said_yes = {name: None for name in self._said_yes if name[0] != device}

    def folded(self, fleet: FleetState) -> None:
        """Take another state of the journal, after an append or a restore."""
        self._folds.append(fleet)
        self._epochs[fleet.lock.epoch] = None
        self._installed[fleet.lock.epoch, fleet.version, fleet.decided_seq] = None

    def lost(self, process: str) -> None:
        """Take that the answer of an append was lost."""
        fleet = self._truth.fleet
        self._unread[process] = None if fleet.open is None else fleet.open.begun.txn

    def read(self, process: str) -> None:
        """Take that it has read the journal since."""
        self._unread.pop(process, None)

    # --- what is said ---------------------------------------------------------------------------

    def said(self, sender: str, message: Message, to: DeviceId | None) -> None:
        """Judge a message."""
        found = self._of_orchestrator(sender, message, to)
        if isinstance(message, Hello | Report | Vote | Ask):
            found = self._of_device(message)
        for id_, text in found:
            self._truth.blame(id_, f"{sender}: {text}")

    def _of_device(self, message: Hello | Report | Vote | Ask) -> Found:
        match message:
            case Hello() | Report():
                return self._of_itself(message)
            case Vote():
                return self._vote(message)
            case Ask(device=device, txn=txn):
                return self._in_doubt(device, txn)

    def _of_orchestrator(self, sender: str, message: Message, to: DeviceId | None) -> Found:
        match message:
            case Prepare():
                return self._prepare(message)
            case Decision():
                return self._decision(sender, message)
            case Welcome():
                return self._welcome(message, to)
            case CatchUp():
                return self._catch_up(message, to)
            case Fence(epoch=epoch):
                return self._fence(epoch)
            case Heuristic() | Blob():
                return self._of_the_journal(message, to)
            case _:
                return iter(())

    # --- devices (D1, D2, D3, F, K, H) ----------------------------------------------------------

    def _of_itself(self, message: Hello | Report) -> Found:
        device, state = message.device, message.state
        if _told_in(state) not in self._records.get(device, {}):
            yield "I13", f"{message.kind} tells what was never stored: {state}"
        if state.operating is not None and (device, state.operating) not in self._aims:
            yield "I13", f"{message.kind} tells that it operates {state.operating}, never its own"
        self.states.setdefault((device, state.version, state.operating), self._truth.now_s)
        if isinstance(message, Hello):
            shown = (state.prepared, state.outcome_txn)
            asked = _Asked(folds=len(self._folds) - 1, shown=shown)
            self._asked[message.boot, message.nonce] = asked

    def _vote(self, vote: Vote) -> Found:
        name = (vote.device, vote.txn)
        if not vote.yes:
            if name in self._said_yes:
                yield "I2", f"a no to {vote.txn} after a yes"
            return
        self._said_yes[name] = None
        if (vote.device, vote.txn, vote.seq, vote.epoch, vote.plan) not in self._yeses:
            yield "I13", f"a yes to {vote.txn} that was never stored"

    def _in_doubt(self, device: DeviceId, txn: TxnId) -> Found:
        if all(one[:2] != (device, txn) for one in self._yeses):
            yield "I13", f"asks about {txn}, which it has never promised"

    # --- orchestrators (L, C1, C2, K, E, Q, R, H') ----------------------------------------------

    def _fence(self, epoch: Epoch) -> Found:
        if epoch not in (ROLL_CALL, *self._ledger.taken):
            yield "I13", f"FENCE of epoch {epoch}, which nobody has taken"

    def _prepare(self, message: Prepare) -> Found:
        begun = self._ledger.begun.get(message.txn)
        said = (message.seq, message.epoch, message.plan, message.timeline)
        if begun is None or said != (begun.seq, begun.epoch, begun.plan, begun.timeline):
            yield "I13", f"PREPARE of {message.txn}, which was not begun so"

    def _decision(self, sender: str, message: Decision) -> Found:
        txn, outcome = message.txn, message.outcome
        if outcome not in self._ledger.outcomes.get(txn, {}):
            yield "I17", f"{outcome} of {txn} is told, and not stored"
        if self._unread.get(sender) == txn:
            yield "I24", f"tells of {txn}, and has not read what became of its append"
        begun = self._ledger.begun.get(txn)
        fits = begun is None or begun.plan in (NOT_KNOWN, message.plan)
        if begun is not None and not (fits and begun.seq == message.seq):
            yield "I17", f"DECISION of {txn} speaks of another plan or number"

    def _catch_up(self, message: CatchUp, to: DeviceId | None) -> Found:
        versions = self._ledger.committed.get(message.version, [])
        known = [one for one in versions if one.txn == message.txn]
        if not known:
            yield "I17", f"CATCH-UP to {message.version} by {message.txn}, no COMMIT is stored"
        elif to is not None and all(one.digests.get(to) != message.digest for one in known):
            yield "I17", f"CATCH-UP of {to} to {message.digest}, which the version has not for it"
        said = (message.config, message.activate_at)
        if known and all((one.config, one.activate_at) != said for one in known):
            yield "I13", f"CATCH-UP to {message.version} as {said}, the journal has it otherwise"
        if message.epoch not in self._epochs:
            yield "I13", f"CATCH-UP under epoch {message.epoch}, which the lock never had"
        told = (message.epoch, message.version, message.last_seq)
        if known and message.epoch in self._epochs and told not in self._installed:
            text = f"CATCH-UP to {message.version} with last_seq {message.last_seq}"
            yield "I13", f"{text}, which was not the fleet's under epoch {message.epoch}"

    def _welcome(self, message: Welcome, to: DeviceId | None) -> Found:
        """Hold the answer against every state of the journal since the HELLO was sent."""
        asked = self._asked.get((message.boot, message.nonce))
        incarnation = self._truth.fleet.lock.epoch.incarnation
        old = self._truth.rolled_back or message.epoch.incarnation < incarnation
        if asked is None or to is None or old:
            return  # what a store has lost is still told, until a reseed; then nobody obeys it
        if not any(self._may_say(fold, message, to, asked) for fold in self._folds[asked.folds :]):
            yield "I13", f"WELCOME of {to} says what the journal has not had since it asked"

    @staticmethod
    def _may_say(fold: FleetState, message: Welcome, to: DeviceId, asked: _Asked) -> bool:
        """Whether a fold allows this answer (rows E, Q, R and the open txn of DESIGN §5)."""
        mine = (message.epoch, message.version, message.digest, message.last_seq)
        theirs = (fold.lock.epoch, fold.version, fold.digest_of(to), fold.decided_seq)
        if mine != theirs or fold.reseeding is not None or to in fold.retired:
            return False
        txn = fold.open
        hidden = txn is not None and txn.decided is None and txn.begun.txn not in asked.shown
        unsure = hidden and txn is not None and to in txn.begun.digests
        if message.enable and (unsure or to in fold.quarantined):
            return False
        if fold.lease_s is None:
            return message.lease_s is None
        horizon = fold.horizons.get(to, 0.0) - message.received_at
        longest = max(0.0, min(fold.lease_s, horizon)) + ROUNDING_S
        return message.lease_s is not None and message.lease_s <= longest

    def _of_the_journal(self, message: Heuristic | Blob, to: DeviceId | None) -> Found:
        if isinstance(message, Heuristic):
            if to is not None and (to, message.txn, message.outcome) not in self._ledger.words:
                yield "I13", f"HEURISTIC {message.outcome} of {message.txn} to {to}: nobody's word"
        elif message.txn not in self._ledger.begun and message.txn not in self._ledger.relisted:
            yield "I13", f"a blob of {message.txn}, which was not begun"
