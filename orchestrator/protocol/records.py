"""
The records of a fleet's journal: lock and transaction in one totally ordered log (DESIGN §3).

Everything that must be atomic is one compare-and-append of a few of these. What they mean is in
``fold``, who may write one is in ``lease``, ``coordinator`` and ``reseed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    Outcome,
    Owner,
    Plan,
    Ticket,
    Timeline,
    TxnId,
    Version,
)


class LockState(StrEnum):
    """FREE → HELD → FREE, or HELD → RESOLVING → FREE where a transaction is open (DESIGN §6)."""

    FREE = "free"
    HELD = "held"
    RESOLVING = "resolving"


class Verb(StrEnum):
    """What has put a lock into RESOLVING: told in metrics and in the lock's story."""

    FORCE_UNLOCK = "force-unlock"
    RECOVER = "recover"
    EXPIRE = "expire"
    BREAK_GLASS = "break-glass"
    RESEED = "reseed"


class Answer(StrEnum):
    """A holder's answer to a request for release."""

    RELEASE = "release"
    """Nothing is open: it releases."""
    ABORT = "abort"
    """Nothing was decided: it aborts, and releases when that is done."""
    FINISH = "finish"
    """It finishes what it does, and then releases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockTaken:
    """
    The lock has a new owner: by a grant (HELD), or by a takeover or force (RESOLVING).

    ``purpose`` of a RESOLVING lock is the verb that took it (see :class:`Verb`). ``ticket`` is
    the place in the queue that the grant uses up, where its owner has waited.
    """

    kind: Literal["lock_taken"] = "lock_taken"
    epoch: Epoch
    state: Literal[LockState.HELD, LockState.RESOLVING]
    owner: Owner
    purpose: str
    reason: str | None = None
    ticket: Ticket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReleased:
    """
    The owner gave the lock back; the epoch rises so that it can't be held twice as one.

    ``reason`` is a person's who released it by hand.
    """

    kind: Literal["lock_released"] = "lock_released"
    epoch: Epoch
    by: Owner
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRequested:
    """Somebody waits for the lock: first in, first out (I26). Its waiter's lease starts here."""

    kind: Literal["lock_requested"] = "lock_requested"
    ticket: Ticket
    owner: Owner
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockWithdrawn:
    """A waiter has left the queue, or was found dead and is skipped; ``reason`` says which."""

    kind: Literal["lock_withdrawn"] = "lock_withdrawn"
    ticket: Ticket
    by: Owner
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequested:
    """Somebody asks the living holder of ``epoch`` to finish or abort, and to release."""

    kind: Literal["release_requested"] = "release_requested"
    epoch: Epoch
    by: Owner
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAnswered:
    """What the holder does about it; in the same append as its doing where that is a record."""

    kind: Literal["release_answered"] = "release_answered"
    epoch: Epoch
    by: Owner
    answer: Answer


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
    """
    C3: every member has acknowledged or is named: ``deferred``, or quarantined by break-glass.

    Both are answered when they ask; a quarantined one is not enabled until it has re-joined.
    """

    kind: Literal["ended"] = "ended"
    txn: TxnId
    epoch: Epoch
    deferred: tuple[DeviceId, ...] = ()
    quarantined: tuple[DeviceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A deferred device has acknowledged after all, at ``version`` and ``last_seq``."""

    kind: Literal["settled"] = "settled"
    device: DeviceId
    txn: TxnId
    version: Version
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoined:
    """A quarantined device was heard to be the fleet's: version, digest, last_seq (I25)."""

    kind: Literal["rejoined"] = "rejoined"
    device: DeviceId
    version: Version
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseHorizon:
    """
    No enable lease of ``devices`` runs beyond ``until`` (UTC s); written before one is issued.

    ``lease_s`` is how long a lease is; ``None`` ends the regime: devices are then enabled
    without limit, and those that are left out are exceptions to I5 again (DESIGN §5). ``leased``
    have told that they operate on a lease, or not at all: only these does a horizon stop.
    """

    kind: Literal["lease_horizon"] = "lease_horizon"
    lease_s: float | None
    until: float
    devices: tuple[DeviceId, ...]
    leased: tuple[DeviceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeuristicDecided:
    """
    A person lets a device in doubt operate on their word: XA's heuristic outcome.

    It ends the hold, never the doubt: the device stays prepared and obeys the decision. Until a
    person settles it the device is named as an exception to I5, and as HEURISTIC_MIXED where the
    journal decides otherwise.
    """

    kind: Literal["heuristic_decided"] = "heuristic_decided"
    device: DeviceId
    txn: TxnId
    outcome: Outcome
    by: Owner
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeuristicSettled:
    """
    A person has looked at a device that operated on somebody's word: no longer shown.

    It has no effect before the device is known to have followed the decision.
    """

    kind: Literal["heuristic_settled"] = "heuristic_settled"
    device: DeviceId
    by: Owner
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A device is out of the fleet for good: never waited for, never enabled."""

    kind: Literal["retired"] = "retired"
    device: DeviceId
    by: Owner
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reseeded:
    """
    The store was rolled back: a new incarnation begins, in the append of its ``LockTaken``.

    Sequence numbers go on above ``last_seq``, the highest that any device has reported. What was
    open stays undecided until :class:`Adopted`; ``members`` are those of the fleet's file and
    whoever was heard: whoever goes on with the reseed must hear them all.
    """

    kind: Literal["reseeded"] = "reseeded"
    epoch: Epoch
    last_seq: int
    by: Owner
    reason: str
    members: tuple[DeviceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Relisted:
    """
    A transaction that the journal has lost, as its devices have it.

    ``digests`` are those of the devices that have its version or are about to, ``waiting`` those
    that are in doubt about it. ``plan`` may be NOT_KNOWN: nobody was left who knew it.
    """

    txn: TxnId
    seq: int
    outcome: Outcome
    config: str
    plan: Digest
    digests: Mapping[DeviceId, Digest]
    waiting: tuple[DeviceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """
    The devices were heard under the new incarnation, and the journal takes over what they know.

    ``relisted`` are decisions that the journal lacked; ``quarantined`` names those that were not
    heard, ``last_seq`` is the highest sequence number that anybody has told of by now. The open
    transaction's own decision follows as :class:`Decided` in the same append.
    """

    kind: Literal["adopted"] = "adopted"
    epoch: Epoch
    last_seq: int
    relisted: tuple[Relisted, ...] = ()
    quarantined: tuple[DeviceId, ...] = ()


Record = (
    LockTaken
    | LockReleased
    | LockRequested
    | LockWithdrawn
    | ReleaseRequested
    | ReleaseAnswered
    | Begun
    | AbortRequested
    | Decided
    | Ended
    | Settled
    | Rejoined
    | LeaseHorizon
    | HeuristicDecided
    | HeuristicSettled
    | Retired
    | Reseeded
    | Adopted
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    The last entry of a journal that somebody knows: its index, and the mark that it bears.

    A number alone is not enough: a store that was rolled back comes to the same number again, on
    another history (DESIGN §6). Compare heads as wholes. Before the first entry it is
    :data:`START`.
    """

    index: int = 0
    mark: str = ""


START: Final = Head()
"""Where every journal begins: nothing is known of it, and nothing need be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    A record in its place: ``index`` counts from 1, ``at`` is the writer's UTC time in s.

    ``mark`` is the store's: it tells the entry from any other that could ever stand in its place.
    A journal that is never rolled back, or that nobody but its owner appends to, needs none.
    """

    index: int
    at: float
    record: Record
    mark: str = ""

    @property
    def head(self) -> Head:
        """What whoever has read up to here knows of the journal."""
        return Head(index=self.index, mark=self.mark)


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
