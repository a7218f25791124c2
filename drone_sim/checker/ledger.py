"""
The journal as its records alone have it, and the lease rows: I9, I14, I20 to I23, I26.

A stranger's reading: nothing of the fold is used but to see what a record has changed in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from drone_sim.checker.truth import Truth, key_of
from drone_sim.cores.audit import CHANGES, NEW_EPOCH
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.lease import GRACE_S, LEASE_TTL_S
from orchestrator.protocol.records import (
    Adopted,
    Answer,
    Begun,
    Decided,
    Ended,
    Entry,
    HeuristicDecided,
    LockReleased,
    LockRequested,
    LockState,
    LockTaken,
    LockWithdrawn,
    Record,
    ReleaseAnswered,
    ReleaseRequested,
    Retired,
    Verb,
)
from orchestrator.protocol.types import DeviceId, Digest, Epoch, Outcome, Owner, Ticket, TxnId

UNASKED: Final = frozenset({Verb.EXPIRE.value, Verb.RECOVER.value})
"""Who takes a lock without a person's word against its owner (I20)."""

STAMP_S: Final = 0.5
"""A renewal is stamped by who makes it, and is stored so much later at most on a good store."""

_PLACE: Final = {"fleet", "head", "mark"}
_FIELDS: Final = tuple(one.name for one in fields(FleetState) if one.name not in _PLACE)


@dataclass(slots=True, kw_only=True)
class Row:
    """
    A lease as it truly is: whose, and since when it is to be counted, in story time.

    ``lost`` where the store has forgotten the last renewals: its age is not known.
    """

    owner: Owner
    since_s: float
    lost: bool = False


@dataclass(slots=True, kw_only=True)
class Lock:
    """The lock as its records alone have it."""

    state: LockState = LockState.FREE
    epoch: Epoch = field(default_factory=Epoch)
    owner: Owner | None = None
    purpose: str = ""
    asked: bool = False
    answered: Answer | None = None
    queue: dict[Ticket, Owner] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """
    A committed version as the journal has it: what it gives to whom, as which configuration.

    ``activate_at`` is UTC; a reseed that lists it again does not know it any more, and says its
    own instant.
    """

    txn: TxnId
    digests: dict[DeviceId, Digest]
    config: str
    activate_at: float


