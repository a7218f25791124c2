"""Devices that operate when they must hold: one rule of DESIGN §5 taken out of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from drone_sim.mutants.mutant import Mutant, device, replaced
from orchestrator.protocol import device as dev
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Holding, Prepared
from orchestrator.protocol.messages import Fence, Welcome
from orchestrator.protocol.operation import Operation
from orchestrator.protocol.participant import DeviceReady, Participant
from orchestrator.protocol.types import Epoch, Plan

_doubts: Final = Operation._doubts  # as it is before it is replaced


class LateIsFine(Participant):
    """Operates what it has learned late, without asking whether the fleet is still there."""

    def _note_lateness(self, was: Prepared, now: float) -> None:
        pass


class BootsConfirmed(Participant):
    """Operates after a restart what it operated before."""

    def step(self, event: dev.Event, now: float) -> DeviceReady:
        """Take one event; sure of itself from the first on."""
        if isinstance(event, dev.Connected) and self.operation.clock is None:
            self.operation.unconfirmed = None
        return super().step(event, now)


class EnabledIsEnabled(Participant):
    """Operates when it is told to, without a look at which version that was said of."""

    def _confirmed(self, message: Welcome, now: float) -> None:
        durable = self.durable
        mine = replace(
            message, version=durable.version, digest=durable.digest, last_seq=durable.last_seq
        )
        super()._confirmed(mine, now)


class LeaseFromReceipt(Participant):
    """Counts its lease from when the answer came."""

    def _confirm(self, message: Welcome, now: float) -> None:
        super()._confirm(replace(message, sent_at_device_s=now), now)


class OutlivesItsLease(Participant):
    """Goes on when its lease has run out, as long as nobody tells it anything."""

    def _pursue_operation(self, now: float) -> None:
        known, self.operation.lease_until = self.operation.lease_until, None
        super()._pursue_operation(now)
        self.operation.lease_until = known


class FenceInMemory(Participant):
    """Acknowledges a FENCE that it has not stored."""

    def _fence(self, message: Fence, now: float) -> None:
        if message.epoch > self.durable.max_epoch:
            self.durable = replace(self.durable, max_epoch=message.epoch)
        self._say_hello(now)


class ForgetsItsEpoch(Participant):
    """Begins below every epoch after a restart."""

    def __init__(
        self, durable: Durable, *, boot: str, decode_plan: Callable[[bytes], Plan]
    ) -> None:
        super().__init__(replace(durable, max_epoch=Epoch()), boot=boot, decode_plan=decode_plan)


def without_doubt(operation: Operation, durable: Durable, now: float) -> list[Holding]:
    """Let a device go on with the old version while it is in doubt."""
    return [one for one in _doubts(operation, durable, now) if one is not Holding.DOUBT]


def as_told(
    _known: ClockBound | None, *, sent: float, received: float, answered: float, back: float
) -> ClockBound:
    """Take the time that an answer tells for the time at which it has come."""
    del sent, received
    return ClockBound(low=answered - back, high=answered - back, at=back)


MUTANTS: Final[tuple[Mutant, ...]] = (
    replaced(
        "never-holds",
        "who knows nothing at hold_at holds",
        ("orchestrator.protocol.operation:Operation", "_doubts", without_doubt),
        "I5",
    ),
    device(
        "late-is-fine", "who learns it late holds until it is confirmed", LateIsFine, "I25", "I5"
    ),
    device(
        "boots-confirmed", "who restarts holds until it is answered", BootsConfirmed, "I25", "I5"
    ),
    device(
        "enabled-is-enabled",
        "only the fleet's very version is enabled",
        EnabledIsEnabled,
        "I25",
        "I5",
    ),
    device("lease-from-receipt", "a lease counts from the question", LeaseFromReceipt, "I5"),
    device("outlives-its-lease", "a lease ends by itself", OutlivesItsLease, "I5"),
    device("fence-in-memory", "FENCE is stored before it is answered", FenceInMemory, "I13"),
    device("forgets-its-epoch", "max_epoch survives a power loss", ForgetsItsEpoch, "I10", "I13"),
    replaced(
        "takes-the-time-as-told",
        "a clock is known within a bound, and who can't keep it below ε holds",
        ("orchestrator.protocol.joining", "exchange", as_told),
        "I5",
    ),
)
