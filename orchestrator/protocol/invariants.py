"""
The invariants of the protocol, as questions about what is true at one instant, or at two.

They share no code with the cores and the fold: they read the journal's records and the devices'
records as a stranger would, so that a mistake in ``apply`` or in a core is seen and not
repeated. README.md has the list; the letters S, M and R there say who asks them.

:func:`check` looks at one :class:`Snapshot`; :func:`check_change` at a device before and after
one durable write, for what must never change or never decrease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.protocol.device import Durable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import (
    Adopted,
    Begun,
    Decided,
    Ended,
    Entry,
    LockReleased,
    LockRequested,
    LockState,
    LockTaken,
    LockWithdrawn,
)
from orchestrator.protocol.types import DeviceId, Digest, Epoch, Outcome, Ticket, TxnId, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold: its ``id`` in README.md, and what was seen."""

    id: str
    text: str

    def __str__(self) -> str:
        """Show ``I5: d-01 operates 1, d-02 operates 2``."""
        return f"{self.id}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A PREPARED record that a device has stored at some time: a yes, whether told or not."""

    device: DeviceId
    txn: TxnId
    digest: Digest
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """
    A device as somebody outside sees it: its disk, and what its controller aims with.

    ``leased`` is whether it operates on an enable lease, and ceases to when that runs out.
    """

    durable: Durable
    operating: Version | None = None
    leased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """
    Everything at one true instant ``at``, in s.

    ``fleet`` is the fold of ``journal``. ``promised`` are all yeses ever stored, by devices that
    have lost their disk since, too; ``replaced`` names those. ``exceptions`` are devices that
    may operate another version, beside those that :func:`excepted` finds in the journal.
    """

    fleet: FleetState
    journal: Sequence[Entry]
    devices: Mapping[DeviceId, DeviceView]
    promised: frozenset[Promise] = frozenset()
    replaced: frozenset[DeviceId] = frozenset()
    exceptions: frozenset[DeviceId] = frozenset()
    at: float = 0.0


@dataclass(slots=True, kw_only=True)
class _Book:
    """What a reader of the journal's raw records needs to remember from one to the next."""

    lock: LockState = LockState.FREE
    epoch: Epoch = field(default_factory=Epoch)
    open: TxnId | None = None
    begun: dict[TxnId, Begun] = field(default_factory=dict)
    outcomes: dict[TxnId, Outcome] = field(default_factory=dict)
    queue: list[Ticket] = field(default_factory=list)


def check(snapshot: Snapshot) -> list[Violation]:
    """Return every invariant that does not hold in ``snapshot``."""
    found = list(journal_violations(snapshot.journal))
    book = _read(snapshot.journal)
    found += _agreement(snapshot, book)
    found += _validity(snapshot, book)
    found += _nobody_forgotten(snapshot, book)
    found += mixed_operation(snapshot)
    return found


# --- the journal alone (I2, I7, I8, I9, I14, I15, I26) ------------------------------------------


def journal_violations(journal: Iterable[Entry]) -> Iterator[Violation]:
    """Yield what is wrong with the records themselves, in their order."""
    book = _Book()
    for entry in journal:
        record = entry.record
        if isinstance(record, LockTaken | LockReleased):
            yield from _ownership(book, record)
        elif isinstance(record, Begun | Decided | Ended):
            yield from _guarded(book, record)
        _note(book, record)


def _ownership(book: _Book, record: LockTaken | LockReleased) -> Iterator[Violation]:
    if record.epoch <= book.epoch:
        yield Violation(id="I9", text=f"epoch {record.epoch} follows {book.epoch}")
    if isinstance(record, LockReleased):
        if book.open is not None:
            yield Violation(id="I15", text=f"the lock is free, txn {book.open} is open")
        return
    reborn = record.epoch.incarnation > book.epoch.incarnation
    if record.state is LockState.RESOLVING and book.lock is LockState.FREE and not reborn:
        yield Violation(id="I14", text=f"epoch {record.epoch} resolves what was free")
    if record.state is LockState.HELD and book.lock is not LockState.FREE:
        yield Violation(id="I14", text=f"epoch {record.epoch} was granted, it was not free")
    if record.state is LockState.HELD and record.ticket != next(iter(book.queue), None):
        yield Violation(id="I26", text=f"epoch {record.epoch} was granted past {book.queue[:1]}")


