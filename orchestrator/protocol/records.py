"""
The journal of a fleet and its fold: lock and transaction in one totally ordered log (DESIGN §3).

Theory of operation
===================
Everything that must be atomic is one compare-and-append of a few records. The state of a fleet
is the fold of its records from the first one; :func:`apply` is the only function that makes a
new state, in live operation, in recovery and for a reader alike. It refuses a record that would
break an invariant, so a journal that folds is a journal in which I7, I8, I9, I14 and I15 hold.

The fate of a transaction is one record: before its ``Decided`` exists the answer is no; after it
exists the answer never changes. A forced unlock is ``LockTaken(RESOLVING)`` and, where nothing
is decided, ``Decided(ABORT)`` in the same append.

Rule: this file knows what a record *means*. Who may write one is in ``lease`` and ``coordinator``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Literal

from orchestrator.protocol.errors import require
from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    FleetId,
    Outcome,
    Owner,
    Plan,
    Timeline,
    TxnId,
    Version,
)

RECENT_KEPT: Final = 16
"""How many ended transactions a fold can still answer for, beside those that are awaited."""


class LockState(StrEnum):
    """FREE → HELD → FREE, or HELD → RESOLVING → FREE where a transaction is open (DESIGN §6)."""

    FREE = "free"
    HELD = "held"
    RESOLVING = "resolving"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTaken:
    """The lock has a new owner: by a grant (HELD), or by a takeover or force (RESOLVING)."""

    kind: Literal["lock_taken"] = "lock_taken"
    epoch: Epoch
    state: Literal[LockState.HELD, LockState.RESOLVING]
    owner: Owner
    purpose: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReleased:
    """The owner gave the lock back; the epoch rises so that it can't be held twice as one."""

    kind: Literal["lock_released"] = "lock_released"
    epoch: Epoch
    by: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """
    C1: a transaction exists. ``digests`` names every member and its configuration.

    ``spare`` names the configurations that the bundle holds for the excused: with them they are
    caught up when they come back.
    """

    kind: Literal["begun"] = "begun"
    txn: TxnId
    seq: int
    epoch: Epoch
    config: str
    base_version: Version
    plan: Digest
    bundle: Digest
    digests: Mapping[DeviceId, Digest]
    excused: tuple[DeviceId, ...] = ()
    spare: Mapping[DeviceId, Digest] = field(default_factory=dict)
    timeline: Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRequested:
    """Somebody who does not hold the lock asks its owner to abort; obeyed at its next step."""

    kind: Literal["abort_requested"] = "abort_requested"
    txn: TxnId
    by: Owner
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """C2, C2': the decision. ``reasons`` say why an ABORT; ``refused`` who said no, and why."""

    kind: Literal["decided"] = "decided"
    txn: TxnId
    epoch: Epoch
    outcome: Outcome
    cause: str
    refused: Mapping[DeviceId, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """C3: every member has acknowledged, or is ``deferred`` by name."""

    kind: Literal["ended"] = "ended"
    txn: TxnId
    epoch: Epoch
    deferred: tuple[DeviceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A deferred device has acknowledged after all, at ``version`` and ``last_seq``."""

    kind: Literal["settled"] = "settled"
    device: DeviceId
    txn: TxnId
    version: Version
    last_seq: int


Record = LockTaken | LockReleased | Begun | AbortRequested | Decided | Ended | Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record in its place: ``index`` counts from 1, ``at`` is the writer's UTC time in s."""

    index: int
    at: float
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The fleet's lock as the journal has it. A FREE lock has no owner, any other has one."""

    state: LockState = LockState.FREE
    epoch: Epoch = field(default_factory=Epoch)
    owner: Owner | None = None
    purpose: str = ""
    reason: str | None = None
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Txn:
    """One transaction as the journal has it."""

    begun: Begun
    begun_at: float
    decided: Decided | None = None
    decided_at: float | None = None
    ended: Ended | None = None
    ended_at: float | None = None
    abort_requested: AbortRequested | None = None

    @property
    def outcome(self) -> Outcome | None:
        """What was decided, ``None`` while nothing is."""
        return None if self.decided is None else self.decided.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """
    The fold of a fleet's journal up to ``head``.

    ``open`` is the transaction that has begun and not ended; ``installed`` the committed one
    that made ``version``; ``last`` the one that ended last; ``recent`` those that ended lately,
    for whoever still asks; ``last_seq`` the highest sequence number ever begun, ``decided_seq``
    the highest *decided* one; ``deferred`` maps each device that has not acknowledged to the
    decided transactions it still has to acknowledge.
    """

    fleet: FleetId
    head: int = 0
    lock: Lock = field(default_factory=Lock)
    open: Txn | None = None
    installed: Txn | None = None
    last: Txn | None = None
    recent: tuple[Txn, ...] = ()
    last_seq: int = 0
    decided_seq: int = 0
    deferred: Mapping[DeviceId, tuple[Txn, ...]] = field(default_factory=dict)

    @property
    def version(self) -> Version:
        """The fleet's version: that of the last COMMIT, 0 before the first."""
        return 0 if self.installed is None else self.installed.begun.seq

    def digest_of(self, device: DeviceId) -> Digest | None:
        """Return the digest that ``device`` is to run at the fleet's version, if there is one."""
        if self.installed is None:
            return None
        begun = self.installed.begun
        return begun.digests.get(device) or begun.spare.get(device)

    def awaited(self) -> dict[TxnId, Txn]:
        """Return the ended transactions that a deferred device still waits for, oldest first."""
        found = {txn.begun.txn: txn for txns in self.deferred.values() for txn in txns}
        return dict(sorted(found.items(), key=lambda item: item[1].begun.seq))


def fold(state: FleetState, entries: Iterable[Entry]) -> FleetState:
    """Apply ``entries`` in order; raise :class:`InvariantViolation` at the first illegal one."""
    for entry in entries:
        state = apply(state, entry)
    return state


def apply(state: FleetState, entry: Entry) -> FleetState:
    """Return the state after ``entry``; the only transition function of the journal."""
    require(entry.index == state.head + 1, f"journal gap: {entry.index} after {state.head}")
    handler = _HANDLERS[type(entry.record)]
    return replace(handler(state, entry.record, entry.at), head=entry.index)


def _lock_taken(state: FleetState, record: LockTaken, at: float) -> FleetState:
    lock = state.lock
    require(record.epoch > lock.epoch, f"I9: epoch {record.epoch} after {lock.epoch}")
    if record.state is LockState.RESOLVING:
        require(lock.state is not LockState.FREE, "I14: nothing to resolve, the lock is free")
    else:
        require(lock.state is LockState.FREE, "I14: granted while it was held")
        require(state.open is None, "I15: granted while a transaction was open")
    taken = Lock(
        state=record.state,
        epoch=record.epoch,
        owner=record.owner,
        purpose=record.purpose,
        reason=record.reason,
        since=at,
    )
    return replace(state, lock=taken)


def _lock_released(state: FleetState, record: LockReleased, at: float) -> FleetState:
    require(state.lock.state is not LockState.FREE, "I14: released while it was free")
    require(record.epoch > state.lock.epoch, f"I9: epoch {record.epoch} after {state.lock.epoch}")
    require(state.open is None, "I15: freed with an open transaction")
    return replace(state, lock=Lock(epoch=record.epoch, since=at))


def _begun(state: FleetState, record: Begun, at: float) -> FleetState:
    require(state.lock.state is LockState.HELD, "I14: begun without the lock")
    require(record.epoch == state.lock.epoch, "I14: begun under another epoch")
    require(state.open is None, "I15: begun while another transaction was open")
    require(record.seq > state.last_seq, f"I11: seq {record.seq} after {state.last_seq}")
    require(record.base_version == state.version, "begun on a stale base version")
    return replace(state, open=Txn(begun=record, begun_at=at), last_seq=record.seq)


def _abort_requested(state: FleetState, record: AbortRequested, _at: float) -> FleetState:
    if state.open is None or state.open.begun.txn != record.txn or state.open.decided is not None:
        return state
    return replace(state, open=replace(state.open, abort_requested=record))


def _decided(state: FleetState, record: Decided, at: float) -> FleetState:
    txn = state.open
    require(txn is not None and txn.begun.txn == record.txn, "decided without being open")
    if txn is None:  # for the type checker; require() has raised
        return state
    require(txn.decided is None, "I7: decided twice")
    require(record.epoch == state.lock.epoch, "I8: decided under another epoch than the lock's")
    if record.outcome is Outcome.COMMIT:
        require(txn.begun.epoch == record.epoch, "I3: committed votes of another epoch")
    decided = replace(txn, decided=record, decided_at=at)
    installed = decided if record.outcome is Outcome.COMMIT else state.installed
    return replace(state, open=decided, installed=installed, decided_seq=txn.begun.seq)


def _ended(state: FleetState, record: Ended, at: float) -> FleetState:
    txn = state.open
    require(txn is not None and txn.begun.txn == record.txn, "ended without being open")
    if txn is None:
        return state
    require(txn.decided is not None, "I15: ended before it was decided")
    require(record.epoch == state.lock.epoch, "I14: ended under another epoch")
    ended = replace(txn, ended=record, ended_at=at)
    deferred = dict(state.deferred)
    for device in record.deferred:
        deferred[device] = (*deferred.get(device, ()), ended)
    installed = state.installed
    if installed is not None and installed.begun.txn == record.txn:
        installed = ended
    recent = (*state.recent, ended)[-RECENT_KEPT:]
    return replace(
        state, open=None, last=ended, recent=recent, installed=installed, deferred=deferred
    )


def _settled(state: FleetState, record: Settled, _at: float) -> FleetState:
    waiting = state.deferred.get(record.device, ())
    left = tuple(txn for txn in waiting if txn.begun.txn != record.txn)
    deferred = {device: txns for device, txns in state.deferred.items() if device != record.device}
    if left:
        deferred[record.device] = left
    return replace(state, deferred=deferred)


_HANDLERS: Mapping[type, Callable[[FleetState, Any, float], FleetState]] = {
    LockTaken: _lock_taken,
    LockReleased: _lock_released,
    Begun: _begun,
    AbortRequested: _abort_requested,
    Decided: _decided,
    Ended: _ended,
    Settled: _settled,
}


def begun_record(
    plan: Plan,
    *,
    txn: TxnId,
    seq: int,
    epoch: Epoch,
    digest: Digest,
    timeline: Timeline,
    spare: Mapping[DeviceId, Digest] | None = None,
) -> Begun:
    """Make C1's record of ``plan``, whose canonical bytes have ``digest``."""
    held: Mapping[DeviceId, Digest] = spare or {}
    return Begun(
        txn=txn,
        seq=seq,
        epoch=epoch,
        config=plan.config,
        base_version=plan.base_version,
        plan=digest,
        bundle=plan.bundle,
        digests=dict(plan.digests),
        excused=plan.excused,
        spare={device: digest for device, digest in held.items() if device in plan.excused},
        timeline=timeline,
    )
