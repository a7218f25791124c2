"""
What a journal comes to: the fleet's lock, its transactions, and who is not with it.

:mod:`.fold` makes these from the records and is the only one that does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.protocol.records import (
    AbortRequested,
    Begun,
    Decided,
    Ended,
    Head,
    HeuristicDecided,
    LockState,
    ReleaseAnswered,
    ReleaseRequested,
    Reseeded,
)
from orchestrator.protocol.types import (
    DeviceId,
    Digest,
    Epoch,
    FleetId,
    Outcome,
    Owner,
    Ticket,
    TxnId,
    Version,
)

RECENT_KEPT: Final = 16
"""How many ended transactions a fold can still answer for, beside those that are awaited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiter:
    """One who waits for the lock, since UTC instant ``since``."""

    ticket: Ticket
    owner: Owner
    purpose: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """
    The fleet's lock as the journal has it. A FREE lock has no owner, any other has one.

    ``waiters`` are those who wait for it, first come first; ``release_requested`` what somebody
    has asked of this owner, ``release_answered`` its answer.
    """

    state: LockState = LockState.FREE
    epoch: Epoch = field(default_factory=Epoch)
    owner: Owner | None = None
    purpose: str = ""
    reason: str | None = None
    since: float = 0.0
    waiters: tuple[Waiter, ...] = ()
    release_requested: ReleaseRequested | None = None
    release_answered: ReleaseAnswered | None = None


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
    The fold of a fleet's journal up to ``head``, whose entry bears ``mark``.

    ``open`` is the transaction that has begun and not ended; ``installed`` the committed one
    that made ``version``; ``last`` the one that ended last; ``recent`` those that ended lately,
    for whoever still asks; ``last_seq`` the highest sequence number ever begun, ``decided_seq``
    the highest *decided* one; ``deferred`` maps each device that has not acknowledged to the
    decided transactions it still has to acknowledge. ``quarantined`` are not enabled until they
    re-join; ``outside`` were members of an earlier version and are not of this one;
    ``horizons`` bounds the enable leases, which are ``lease_s`` long (``None``: there are none)
    since UTC instant ``lease_since``, and stop those that are ``leased``; ``heuristics`` are
    devices that operate, or have operated, on a person's word; ``retired`` are out for good.
    ``reseeding`` is set while a reseed waits for the devices; transactions up to
    ``reseeded_seq`` may be known to devices and lost here.
    """

    fleet: FleetId
    head: int = 0
    mark: str = ""
    lock: Lock = field(default_factory=Lock)
    open: Txn | None = None
    installed: Txn | None = None
    last: Txn | None = None
    recent: tuple[Txn, ...] = ()
    last_seq: int = 0
    decided_seq: int = 0
    deferred: Mapping[DeviceId, tuple[Txn, ...]] = field(default_factory=dict)
    quarantined: frozenset[DeviceId] = frozenset()
    outside: frozenset[DeviceId] = frozenset()
    lease_s: float | None = None
    lease_since: float = 0.0
    leased: frozenset[DeviceId] = frozenset()
    horizons: Mapping[DeviceId, float] = field(default_factory=dict)
    heuristics: Mapping[DeviceId, HeuristicDecided] = field(default_factory=dict)
    retired: frozenset[DeviceId] = frozenset()
    reseeded_seq: int = 0
    reseeding: Reseeded | None = None

    @property
    def known(self) -> Head:
        """The head as a store compares it: read on from here, append here."""
        return Head(index=self.head, mark=self.mark)

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

    def left_out_until(self, members: Collection[DeviceId]) -> float:
        """
        Return until when (UTC s) some device that is not of ``members`` may hold a lease.

        Also where there are none any more: those that were issued still run.
        """
        others = [until for device, until in self.horizons.items() if device not in members]
        return max(others, default=0.0)

    def acts_on_word(self, device: DeviceId) -> bool:
        """Whether ``device`` is not known to have followed what it has a person's word for."""
        word = self.heuristics.get(device)
        if word is None:
            return False
        if self.reseeding is not None:
            return True  # what the journal has lost may be what it waits for
        waits_for = [*self.deferred.get(device, ()), *([] if self.open is None else [self.open])]
        return any(txn.begun.txn == word.txn for txn in waits_for)

    def known_txns(self) -> tuple[Txn, ...]:
        """Return every transaction that this fold can still answer for, newest first."""
        found = (self.open, self.installed, *reversed(self.recent), *self.awaited().values())
        return tuple({txn.begun.txn: txn for txn in found if txn is not None}.values())

    def awaited(self) -> dict[TxnId, Txn]:
        """Return the ended transactions that a deferred device still waits for, oldest first."""
        found = {txn.begun.txn: txn for txns in self.deferred.values() for txn in txns}
        return dict(sorted(found.items(), key=lambda item: item[1].begun.seq))