def _guarded(book: _Book, record: Begun | Decided | Ended) -> Iterator[Violation]:
    decided = isinstance(record, Decided)
    if book.lock is LockState.FREE or record.epoch != book.epoch:
        what = f"{record.kind} of {record.txn} under epoch {record.epoch}, it is {book.epoch}"
        yield Violation(id="I8" if decided else "I14", text=what)
    if isinstance(record, Begun):
        if book.open is not None:
            yield Violation(id="I15", text=f"{record.txn} begun while {book.open} was open")
        if any(record.seq <= begun.seq for begun in book.begun.values()):
            yield Violation(id="I11", text=f"seq {record.seq} of {record.txn} is not new")
        return
    if decided and record.txn in book.outcomes:
        yield Violation(id="I7", text=f"{record.txn} was decided twice")
    if decided and record.txn not in book.begun:
        yield Violation(id="I7", text=f"{record.txn} was decided and never begun")
    if isinstance(record, Ended) and record.txn not in book.outcomes:
        yield Violation(id="I15", text=f"{record.txn} ended undecided")


def _note(book: _Book, record: object) -> None:
    if isinstance(record, LockTaken):
        book.lock, book.epoch = record.state, record.epoch
        book.queue = [ticket for ticket in book.queue if ticket != record.ticket]
    elif isinstance(record, LockRequested):
        book.queue.append(record.ticket)
    elif isinstance(record, LockWithdrawn):
        book.queue = [ticket for ticket in book.queue if ticket != record.ticket]
    elif isinstance(record, Adopted):
        book.outcomes.update({one.txn: one.outcome for one in record.relisted})
    elif isinstance(record, LockReleased):
        book.lock, book.epoch = LockState.FREE, record.epoch
    elif isinstance(record, Begun):
        book.begun[record.txn], book.open = record, record.txn
    elif isinstance(record, Decided):
        book.outcomes.setdefault(record.txn, record.outcome)
    elif isinstance(record, Ended):
        book.open = None


def _read(journal: Iterable[Entry]) -> _Book:
    book = _Book()
    for entry in journal:
        _note(book, entry.record)
    return book


# --- devices against the journal (I1, I2, I3, I15, I17) -----------------------------------------


def _agreement(snapshot: Snapshot, book: _Book) -> Iterator[Violation]:
    """I1, I2, I17: nobody has recorded what is not stored, or the other outcome."""
    by_device: dict[TxnId, dict[DeviceId, Outcome]] = {}
    for device, view in snapshot.devices.items():
        for done in view.durable.finished:
            by_device.setdefault(done.txn, {})[device] = done.outcome
            stored = book.outcomes.get(done.txn)
            if stored is None and done.seq <= snapshot.fleet.reseeded_seq:
                continue  # the journal has lost it: that was found out, and a reseed has ended it
            if stored is None:
                text = f"{device} has recorded {done.outcome} of {done.txn}, nothing is stored"
                yield Violation(id="I17", text=text)
            elif done.seq <= snapshot.fleet.reseeded_seq and view.durable.version > done.seq:
                continue  # it has gone on, and a reseed can't ask for what it has left behind
            elif stored is not done.outcome:
                text = f"{done.txn} is {stored} in the journal, {done.outcome} on {device}"
                yield Violation(id="I2", text=text)
    for txn, outcomes in by_device.items():
        if len(set(outcomes.values())) > 1:
            who = ", ".join(f"{device} {outcome}" for device, outcome in outcomes.items())
            yield Violation(id="I1", text=f"{txn}: {who}")


def _validity(snapshot: Snapshot, book: _Book) -> Iterator[Violation]:
    """I3: COMMIT only where every member has stored a yes for that txn, digest and epoch."""
    for txn, outcome in book.outcomes.items():
        begun = book.begun.get(txn)
        if outcome is Outcome.ABORT or begun is None:
            continue
        for device, digest in begun.digests.items():
            needed = Promise(device=device, txn=txn, digest=digest, epoch=begun.epoch)
            if needed not in snapshot.promised:
                yield Violation(id="I3", text=f"{txn} is committed, {device} never stored a yes")


def _nobody_forgotten(snapshot: Snapshot, book: _Book) -> Iterator[Violation]:
    """I15: a device in doubt about a transaction that has ended is deferred on it by name."""
    open_txn = None if snapshot.fleet.open is None else snapshot.fleet.open.begun.txn
    for device, view in snapshot.devices.items():
        prepared = view.durable.prepared
        if prepared is None or prepared.txn == open_txn or device in snapshot.fleet.retired:
            continue
        lost = prepared.txn not in book.begun and prepared.txn not in book.outcomes
        if lost and prepared.seq <= snapshot.fleet.reseeded_seq:
            continue  # the reseed has not heard of it: the device's next word asks for another
        answered = snapshot.fleet.deferred.get(device, ())
        if device in snapshot.replaced:  # its yes was acknowledged, lost, and given again
            answered = (*answered, *snapshot.fleet.recent)
        waits_for = {txn.begun.txn for txn in answered}
        if prepared.txn not in waits_for:
            text = f"{device} is in doubt about {prepared.txn}, which has ended without it"
            yield Violation(id="I15", text=text)


