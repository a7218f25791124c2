"""
The device's side of the transaction, as a pure state machine (rows D1 to D3, F and K).

Theory of operation
===================
A device is in one of four phases, derived from what is on its disk and from the one order it is
working on. :data:`TRANSITIONS` says which method answers which message in which phase; there is
no other dispatch. What is *due* (activate, hold, resume, ask, say hello again) is not driven by
messages: after every event :meth:`Participant._pursue` looks at the record, the clock and the
holds, and asks for whatever is missing. So a lost message, a restart and a late answer need no
code of their own.

Three rules carry the safety:

* a yes is durable before it is sent, and after it only the decision ends the doubt: no time-out
  in this file ever prepares, commits or aborts anything;
* epochs and ``last_seq`` never decrease (I10, I11);
* a device operates only a version that it knows to be the fleet's: after a restart or a late
  decision it holds until a WELCOME that answers *this* state confirms it (DESIGN §5).

``now`` is the device's own monotonic clock; instants of the orchestrator are reached through
the :class:`~orchestrator.protocol.clock.ClockBound` alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from orchestrator.protocol import order as rules
from orchestrator.protocol.device import (
    OUTCOMES_KEPT,
    Activated,
    ActivationFailed,
    Arrived,
    Checked,
    Connected,
    Durable,
    Effect,
    Event,
    Finished,
    Held,
    Holding,
    Pending,
    Prepared,
    Tick,
    Write,
    WriteFailed,
    Written,
)
from orchestrator.protocol.errors import ProtocolMisuse
from orchestrator.protocol.joining import Joiner
from orchestrator.protocol.messages import (
    Ask,
    Blob,
    CatchUp,
    Decision,
    Fence,
    Heuristic,
    Message,
    Prepare,
    Welcome,
)
from orchestrator.protocol.operation import Aim, Retry
from orchestrator.protocol.ready import Level, Ready
from orchestrator.protocol.types import Outcome

DeviceReady = Ready[Write, Effect]


class Phase(StrEnum):
    """Where a device is in the protocol."""

    IDLE = "idle"
    STAGING = "staging"
    PREPARED = "prepared"
    COMMITTED = "committed"


TRANSITIONS: Final[Mapping[Phase, Mapping[type[Message], str]]] = {
    Phase.IDLE: {
        Prepare: "consider",
        CatchUp: "consider_catch_up",
        Decision: "record",
        Fence: "fence",
        Welcome: "confirm",
        Heuristic: "ignore",
        Blob: "ignore",
    },
    Phase.STAGING: {
        Prepare: "consider",
        CatchUp: "consider_catch_up",
        Decision: "record",
        Fence: "fence",
        Welcome: "confirm",
        Heuristic: "ignore",
        Blob: "collect",
    },
    Phase.PREPARED: {
        Prepare: "answer",
        CatchUp: "ignore",
        Decision: "obey",
        Fence: "fence",
        Welcome: "confirm",
        Heuristic: "take_word",
        Blob: "ignore",
    },
    Phase.COMMITTED: {
        Prepare: "answer",
        CatchUp: "consider_catch_up",
        Decision: "record",
        Fence: "fence",
        Welcome: "confirm",
        Heuristic: "ignore",
        Blob: "ignore",
    },
}
"""Which method answers which message. A message that is in no row is foreign and ignored."""


class Participant(Joiner):
    """
    One device. Feed it events with :meth:`step` and perform each Ready as its contract says.

    ``decode_plan`` turns the plan blob's bytes into a Plan or raises ValueError; it must be pure.
    ``boot`` is a fresh id of this start of the device.
    """

    # --- the one entry ------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """Where the device is: doubt first, then the order at hand, then the activation."""
        if self.durable.prepared is not None:
            return Phase.PREPARED
        if self._order is not None:
            return Phase.STAGING
        return Phase.IDLE if self.durable.pending is None else Phase.COMMITTED

    @property
    def operating(self) -> int | None:
        """The version that the controller aims with now, ``None`` while it holds."""
        return self.operation.operating

    @property
    def writing(self) -> bool:
        """Whether the outcome of a write is awaited: the next event must tell it."""
        return self._writing is not None

    def step(self, event: Event, now: float) -> DeviceReady:
        """
        Take one event at device instant ``now`` and return what to do.

        Total and deterministic. Raises ProtocolMisuse if the outcome of a write was due and
        something else than a Tick was told.
        """
        if self.writing and isinstance(event, Tick):
            return self._meanwhile(now)
        if isinstance(event, Written | WriteFailed) != self.writing:
            raise ProtocolMisuse(f"{type(event).__name__} while writing is {self.writing}")
        self._handle(event, now)
        if not self._writes:
            self._pursue(now)
        notices, self._notices = self._notices, ()
        if self._writes:
            writes, self._writes = self._writes, ()
            # What is overdue (a wrong clock was just put right) does not wait for the disk.
            overdue = self.operation.must_hold(self.durable, now)
            wake_at = now if overdue else self._next(self.operation.instants(self.durable), now)
            return Ready(writes=writes, notices=notices, wake_at=wake_at)
        messages, self._messages = self._messages, ()
        effects, self._effects = self._effects, ()
        return Ready(
            messages=messages, effects=effects, notices=notices, wake_at=self._wake_at(now)
        )

    def _meanwhile(self, now: float) -> DeviceReady:
        """Hold in time even while a slow disk still writes; all else waits for it."""
        hold = self.operation.hold(self.durable, now)
        wake_at = self._next(self.operation.instants(self.durable), now)
        return Ready(effects=() if hold is None else (hold,), wake_at=wake_at)

    def fork(self) -> Participant:
        """Return an independent copy: for exploring what else might happen."""
        twin = copy.copy(self)
        twin.operation = copy.copy(self.operation)
        return twin

    def _handle(self, event: Event, now: float) -> None:
        match event:
            case Arrived(message=message, at=at):
                self._arrived_at = now if at is None else at
                self._take(message, now)
            case Written(took_s=took_s):
                self._stored(took_s, now)
            case WriteFailed(reason=reason):
                self._not_stored(reason, now)
            case Checked():
                self._judged(event)
            case Activated(version=version):
                self.operation.activated(self.durable, version, now)
            case ActivationFailed(reason=reason):
                self.operation.activation_failed(reason, now)
                self._tell(Level.ERROR, "activation-failed", why=reason)
            case Held(refused=refused):
                self._held(refused, now)
            case Connected():
                self._say_hello(now)
            case Tick():
                pass

    def _take(self, message: Message, now: float) -> None:
        handler = TRANSITIONS[self.phase].get(type(message), "ignore")
        getattr(self, f"_{handler}")(message, now)

    def _held(self, refused: str | None, now: float) -> None:
        """Take the controller's answer, then up what had to wait until it ceased to aim."""
        self.operation.held(refused)
        if self.operation.stopped and self._until_stopped is not None:
            waiting, self._until_stopped = self._until_stopped, None
            self._take(waiting, now)

    # --- DECISION (D2) ------------------------------------------------------------------------

    def _obey(self, message: Decision, now: float) -> None:
        """Record the decision that this device waits for: it may not refuse it."""
        prepared = self.durable.prepared
        if prepared is None or prepared.txn != message.txn:
            self._record(message, now)
            return
        if self._foreign(message) or prepared.plan != message.plan:
            self._ignore(message, now)  # not what was promised, or by nobody who may say so
            return
        if self.durable.heuristic not in {None, message.outcome} and not self.operation.stopped:
            # It may aim on a word that this overrules: the record names the word until it ceases.
            self.operation.overruled, self._until_stopped = True, message
            return
        finished = Finished(txn=prepared.txn, seq=prepared.seq, outcome=message.outcome)
        durable = self._with(finished, replace(self.durable, prepared=None, heuristic=None))
        if message.outcome is Outcome.COMMIT:
            durable = replace(
                durable,
                version=prepared.seq,
                digest=prepared.digest,
                config=prepared.config,
                pending=Pending(
                    hold_at=prepared.timeline.hold_at,
                    activate_at=prepared.timeline.activate_at,
                    clock_error_s=prepared.timeline.clock_error_s,
                    previous_version=0 if prepared.left_behind else self.durable.version,
                    previous_digest=None if prepared.left_behind else self.durable.digest,
                ),
            )
        self._save(durable, then="decided", message=message)

    def _decided(self, _message: Decision, now: float) -> None:
        self._ask = None
        self._report(now)

    def _record(self, message: Decision, now: float) -> None:
        """Take a decision of a transaction that this device has not prepared."""
        if self._foreign(message):
            return
        if message.outcome is Outcome.COMMIT and message.seq > self.durable.version:
            # It was taken without this device, or this device has lost its yes: either way the
            # fleet is elsewhere now, whatever else was decided since. Hold and ask.
            self._tell(Level.WARNING, "missed-version", txn=message.txn, seq=message.seq)
            self._unconfirm(Holding.BEHIND, now)
        elif message.seq <= self.durable.last_seq:
            self._report(now)
        elif self.durable.known:
            if self._order is not None and self._order.message.txn == message.txn:
                self._drop_order()
            finished = Finished(txn=message.txn, seq=message.seq, outcome=Outcome.ABORT)
            self._save(self._with(finished, self.durable), then="decided", message=message)

    def _foreign(self, message: Decision) -> bool:
        foreign = message.epoch.incarnation < self.durable.max_epoch.incarnation
        if foreign:
            self._tell(Level.WARNING, "decision-of-old-incarnation", txn=message.txn)
        return foreign

    def _with(self, finished: Finished, durable: Durable) -> Durable:
        kept = (*durable.finished, finished)[-OUTCOMES_KEPT:]
        return replace(durable, finished=kept, last_seq=max(durable.last_seq, finished.seq))

    # --- a person's word ----------------------------------------------------------------------

    def _take_word(self, message: Heuristic, now: float) -> None:
        """Operate as a person says, while in doubt: what was promised stays as it is."""
        prepared = self.durable.prepared
        if prepared is None or prepared.txn != message.txn:
            self._ignore(message, now)
        elif self.durable.heuristic is message.outcome:
            self._report(now)
        else:
            durable = replace(self.durable, heuristic=message.outcome)
            self._save(durable, then="worded", message=message)

    def _worded(self, message: Heuristic, now: float) -> None:
        self._tell(Level.WARNING, "heuristic", txn=message.txn, outcome=message.outcome.value)
        self._report(now)

    # --- the rest -----------------------------------------------------------------------------

    def _ignore(self, message: Message, _now: float) -> None:
        self._tell(Level.DEBUG, "ignored", kind=message.kind, phase=self.phase.value)

    # --- the outcome of a write ----------------------------------------------------------------

    def _stored(self, took_s: float, now: float) -> None:
        writing, self._writing = self._writing, None
        if writing is None:
            raise ProtocolMisuse("nothing was being written")
        before, self.durable = self.durable, writing.durable
        self.operation.overruled &= self.durable.heuristic is not None
        self._staging_s = took_s
        if before.prepared is not None and self.durable.prepared is None:
            self._note_lateness(before.prepared, now)
        if writing.then != "confirmed" and before.vouched != self.durable.vouched:
            self._nonce = None  # an answer on its way speaks of a state that is gone
            self._left_behind_at = None
            if self.operation.unconfirmed is not None:
                self._hello = Retry(at=now)
        getattr(self, f"_{writing.then}")(writing.message, now)

    def _note_lateness(self, was: Prepared, now: float) -> None:
        """Hold until confirmed if the doubt ends after ``activate_at``: the fleet may be ahead."""
        if self.operation.reached(was.timeline.activate_at, now):
            self.operation.unconfirmed = self.operation.unconfirmed or Holding.LATE

    def _not_stored(self, reason: str, now: float) -> None:
        """Nothing was promised. Only a vote is answered; all else is asked for again."""
        writing, self._writing = self._writing, None
        self._tell(Level.ERROR, "disk-refused", why=reason)
        message = None if writing is None else writing.message
        if isinstance(message, Prepare):
            self._refuse(message, (f"disk: {reason}",))
        elif isinstance(message, CatchUp):
            self._drop_order()
        elif message is None:
            self.operation.retry_later(now)

    # --- what is due --------------------------------------------------------------------------

    def _pursue(self, now: float) -> None:
        """Look at record, clock and holds; ask for whatever is missing."""
        self._work(now)
        if not self._writes:
            self._pursue_activation(now)
        if not self._writes:
            self._pursue_operation(now)
            self._pursue_answers(now)

    def _pursue_activation(self, now: float) -> None:
        activate = self.operation.activate(self.durable, now)
        if activate is not None:
            if self.operation.operating is not None or self.operation.aim is Aim.UNTOLD:
                self._pursue_operation(now)  # nobody gets other bytes while it aims
            self._effect(activate)
        elif self.operation.activation_done(self.durable, now):
            self._save(replace(self.durable, pending=None), then="activated", message=None)

    def _activated(self, _message: None, _now: float) -> None:
        """D3 is complete; what follows (operate, report) is due, not said here."""

    def _pursue_operation(self, now: float) -> None:
        operation = self.operation
        if operation.unconfirmed is None and operation.clock_too_wide(self.durable, now):
            self._unconfirm(Holding.CLOCK, now)
        if operation.unconfirmed is None and operation.lease_over(now):
            self._unconfirm(Holding.LEASE, now)
        change = operation.change(self.durable, now)
        holds = operation.holds(self.durable, now)
        effect = change or operation.hold_untold(self.durable, now)
        if effect is not None:
            self._effect(effect)
        pausing = holds == (Holding.ACTIVATING,)  # the common, short pause is not worth a message
        if not pausing and (change is not None or holds != self._told):
            self._report(now)

    def _pursue_answers(self, now: float) -> None:
        """Say HELLO until confirmed; in doubt, ask until told."""
        operation, prepared = self.operation, self.durable.prepared
        calm = operation.unconfirmed is None and operation.clock is not None and self.durable.known
        if calm and not self._measure:
            renew_at = operation.renew_at
            renewal = None if renew_at is None else Retry(at=renew_at, since=now)
            self._hello = renewal and (self._hello or renewal)
            if self._hello is not None and self._hello.due(now):
                self._say_hello(now)
        elif self._hello is not None and self._hello.due(now):
            self._say_hello(now)
        if prepared is None or not operation.reached(prepared.timeline.hold_at, now):
            return
        if self._ask is None or self._ask.due(now):
            self._ask = (self._ask or Retry(at=now)).again(now)
            self._send(Ask(device=self.durable.device, txn=prepared.txn, seq=prepared.seq))

    def _wake_at(self, now: float) -> float | None:
        """Return the next device instant at which something may be due."""
        retries = (self._hello, self._ask, self._want)
        instants = [retry.at for retry in retries if retry is not None]
        instants += self.operation.instants(self.durable)
        order, clock = self._order, self.operation.clock
        if order is not None and clock is not None and isinstance(order.message, Prepare):
            vote_by = clock.device_time(order.message.timeline.vote_by)
            instants += [vote_by + 1e-3, vote_by + clock.error_s(now) + 1e-3]
            instants.append(rules.half_time(clock, order))
        return self._next(instants, now)

    @staticmethod
    def _next(instants: Iterable[float], now: float) -> float | None:
        return min((at for at in instants if at > now), default=None)
