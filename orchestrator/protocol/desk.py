"""
The orchestrator's desk: takes what devices say, and answers each of them from the fold.

Answering needs no lock and decides nothing; what is due in a transaction is the coordinator's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from orchestrator.protocol import answers
from orchestrator.protocol.evidence import Witness
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import (
    Ask,
    DeviceMessage,
    Hello,
    Heuristic,
    OrchestratorMessage,
    Presence,
    Report,
    Vote,
    Want,
)
from orchestrator.protocol.orchestration import Effect, PublishBlob, Timing
from orchestrator.protocol.ready import Level, Notice, Send, notice
from orchestrator.protocol.records import Record, Rejoined, Settled
from orchestrator.protocol.types import NOT_KNOWN, DeviceId, Digest, TxnId

RESEND_S: Final = 0.2
RESEND_PER_DEVICE_S: Final = 0.002
"""The first pause before those who have not answered are asked again: the larger of the two.

A large fleet takes a while to answer at all; asking it again meanwhile only makes it slower.
"""

RESEND_MAX_S: Final = 2.0


class Desk:
    """What a coordinator knows and is about to say."""

    def __init__(self, state: FleetState, timing: Timing) -> None:
        self.state = state
        self.timing = timing
        self.witness = Witness()
        self.contradiction: str | None = None
        """What a device knows that the journal lacks: the store was rolled back, or is foreign."""
        self._announced: object = None
        self._unleased: frozenset[DeviceId] = frozenset()
        """Who was last answered with no lease at all: its horizon was not raised yet."""
        self._worded: frozenset[DeviceId] = frozenset()
        """Who was heard to act on a person's word."""
        self._resend_at = 0.0
        self._resend_s = RESEND_S
        self._resend_pause_s = RESEND_S
        self._published: dict[tuple[TxnId, Digest], float] = {}
        self._retained: dict[TxnId, frozenset[Digest]] = {}
        self._messages: tuple[Send, ...] = ()
        self._effects: tuple[Effect, ...] = ()
        self._notices: tuple[Notice, ...] = ()

    # --- what devices say ---------------------------------------------------------------------

    def _hear(self, message: DeviceMessage, received: float, now: float) -> None:
        match message:
            case Hello():
                self._learn(message, now)
                self._welcome(message, received, now)
            case Report():
                self._learn(message, now)
            case Vote():
                self._count(message)
            case Ask():
                self._tell_decision(message.device, message.txn)
            case Want():
                self._serve(message, now)
            case Presence():
                self.witness.presence(message)

    def _learn(self, message: Hello | Report, now: float) -> None:
        self.witness.learn(message, now)
        if message.state.heuristic is not None:
            self._worded |= {message.device}

    def _count(self, vote: Vote) -> None:
        txn = self.state.open
        if txn is None or vote.device not in txn.begun.digests:
            return
        begun = txn.begun
        asked = (begun.txn, begun.seq, begun.epoch, begun.plan)
        if (vote.txn, vote.seq, vote.epoch, vote.plan) == asked:
            self.witness.count(vote)
        else:
            self._tell(Level.DEBUG, "stale-vote", device=vote.device, txn=vote.txn)

    def _welcome(self, hello: Hello, received: float, now: float) -> None:
        """Answer a HELLO: the decision it waits for, what it missed, and whether to operate."""
        device, error_s = hello.device, self.timing.clock_error_s
        if self.state.reseeding is not None:
            self._tell_word(device, hello.state.prepared)
            return  # what this fleet is, the devices are only just telling us
        if device in self.state.retired:
            self._tell(Level.WARNING, "retired-device", device=device)
            return
        why = answers.contradiction(self.state, hello.state)
        if why is not None:
            self.contradiction = self.contradiction or f"{device}: {why}"
            self._tell(Level.ERROR, "store-contradicted", device=device, why=why)
            self._tell_word(device, hello.state.prepared)
            return
        # WELCOME first: it measures the clock, and what follows makes a device ask anew.
        welcome = answers.welcome(
            self.state, hello, received=received, now=now, clock_error_s=error_s
        )
        self._send(welcome, device)
        unleased = welcome.lease_s is not None and welcome.lease_s <= 0
        self._unleased = self._unleased | {device} if unleased else self._unleased - {device}
        if hello.state.prepared is not None:
            self._tell_decision(device, hello.state.prepared)
        elif answers.undecided_for(self.state, device) is None:
            self._catch_up(device, now)

    def _tell_decision(self, device: DeviceId, asked: TxnId) -> None:
        """Answer "what was decided for txn X?" from the journal; silence where nothing is."""
        txn, told = answers.decided(self.state, asked), self.witness.of(device).state
        if txn is None:
            self._tell_word(device, asked)
            return
        decision = answers.decision(self.state, txn)
        if decision.plan == NOT_KNOWN:  # a reseed could not learn it; whoever waits knows it
            if told is None or told.prepared != asked or told.prepared_plan is None:
                self._send(answers.ROLL_CALL, device)
                return
            decision = replace(decision, plan=told.prepared_plan)
        self._send(decision, device)

    def _tell_word(self, device: DeviceId, asked: TxnId | None) -> None:
        """Tell a device in doubt what a person lets it act on, whatever else is known."""
        word = self.state.heuristics.get(device)
        if word is not None and word.txn == asked:
            self._send(Heuristic(txn=word.txn, outcome=word.outcome), device)

    def _serve(self, want: Want, now: float) -> None:
        """Publish a blob again, if it belongs to the open or the installed transaction."""
        for txn in (self.state.open, self.state.installed):
            if txn is None or txn.begun.txn != want.txn:
                continue
            begun = txn.begun
            if want.digest in (begun.plan, *begun.digests.values(), *begun.spare.values()):
                self._publish(want.txn, want.digest, now)
                return

    def _catch_up(self, device: DeviceId, now: float) -> None:
        if not self.witness.behind(device, self.state):
            return
        message = answers.catch_up(self.state, device)
        if message is not None:
            self._publish(message.txn, message.digest, now)
            self._send(message, device)

    # --- those who wait for an old decision ------------------------------------------------------

    def _newly_settled(self) -> tuple[Record, ...]:
        """Return a record for every device that has followed, or re-joined, after all."""
        settled = tuple(
            Settled(device=device, txn=txn.begun.txn, version=told.version, last_seq=told.last_seq)
            for device, txns in self.state.deferred.items()
            for txn in txns
            if (told := self.witness.of(device).state) is not None and self._follows(device, txn)
        )
        return (*settled, *self._newly_rejoined())

    def _follows(self, device: DeviceId, txn: Txn) -> bool:
        """Whether a device need not be answered on ``txn`` any more; in quarantine it holds."""
        if device in self.state.quarantined:
            return self.witness.recorded(device, txn)
        return self.witness.acknowledged(device, txn)

    def _newly_rejoined(self) -> tuple[Record, ...]:
        """Return a record for every quarantined device that is the fleet's again (I25)."""
        found = tuple(
            Rejoined(device=device, version=told.version, last_seq=told.last_seq)
            for device in sorted(self.state.quarantined)
            if (told := self.witness.of(device).state) is not None
            and self.witness.rejoined(device, self.state)
        )
        for record in found:  # told after the append: it asks, and is enabled
            self._send(answers.ROLL_CALL, record.device)
        return found

    def _newly_worded(self) -> tuple[Record, ...]:
        """Return a record for every word that a device acts on and the journal has lost."""
        words = (
            answers.lost_word(self.state, device, told)
            for device in sorted(self._worded)
            if (told := self.witness.of(device).state) is not None
        )
        return tuple(word for word in words if word is not None)

    def _announce_awaited(self) -> None:
        """Publish again every decision that a deferred device still waits for."""
        for txn in self.state.awaited().values():
            if txn.begun.plan == NOT_KNOWN:
                continue  # each device that waits is answered with the plan that it names
            self._retain(txn.begun.txn)
            self._send(answers.decision(self.state, txn))

    # --- output -------------------------------------------------------------------------------

    def _announce_once(self, what: object, now: float) -> bool:
        """Whether ``what`` is still to be broadcast in this session of the transport."""
        if self._announced == what:
            return False
        self._announced = what
        self._resend_at, self._resend_pause_s = now + self._resend_s, 2 * self._resend_s
        return True

    def _resend_due(self, now: float) -> bool:
        """Whether it is time to ask again those who have not answered; then wait longer."""
        if now < self._resend_at:
            return False
        self._resend_at = now + self._resend_pause_s
        self._resend_pause_s = min(2 * self._resend_pause_s, max(RESEND_MAX_S, self._resend_s))
        return True

    def _publish(self, txn: TxnId, digest: Digest, now: float) -> None:
        """Publish a blob, at most once in a pause: many devices may want the same one."""
        last = self._published.get((txn, digest))
        if last is None or now >= last + self._resend_s:
            self._published[txn, digest] = now
            self._retain(txn, digest)
            self._effect(PublishBlob(txn=txn, digest=digest))

    def _retain(self, txn: TxnId, *digests: Digest) -> None:
        """Remember that topics of ``txn`` may hold what we, or somebody before us, published."""
        self._retained[txn] = self._retained.get(txn, frozenset()) | frozenset(digests)

    def _send(self, message: OrchestratorMessage, to: DeviceId | None = None) -> None:
        self._messages = (*self._messages, Send(message=message, to=to))

    def _effect(self, effect: Effect) -> None:
        self._effects = (*self._effects, effect)

    def _tell(self, level: Level, event: str, **detail: str | float | None) -> None:
        self._notices = (*self._notices, notice(level, event, **detail))
