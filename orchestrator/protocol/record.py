"""
The common ground of a device's core: its record, what it is writing, what it is about to say.

Split from the participant so that voting (D1) and following a decision (D2, D3, F, K) can be
read one at a time; nothing here knows the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.protocol.device import Durable, Effect, Holding, Save, Write
from orchestrator.protocol.messages import DeviceMessage, DeviceState, Hello, Message, Report
from orchestrator.protocol.operation import Operation, Retry
from orchestrator.protocol.order import Order
from orchestrator.protocol.ready import Level, Notice, Send, notice
from orchestrator.protocol.types import REASON_CHARS_MAX, Plan, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What is being written, and which method goes on when it is stored."""

    durable: Durable
    then: str
    message: Message | None


class Device:
    """One device's record and voice; ``participant`` has the rest of it."""

    def __init__(
        self, durable: Durable, *, boot: str, decode_plan: Callable[[bytes], Plan]
    ) -> None:
        self.durable = durable
        self.boot = boot
        self.operation = Operation()
        self._decode_plan = decode_plan
        self._order: Order | None = None
        self._writing: Writing | None = None
        self._number = 0
        self._arrived_at = 0.0
        self._nonce: int | None = None
        self._measure = False
        self._left_behind_at: Version | None = None
        """The fleet's version, where the last answer had no configuration of it for us."""
        self._hello: Retry | None = None
        self._ask: Retry | None = None
        self._want: Retry | None = None
        self._until_stopped: Message | None = None
        """What is taken up once the controller has ceased to aim; the last one counts."""
        self._staging_s = 0.0
        self._told: tuple[Holding, ...] = ()
        # what the step under way asks for; messages wait here while a write is made
        self._writes: tuple[Write, ...] = ()
        self._messages: tuple[Send, ...] = ()
        self._effects: tuple[Effect, ...] = ()
        self._notices: tuple[Notice, ...] = ()

    # --- output -------------------------------------------------------------------------------

    def state(self, now: float) -> DeviceState:
        """Return what the device would tell of itself at ``now``."""
        durable, operation = self.durable, self.operation
        last = durable.finished[-1] if durable.finished else None
        holds = [hold.value for hold in operation.holds(durable, now)]
        holds += [why[:REASON_CHARS_MAX] for why in (operation.error, operation.disobeyed) if why]
        return DeviceState(
            version=durable.version,
            digest=durable.digest,
            last_seq=durable.last_seq,
            max_epoch=durable.max_epoch,
            prepared=durable.prepared.txn if durable.prepared else None,
            pending=durable.pending is not None,
            outcome_txn=last.txn if last else None,
            outcome=last.outcome if last else None,
            operating=operation.operating,
            holds=tuple(holds),
            clock_error_s=None if operation.clock is None else operation.clock.error_s(now),
            staging_s=self._staging_s,
            activated_at=operation.activated_at,
            hold_s=operation.held_s(now),
            prepared_seq=durable.prepared.seq if durable.prepared else None,
            prepared_plan=durable.prepared.plan if durable.prepared else None,
            prepared_digest=durable.prepared.digest if durable.prepared else None,
            outcome_seq=last.seq if last else None,
            heuristic=durable.heuristic,
            leased=operation.lease_until is not None,
        )

    def _say_hello(self, now: float) -> None:
        self._number += 1
        self._nonce = self._number
        self._hello = (self._hello or Retry(at=now)).again(now)
        hello = Hello(
            device=self.durable.device,
            boot=self.boot,
            nonce=self._number,
            sent_at_device_s=now,
            state=self.state(now),
        )
        self._send(hello)

    def _report(self, now: float) -> None:
        self._number += 1
        self._told = self.operation.holds(self.durable, now)
        device, state = self.durable.device, self.state(now)
        self._send(Report(device=device, boot=self.boot, number=self._number, state=state))

    def _send(self, message: DeviceMessage) -> None:
        self._messages = (*self._messages, Send(message=message))

    def _effect(self, effect: Effect) -> None:
        self._effects = (*self._effects, effect)

    def _tell(self, level: Level, event: str, **detail: str | float | None) -> None:
        self._notices = (*self._notices, notice(level, event, **detail))

    def _save(
        self,
        durable: Durable,
        *,
        then: str,
        message: Message | None,
        before: tuple[Write, ...] = (),
    ) -> None:
        self._writing = Writing(durable=durable, then=then, message=message)
        self._writes = (*before, Save(durable=durable))

    def _unconfirm(self, why: Holding, now: float) -> None:
        """
        Hold until a HELLO of ours is answered; an answer on its way is void from here on.

        Whoever was confirmed asks at once; whoever waits already keeps its pace, or every
        answer that does not help would be followed by the next question without a pause.
        """
        calm = self.operation.unconfirmed is None
        self.operation.unconfirmed, self._nonce = why, None
        self._hello = Retry(at=now) if calm else self._hello or Retry(at=now).again(now)
