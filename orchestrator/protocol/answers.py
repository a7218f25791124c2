"""
What the orchestrator says to a device, made from the fold alone.

Each function turns stored facts into one message; none decides anything. Whoever has the fold
may answer: the holder of the lock, or a command that only settles old decisions.
"""

from __future__ import annotations

from typing import Final

from orchestrator.protocol.errors import require
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import (
    CatchUp,
    Decision,
    DeviceState,
    Fence,
    Hello,
    Prepare,
    Welcome,
)
from orchestrator.protocol.records import HeuristicDecided
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner, TxnId

ROLL_CALL: Final = Fence(epoch=Epoch(0, 0))
"""Below every epoch: it fences nobody, and makes every device say what it is."""

LOST_WORD: Final = "the device acts on this word; the journal has lost who gave it, and why"
"""The reason of a word that is recorded anew."""


def contradiction(fleet: FleetState, told: DeviceState) -> str | None:
    """
    Say what a device knows that this journal lacks, if it does.

    Then the store was rolled back (a backup, a lying disk), or it is not this fleet's: nothing
    may be built on it (DESIGN §6).
    """
    if told.max_epoch > fleet.lock.epoch:
        return f"it has seen epoch {told.max_epoch}, this journal is at {fleet.lock.epoch}"
    seen = max(told.last_seq, told.prepared_seq or 0)
    if seen > fleet.last_seq:
        return f"it has seen txn {seen}, this journal ends at {fleet.last_seq}"
    if told.version > fleet.version:
        return f"it is at version {told.version}, this journal at {fleet.version}"
    word, lost = told.heuristic, (told.prepared_seq or 0) <= fleet.reseeded_seq
    given = any(told.prepared == known.txn for known in fleet.heuristics.values())
    if word and not given and not lost:  # what a reseed knows to be lost is recorded anew
        return f"it acts on a word for {word} of txn {told.prepared_seq}, here nobody gave one"
    return _foreign_txn(fleet, told) or _other_outcome(fleet, told) or _lost_doubt(fleet, told)


def lost_word(fleet: FleetState, device: DeviceId, told: DeviceState) -> HeuristicDecided | None:
    """
    Return the record of a word that a device acts on and that this journal has lost (DESIGN §7).

    ``None`` where there is none, or where the device knows what only a reseed may take over. The
    record names nobody: who gave the word is lost with it.
    """
    known, txn = fleet.heuristics.get(device), told.prepared
    if told.heuristic is None or txn is None or device in fleet.retired:
        return None
    if known is not None and known.txn == txn:
        return None
    waits_for = [*fleet.deferred.get(device, ()), *([] if fleet.open is None else [fleet.open])]
    awaited = any(one.begun.txn == txn for one in waits_for)
    lost = (told.prepared_seq or 0) <= fleet.reseeded_seq
    if not (lost or awaited) or (fleet.reseeding is None and contradiction(fleet, told)):
        return None
    return HeuristicDecided(
        device=device, txn=txn, outcome=told.heuristic, by=_somebody(device), reason=LOST_WORD
    )


def _somebody(device: DeviceId) -> Owner:
    """Name who has given a word that only the device remembers."""
    return Owner(
        user="unknown",
        host=device,
        machine_id="",
        boot_id="",
        pid_namespace="",
        pid=0,
        start_ticks=0,
        program="told by the device",
    )


def _foreign_txn(fleet: FleetState, told: DeviceState) -> str | None:
    """Say which transaction a device names that this journal has another one in the place of."""
    known: dict[int, set[TxnId]] = {}
    for txn in fleet.known_txns():
        known.setdefault(txn.begun.seq, set()).add(txn.begun.txn)
    named = ((told.prepared_seq, told.prepared), (told.outcome_seq, told.outcome_txn))
    for seq, name in named:
        if seq is None or name is None or seq <= fleet.reseeded_seq:
            continue  # below a reseed the devices may remember what the journal has lost
        if seq in known and name not in known[seq]:
            return f"it knows txn {seq} as {name}, this journal as {', '.join(sorted(known[seq]))}"
    return None


def _other_outcome(fleet: FleetState, told: DeviceState) -> str | None:
    """Say which outcome a device has recorded that this journal has not, or has otherwise."""
    for txn in fleet.known_txns():
        if txn.begun.txn != told.outcome_txn or told.outcome is txn.outcome:
            continue
        if txn.decided is not None and txn.begun.seq <= fleet.reseeded_seq:
            continue  # a reseed has named it already
        stored = "nothing is decided" if txn.outcome is None else f"{txn.outcome} is"
        return f"it has recorded {told.outcome} of txn {txn.begun.seq}, here {stored}"
    return None


def _lost_doubt(fleet: FleetState, told: DeviceState) -> str | None:
    """Say which transaction a device is in doubt about that a reseed has not heard of."""
    seq = told.prepared_seq
    if seq is None or seq > fleet.reseeded_seq:
        return None
    if any(txn.begun.txn == told.prepared for txn in fleet.known_txns()):
        return None
    return (
        f"it is in doubt about txn {seq} ({told.prepared}), which the last reseed has not heard of"
    )


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
    for txn in fleet.known_txns():
        if txn.begun.txn == asked and txn.decided is not None:
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
    is about to leave behind. A quarantined device is enabled only after its ``Rejoined``, and
    nobody while a reseed has not adopted yet: another version may turn out to be the fleet's.
    """
    txn = undecided_for(fleet, hello.device)
    shown = (hello.state.prepared, hello.state.outcome_txn)
    lease_s = lease_for(fleet, hello.device, received)
    away = hello.device in fleet.quarantined or fleet.reseeding is not None
    away = away or (lease_s is not None and lease_s <= 0)
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
        enable=not away and (txn is None or txn.begun.txn in shown),
        clock_error_s=clock_error_s,
        lease_s=lease_s,
    )


def lease_for(fleet: FleetState, device: DeviceId, received: float) -> float | None:
    """
    Return how long a device may operate on the answer to a HELLO that came at ``received``.

    ``None`` where there are no leases; never beyond the horizon that is already in the journal
    (DESIGN §5): the device counts from before ``received``, so it ends before the horizon.
    """
    if fleet.lease_s is None:
        return None
    return max(0.0, min(fleet.lease_s, fleet.horizons.get(device, 0.0) - received))


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