class Ledger:
    """
    Reads every record once.

    ``taken``, ``begun``, ``outcomes``, ``committed`` and ``words`` are what was ever stored, also
    by a journal that has lost it since: what is told of it was recorded before.
    """

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.lock = Lock()
        self.rows: dict[Epoch | Ticket, Row] = {}
        self.taken: dict[Epoch, None] = {}
        self.begun: dict[TxnId, Begun] = {}
        self.outcomes: dict[TxnId, dict[Outcome, None]] = {}
        self.committed: dict[int, list[Committed]] = {}
        self.words: dict[tuple[DeviceId, TxnId, Outcome], None] = {}
        self.relisted: dict[TxnId, None] = {}
        self.epochs: list[Epoch] = [self.lock.epoch]
        """The epoch of the lock after each entry of the journal, by index; at 0 the first."""

    # --- what is told ---------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], fleet: FleetState) -> None:
        """Take one append and judge it, against the fold before and after."""
        before = self._truth.fleet
        for entry in entries:
            for id_, text in (*self._owed(entry.record), *self._of_a_reseed(entry.record)):
                self._truth.blame(id_, text)
            self._note(entry)
        self._audit(before, entries, fleet)

    def restore(self, journal: Sequence[Entry]) -> None:
        """Read a journal again that has lost its end; its rows are those of locks it still has."""
        old, self.rows, self.lock = self.rows, {}, Lock()
        self.epochs = [self.lock.epoch]
        for entry in journal:
            self._note(entry)
        for claim, row in self.rows.items():
            row.lost = True  # the store has an older renewal, or none
            row.since_s = old[claim].since_s if claim in old else row.since_s

    def renew(self, claim: Epoch | Ticket, owner: Owner) -> None:
        """Take that a lease was renewed; I21: claim and owner must be those of the row."""
        row = self.rows.get(claim)
        if row is None or row.owner != owner:
            of = "nobody" if row is None else str(row.owner)
            self._truth.blame("I21", f"{owner} has renewed {claim}, which is {of}'s")
            return
        row.since_s, row.lost = self._truth.now_s, False

    def extend(self) -> None:
        """Take that every lease has a fresh TTL."""
        for row in self.rows.values():
            row.since_s = self._truth.now_s

    def proved_dead(self, owner: Owner | None, by: Owner) -> bool:
        """Whether ``by`` can see on its own machine that ``owner`` is gone (DESIGN §6)."""
        process = self._truth.process_of(owner)
        if owner is None or process is None or process.alive or by.machine_id != owner.machine_id:
            return False
        same_space = (by.boot_id, by.pid_namespace) == (owner.boot_id, owner.pid_namespace)
        return same_space or by.boot_id != owner.boot_id

    # --- what a record owes ---------------------------------------------------------------------

    def _owed(self, record: Record) -> Iterator[tuple[str, str]]:
        lock = self.lock
        match record:
            case LockTaken():
                yield from self._taking(record)
            case LockReleased(by=by) if by != lock.owner:
                yield "I14", f"released by {by}, the owner is {lock.owner}"
            case LockWithdrawn(ticket=ticket, by=by):
                yield from self._passing_over(ticket, by)
            case Decided(outcome=outcome, cause=cause):
                if not cause:
                    yield "I23", "decided without a cause"
                if outcome is Outcome.COMMIT and lock.answered not in (None, Answer.FINISH):
                    yield "I23", f"committed, and answered {lock.answered}"
            case Ended(quarantined=names) if names and lock.purpose != Verb.BREAK_GLASS:
                yield "I23", f"{names} quarantined by {lock.purpose}"
            case ReleaseAnswered() if not lock.asked:
                yield "I23", "an answer to nobody"
            case HeuristicDecided(reason=reason) | Retired(reason=reason) if not reason:
                yield "I23", f"{record.kind} without a reason"
            case _:
                return

    def _taking(self, record: LockTaken) -> Iterator[tuple[str, str]]:
        lock = self.lock
        if record.state is LockState.HELD and lock.queue:
            first = next(iter(lock.queue.items()))
            if first != (record.ticket, record.owner):
                yield "I26", f"{record.owner} was granted it, {first[1]} is first"
        if record.state is LockState.RESOLVING and not record.reason:
            yield "I22", f"resolved by {record.owner} without a reason"
        if record.purpose not in UNASKED or self.proved_dead(lock.owner, record.owner):
            return
        row = self.rows.get(lock.epoch)
        if row is not None and not row.lost and self._age_s(row) < LEASE_TTL_S + GRACE_S:
            age = f"its lease is {self._age_s(row):.1f} s old"
            yield "I20", f"{record.purpose} took the lock of {lock.owner}, who may live: {age}"

    def _of_a_reseed(self, record: Record) -> Iterator[tuple[str, str]]:
        """
        I1: a reseed aborts only what a device has recorded so, or when everybody was heard in it.

        Heard is who has acknowledged its FENCE; who is retired is given up.
        """
        aborted: tuple[TxnId, ...] = ()
        if not isinstance(record, Adopted | Decided):
            return
        if isinstance(record, Adopted):
            aborted = tuple(one.txn for one in record.relisted if one.outcome is Outcome.ABORT)
        elif record.outcome is Outcome.ABORT:
            aborted = (record.txn,)
        for txn in aborted:
            begun = self.begun.get(txn)
            if begun is None or record.epoch.incarnation <= begun.epoch.incarnation:
                continue
            done = (one.durable.outcome_of(txn) for one in self._truth.devices.values())
            if any(one is not None and one.outcome is Outcome.ABORT for one in done):
                continue
            for name in begun.digests:
                heard = self._truth.device(name).incarnation >= record.epoch.incarnation
                if not heard and name not in self._truth.fleet.retired:
                    yield "I1", f"a reseed aborts {txn}, {name} was neither heard nor retired"

    def _passing_over(self, ticket: Ticket, by: Owner) -> Iterator[tuple[str, str]]:
        """I26: who has not left is passed over only if it is gone, or silent past its TTL."""
        owner, row = self.lock.queue.get(ticket), self.rows.get(ticket)
        if owner is None or key_of(owner) == key_of(by) or row is None or row.lost:
            return
        if self._age_s(row) < LEASE_TTL_S and not self.proved_dead(owner, by):
            yield "I26", f"{by} has passed over {owner}, who waits before it and may live"

    def _age_s(self, row: Row) -> float:
        return self._truth.now_s - row.since_s + STAMP_S

    # --- what a record means --------------------------------------------------------------------

    def _note(self, entry: Entry) -> None:
        record, lock = entry.record, self.lock
        self._note_lock(record, self._stamped(entry))
        self.epochs.append(self.lock.epoch)
        match record:
            case ReleaseRequested(epoch=epoch) if epoch == lock.epoch:
                lock.asked, lock.answered = True, None
            case ReleaseAnswered(answer=answer):
                lock.answered = answer
            case HeuristicDecided(device=device, txn=txn, outcome=outcome):
                self.words[device, txn, outcome] = None
            case Begun():
                self.begun[record.txn] = record
            case Decided(txn=txn, outcome=outcome):
                self._outcome(txn, outcome)
            case Adopted():
                self._adopted(record, entry.at)
            case _:
                return

    def _note_lock(self, record: Record, since_s: float) -> None:
        match record:
            case LockTaken():
                self._took(record, since_s)
            case LockReleased(epoch=epoch):
                self.lock = Lock(epoch=epoch, queue=self.lock.queue)
                self._end_leases()
            case LockRequested(ticket=ticket, owner=owner):
                self.lock.queue[ticket] = owner
                self.rows[ticket] = Row(owner=owner, since_s=since_s)
            case LockWithdrawn(ticket=ticket):
                self.lock.queue.pop(ticket, None)
                self.rows.pop(ticket, None)
            case _:
                return

    def _took(self, record: LockTaken, since_s: float) -> None:
        queue = self.lock.queue
        if record.ticket is not None:
            queue.pop(record.ticket, None)
            self.rows.pop(record.ticket, None)
        self.lock = Lock(
            state=record.state,
            epoch=record.epoch,
            owner=record.owner,
            purpose=record.purpose,
            queue=queue,
        )
        self.taken[record.epoch] = None
        self._end_leases()
        self.rows[record.epoch] = Row(owner=record.owner, since_s=since_s)

    def _stamped(self, entry: Entry) -> float:
        """Return when a record was made, which a slow store keeps later; now, if clocks differ."""
        at_s, now_s = self._truth.story(entry.at), self._truth.now_s
        return at_s if now_s - LEASE_TTL_S <= at_s <= now_s else now_s

    def _end_leases(self) -> None:
        for claim in [claim for claim in self.rows if isinstance(claim, Epoch)]:
            del self.rows[claim]

    def _outcome(self, txn: TxnId, outcome: Outcome) -> None:
        self.outcomes.setdefault(txn, {})[outcome] = None
        begun = self.begun.get(txn)
        if outcome is Outcome.COMMIT and begun is not None:
            digests = {**begun.spare, **begun.digests}
            made = Committed(
                txn=txn,
                digests=digests,
                config=begun.config,
                activate_at=begun.timeline.activate_at,
            )
            self._version(begun.seq, made)

    def _adopted(self, record: Adopted, at: float) -> None:
        for one in record.relisted:
            self.relisted[one.txn] = None
            self.outcomes.setdefault(one.txn, {})[one.outcome] = None
            if one.outcome is Outcome.COMMIT:
                made = Committed(
                    txn=one.txn, digests=dict(one.digests), config=one.config, activate_at=at
                )
                self._version(one.seq, made)

    def _version(self, seq: int, committed: Committed) -> None:
        known = self.committed.setdefault(seq, [])
        if committed not in known:
            known.append(committed)

    # --- what an append may change (I22, I23) ---------------------------------------------------

    def _audit(self, before: FleetState, entries: Sequence[Entry], after: FleetState) -> None:
        blame = self._truth.blame
        kinds = [entry.record.kind for entry in entries]
        may = frozenset[str]().union(*(CHANGES[kind] for kind in kinds))
        changed = [
            name
            for name in _FIELDS
            if name not in may and getattr(before, name) != getattr(after, name)
        ]
        if before.head + len(entries) != after.head:
            blame("X", f"told of {len(entries)} entries, from {before.head} to {after.head}")
        elif changed:
            blame("I23", f"{', '.join(kinds)} changed {', '.join(changed)}")
        if before.lock.epoch != after.lock.epoch and NEW_EPOCH.isdisjoint(kinds):
            blame("I23", f"{', '.join(kinds)} changed the lock's epoch")
        lock = after.lock
        free = lock.state is LockState.FREE
        if free != (lock.owner is None) or (not free and not (lock.purpose and lock.since)):
            blame("I22", f"{lock.state} without an owner who says what for")
        if free and after.open is not None:
            blame("I15", "free with an open transaction")
        mine = (self.lock.state, self.lock.epoch, self.lock.owner)
        if (lock.state, lock.epoch, lock.owner) != mine:
            blame("I22", f"the records name {mine[2]}, the fold shows {lock.owner}")
