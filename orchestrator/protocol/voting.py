"""
The orders of a device: PREPARE (row D1) and CATCH-UP (row K), fetched, checked and staged.

A PREPARE ends in a vote: a yes that is stored before it is said, or every reason against it.
Until then nothing is promised and everything here may be forgotten; after it only the decision
counts, and this file has nothing more to say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from orchestrator.protocol import order as rules
from orchestrator.protocol.device import (
    Check,
    Checked,
    Holding,
    Pending,
    Stage,
    Unwatch,
    Watch,
)
from orchestrator.protocol.errors import require
from orchestrator.protocol.messages import Blob, CatchUp, Prepare, Vote, Want
from orchestrator.protocol.operation import Retry
from orchestrator.protocol.order import Order
from orchestrator.protocol.ready import Level
from orchestrator.protocol.record import Device
from orchestrator.protocol.types import REASON_CHARS_MAX, REASONS_MAX

MEASURE_PAUSE_S: Final = 0.02


class Voter(Device):
    """A device that can be given orders."""

    def _answer(self, message: Prepare, now: float) -> None:
        """Answer a PREPARE from what is recorded, with no new check; or refuse it."""
        prepared = self.durable.prepared
        if prepared is not None and prepared.txn == message.txn:
            self._vote(message, ())
        elif message.seq <= self.durable.last_seq:
            self._tell(Level.WARNING, "stale-prepare", txn=message.txn, seq=message.seq)
            self._report(now)
        else:
            self._vote(message, rules.refusals(message, self.durable, self._left_behind_at))

    def _consider(self, message: Prepare, now: float) -> None:
        """Take up a PREPARE, unless it is stale or something newer is at hand."""
        if message.seq <= self.durable.last_seq or message.epoch < self.durable.max_epoch:
            self._answer(message, now)
            return
        known = self._order.message if self._order is not None else None
        if isinstance(known, CatchUp) and known.last_seq >= message.seq:
            return  # what it catches up with says that this is decided
        if known is not None and known.epoch >= message.epoch:
            newer = isinstance(known, Prepare) and known.seq > message.seq
            if newer or (isinstance(known, Prepare) and known.txn == message.txn):
                return
        self._take_up(Order(message=message, at=now), now)

    def _take_up(self, order: Order, now: float) -> None:
        self._drop_order()
        self._order = order
        self._watch(now)

    def _drop_order(self) -> None:
        if self._order is not None and self._order.missing is not None:
            self._effect(Unwatch(txn=self._order.message.txn, digest=self._order.missing))
        self._order, self._want, self._measure = None, None, False

    def _watch(self, now: float) -> None:
        order = self._order
        if order is not None and order.missing is not None:
            self._effect(Watch(txn=order.message.txn, digest=order.missing))
            pause_s = rules.patience_s(order, self.operation.clock, now)
            self._want = Retry(at=now + pause_s, pause_s=2 * pause_s, since=now)

    def _collect(self, message: Blob, now: float) -> None:
        """Take the blob that is waited for: first the plan, then the configuration it names."""
        order = self._order
        if order is None or order.missing != message.digest:
            return
        self._effect(Unwatch(txn=order.message.txn, digest=message.digest))
        self._want = None
        if order.digest is None and isinstance(order.message, Prepare):
            self._open_plan(order, order.message, message.data, now)
        else:
            self._order = replace(order, data=message.data)

    def _open_plan(self, order: Order, message: Prepare, data: bytes, now: float) -> None:
        try:
            plan = self._decode_plan(data)
        except ValueError as error:
            self._refuse(message, (f"the plan can't be read: {error}",))
            return
        if self.durable.device not in plan.digests:
            self._tell(Level.INFO, "not-a-member", txn=message.txn)
            self._order = None
        elif not rules.plan_fits(plan, self.durable, message):
            self._refuse(message, ("the plan does not fit its PREPARE",))
        else:
            self._order = replace(order, digest=plan.digests[self.durable.device])
            self._watch(now)

    def _judged(self, event: Checked) -> None:
        order = self._order
        if order is not None and (order.message.txn, order.digest) == (event.txn, event.digest):
            self._order = replace(order, reasons=event.reasons)

    def _work(self, now: float) -> None:
        """Move the order at hand one step on: fetch again, check, then decide on the vote."""
        order = self._order
        if order is None:
            return
        message = order.message
        if isinstance(message, Prepare) and message.seq <= self.durable.last_seq:
            self._drop_order()  # decided meanwhile: an ABORT or a WELCOME has said so (I11)
            self._report(now)
        elif isinstance(message, Prepare) and self._expired(message, now):
            self._refuse(message, self._lateness(message, order, now))
        elif order.missing is not None:
            self._want_again(order, now)
        elif order.reasons is None:
            self._start_check(order)
        elif isinstance(message, CatchUp):
            self._catch_up(message, order, now)
        elif self.durable.known and self.operation.clock is not None:
            self._decide_vote(message, order, now)

    def _expired(self, message: Prepare, now: float) -> bool:
        """Whether ``vote_by`` is past for certain: a wide clock bound may yet be measured anew."""
        clock = self.operation.clock
        if clock is None:
            return False
        return clock.orchestrator_time(now) - clock.error_s(now) > message.timeline.vote_by

    def _lateness(self, message: Prepare, order: Order, now: float) -> tuple[str, ...]:
        missing = "" if order.missing is None else f": {order.missing} has not arrived"
        if order.reasons is not None and self._aims_behind(message):
            missing = ": the controller has not obeyed the hold"
        clock = self.operation.clock
        found = () if clock is None else rules.clock_refusals(message, clock, now)
        stale = rules.refusals(message, self.durable, self._left_behind_at)
        return (*stale, *found, f"not ready in time{missing}")

    def _want_again(self, order: Order, now: float) -> None:
        if order.missing is not None and self._want is not None and self._want.due(now):
            self._want = self._want.again(now)
            device, txn = self.durable.device, order.message.txn
            self._send(Want(device=device, txn=txn, digest=order.missing))

    def _start_check(self, order: Order) -> None:
        if order.checking or order.digest is None or order.data is None:
            return
        self._order = replace(order, checking=True)
        message = order.message
        check = Check(txn=message.txn, digest=order.digest, config=message.config, data=order.data)
        self._effect(check)

    def _decide_vote(self, message: Prepare, order: Order, now: float) -> None:
        clock = self.operation.clock
        late = () if clock is None else rules.clock_refusals(message, clock, now)
        if late and clock is not None and rules.may_improve(clock, order, now):
            # The bound has aged, or was measured on a busy link: another exchange may cure it.
            if not self._measure:
                hello = Retry(at=now + MEASURE_PAUSE_S, since=now)
                self._measure, self._hello = True, hello
            return
        stale = rules.refusals(message, self.durable, self._left_behind_at)
        reasons = (*stale, *late, *(order.reasons or ()))
        if reasons or order.digest is None or order.data is None:
            self._refuse(message, reasons or ("nothing was staged",))
            return
        if self._aims_behind(message):
            return
        durable = replace(
            self.durable,
            prepared=rules.prepared(message, order.digest, self.durable.version),
            max_epoch=max(self.durable.max_epoch, message.epoch),
        )
        stage = Stage(digest=order.digest, data=order.data)
        self._save(durable, then="prepared", message=message, before=(stage,))

    def _aims_behind(self, message: Prepare) -> bool:
        """
        Whether the controller may still aim with a version that the fleet has left behind.

        Its yes makes the device a member, which is no longer left out by name (I5): as at row K.
        """
        behind = self.durable.version not in {0, message.base_version}
        return behind and not self.operation.stopped

    def _prepared(self, message: Prepare, now: float) -> None:
        self._drop_order()
        self.operation.count_hold_from(now)
        self._vote(message, ())

    def _refuse(self, message: Prepare, reasons: tuple[str, ...]) -> None:
        self._drop_order()
        self._vote(message, reasons)

    def _vote(self, message: Prepare, reasons: tuple[str, ...]) -> None:
        prepared = self.durable.prepared
        stored = prepared is not None and prepared.txn == message.txn
        require(reasons or stored, "I13: a yes that is not stored")
        vote = Vote(
            device=self.durable.device,
            txn=message.txn,
            seq=message.seq,
            epoch=message.epoch,
            plan=message.plan,
            yes=not reasons,
            reasons=tuple(reason[:REASON_CHARS_MAX] for reason in reasons[:REASONS_MAX]),
        )
        self._send(vote)

    # --- CATCH-UP: fetch, check, install (K) --------------------------------------------------

    def _consider_catch_up(self, message: CatchUp, now: float) -> None:
        durable = self.durable
        if message.epoch < durable.max_epoch or message.version < durable.version:
            self._tell(Level.WARNING, "stale-catch-up", version=message.version)
        elif (durable.version, durable.digest) == (message.version, message.digest):
            self._report(now)
        elif self._order is None or self._order.message != message:
            self._unconfirm(Holding.BEHIND, now)
            self._take_up(Order(message=message, at=now, digest=message.digest), now)

    def _catch_up(self, message: CatchUp, order: Order, now: float) -> None:
        """
        Row K: install the fleet's version, as D2 does, once the controller has ceased to aim.

        Until then the device is left out by name (I5); its record would end that.
        """
        if order.reasons or order.data is None:
            self._tell(Level.ERROR, "catch-up-refused", why="; ".join(order.reasons or ()))
            self._drop_order()
            return
        if not self.operation.stopped:
            if self.operation.unconfirmed is None:  # enabled anew, while the bytes were fetched
                self._unconfirm(Holding.BEHIND, now)
            return
        durable = replace(
            self.durable,
            max_epoch=max(self.durable.max_epoch, message.epoch),
            last_seq=max(self.durable.last_seq, message.last_seq),
            version=message.version,
            digest=message.digest,
            config=message.config,
            pending=Pending(
                hold_at=message.activate_at,
                activate_at=message.activate_at,
                clock_error_s=0.0,
                previous_version=0,
                previous_digest=None,
            ),
        )
        stage = Stage(digest=message.digest, data=order.data)
        self._save(durable, then="caught_up", message=message, before=(stage,))

    def _caught_up(self, _message: CatchUp, now: float) -> None:
        self._drop_order()
        self._report(now)
