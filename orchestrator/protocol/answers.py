"""
What the orchestrator says to a device, made from the fold alone.

Each function turns stored facts into one message; none decides anything. Whoever has the fold
may answer: the holder of the lock, or a command that only settles old decisions.
"""

from __future__ import annotations

from typing import Final

from orchestrator.protocol.errors import require
from orchestrator.protocol.messages import (
    CatchUp,
    Decision,
    DeviceState,
    Fence,
    Hello,
    Prepare,
    Welcome,
)
from orchestrator.protocol.records import FleetState, Txn
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, TxnId

ROLL_CALL: Final = Fence(epoch=Epoch(0, 0))
"""Below every epoch: it fences nobody, and makes every device say what it is."""


def contradiction(fleet: FleetState, told: DeviceState) -> str | None:
    """
    Say what a device knows that this journal lacks, if it does.

    Then the store was rolled back (a backup, a lying disk), or it is not this fleet's: nothing
    may be built on it (DESIGN §6).
    """
    if told.max_epoch > fleet.lock.epoch:
        return f"it has seen epoch {told.max_epoch}, this journal is at {fleet.lock.epoch}"
    if told.last_seq > fleet.last_seq:
        return f"it has seen txn {told.last_seq}, this journal ends at {fleet.last_seq}"
    if told.version > fleet.version:
        return f"it is at version {told.version}, this journal at {fleet.version}"
    return None


def prepare(txn: Txn) -> Prepare:
    """Make PREPARE from C1's record."""
    begun = txn.begun
    return Prepare(
        txn=begun.txn,
        seq=begun.seq,
        epoch=begun.epoch,
        base_version=begun.base_version,
        config=begun.config,
        plan=begun.plan,
        digests=tuple(sorted(set(begun.digests.values()))),
        timeline=begun.timeline,
    )


def decision(fleet: FleetState, txn: Txn) -> Decision:
    """Make DECISION from C2's record; a decision is told only after it is stored (I17)."""
    require(txn.decided is not None, "I17: told before it was stored")
    return Decision(
        txn=txn.begun.txn,
        seq=txn.begun.seq,
        epoch=fleet.lock.epoch,
        plan=txn.begun.plan,
        outcome=txn.outcome or Outcome.ABORT,
    )


def decided(fleet: FleetState, asked: TxnId) -> Txn | None:
    """Return the decided transaction that a device asks about; ``None`` where nothing is."""
    candidates = (fleet.open, fleet.installed, *reversed(fleet.recent), *fleet.awaited().values())
    for txn in candidates:
        if txn is not None and txn.begun.txn == asked and txn.decided is not None:
            return txn
    return None


def undecided_for(fleet: FleetState, device: DeviceId) -> Txn | None:
    """Return the open, undecided transaction in which ``device`` is a member."""
    txn = fleet.open
    if txn is None or txn.decided is not None or device not in txn.begun.digests:
        return None
    return txn


def welcome(
    fleet: FleetState, hello: Hello, *, received: float, now: float, clock_error_s: float
) -> Welcome:
    """
    Make the answer, at ``now`` (t3), to a HELLO that was received at t2.

    While a transaction is open and undecided, a member is enabled only if its HELLO shows that
    transaction's PREPARED or outcome: otherwise it might be running a version that the decision
    is about to leave behind.
    """
    txn = undecided_for(fleet, hello.device)
    shown = (hello.state.prepared, hello.state.outcome_txn)
    return Welcome(
        boot=hello.boot,
        nonce=hello.nonce,
        sent_at_device_s=hello.sent_at_device_s,
        received_at=received,
        sent_at=now,
        epoch=fleet.lock.epoch,
        version=fleet.version,
        digest=fleet.digest_of(hello.device),
        last_seq=fleet.decided_seq,
        enable=txn is None or txn.begun.txn in shown,
        clock_error_s=clock_error_s,
    )


def catch_up(fleet: FleetState, device: DeviceId) -> CatchUp | None:
    """Make CATCH-UP to the fleet's version, for a device that has a configuration in it."""
    installed, digest = fleet.installed, fleet.digest_of(device)
    if installed is None or digest is None:
        return None
    return CatchUp(
        txn=installed.begun.txn,
        epoch=fleet.lock.epoch,
        version=installed.begun.seq,
        digest=digest,
        config=installed.begun.config,
        last_seq=fleet.decided_seq,
        activate_at=installed.begun.timeline.activate_at,
    )