# --- operation (I5) -----------------------------------------------------------------------------


def excepted(fleet: FleetState, devices: Mapping[DeviceId, DeviceView]) -> frozenset[DeviceId]:
    """
    Return the devices that may operate another version.

    They were left out of the fleet's version, or are being left out of the next one, and have
    not been caught up, and no enable lease ends what they do; or they operate on a person's word.
    A member, deferred or not, is never among them: no version is decided without its yes, and a
    yes binds it to hold.
    """
    names: set[DeviceId] = set(fleet.retired)
    for txn in (fleet.installed, fleet.open):
        if txn is None or txn.outcome is not Outcome.COMMIT:
            continue
        names.update(
            device
            for device, view in devices.items()
            if device not in txn.begun.digests and view.durable.version != txn.begun.seq
        )
    leased = {device for device, view in devices.items() if view.leased}
    return frozenset(names - leased) | frozenset(fleet.heuristics)


def mixed_operation(snapshot: Snapshot) -> list[Violation]:
    """I5: no two devices operate different versions at this true instant."""
    excused = snapshot.exceptions | excepted(snapshot.fleet, snapshot.devices)
    operating = {
        device: view.operating
        for device, view in snapshot.devices.items()
        if view.operating is not None and device not in excused
    }
    if len(set(operating.values())) <= 1:
        return []
    who = ", ".join(f"{device} operates {version}" for device, version in operating.items())
    return [Violation(id="I5", text=f"at {snapshot.at:.3f} {who}")]


# --- what never changes, what never decreases (I2, I10, I11, I12) -------------------------------


def check_change(before: Durable, after: Durable) -> list[Violation]:
    """Return what one durable write of a device breaks; a new disk is not a write."""
    found = list(_never_back(before, after))
    old = {done.txn: done.outcome for done in before.finished}
    found += [
        Violation(id="I2", text=f"{done.txn} was {old[done.txn]} on the device")
        for done in after.finished
        if old.get(done.txn, done.outcome) is not done.outcome
    ]
    found += _new_yes(before, after)
    return found


def _never_back(before: Durable, after: Durable) -> Iterator[Violation]:
    if after.max_epoch < before.max_epoch:
        text = f"max_epoch went from {before.max_epoch} to {after.max_epoch}"
        yield Violation(id="I10", text=text)
    if after.last_seq < before.last_seq:
        text = f"last_seq went from {before.last_seq} to {after.last_seq}"
        yield Violation(id="I11", text=text)
    if after.version < before.version:
        text = f"the version went from {before.version} to {after.version}"
        yield Violation(id="I11", text=text)


def _new_yes(before: Durable, after: Durable) -> Iterator[Violation]:
    """I10, I11, I12: what must hold at the instant of a yes, and while it binds."""
    was, now = before.prepared, after.prepared
    if was is not None and now is None and after.outcome_of(was.txn) is None:
        yield Violation(id="I2", text=f"the yes for {was.txn} was dropped without a decision")
    if now is None or now == was:
        return
    if was is not None:
        yield Violation(id="I12", text=f"prepared {now.txn} while prepared for {was.txn}")
    if now.epoch < before.max_epoch:
        text = f"prepared {now.txn} of epoch {now.epoch} below {before.max_epoch}"
        yield Violation(id="I10", text=text)
    if now.seq <= before.last_seq:
        text = f"prepared {now.txn} of seq {now.seq}, {before.last_seq} is decided"
        yield Violation(id="I11", text=text)


def check_rejoin(device: Durable, known: Iterable[FleetState]) -> list[Violation]:
    """
    I25: ``device`` is being enabled; ``known`` are the folds from its HELLO until now.

    It must have been the fleet's in one of them: an answer made from an older fold may speak of
    a fleet that has moved on before the question was asked. Nor may it have been in quarantine
    then, or retired.
    """
    mine = (device.version, device.digest, device.last_seq)
    for fleet in known:
        theirs = (fleet.version, fleet.digest_of(device.device), fleet.decided_seq)
        away = device.device in fleet.quarantined or device.device in fleet.retired
        if mine == theirs and not away:
            return []
    text = f"{device.device} is enabled as {mine}, which it was not to be since it asked"
    return [Violation(id="I25", text=text)]
