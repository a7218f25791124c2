"""
A journal as a stranger reads it: its raw records, without the fold (I7, I8, I9, I14, I15, I26).

:mod:`.invariants` asks it, and holds the devices against what it remembers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

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
    Record,
)
from orchestrator.protocol.types import Epoch, Outcome, Ticket, TxnId


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """
    An invariant that does not hold: its ``id`` in README.md, and what was seen.

    ``txn`` is the transaction that devices and journal disagree about, where it is about one.
    """

    id: str
    text: str
    txn: TxnId | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """Show ``I5: d-01 operates 1, d-02 operates 2``."""
        return f"{self.id}: {self.text}"


@dataclass(slots=True, kw_only=True)
class Book:
    """What a reader of the journal's raw records needs to remember from one to the next."""

    lock: LockState = LockState.FREE
    epoch: Epoch = field(default_factory=Epoch)
    open: TxnId | None = None
    begun: dict[TxnId, Begun] = field(default_factory=dict)
    outcomes: dict[TxnId, Outcome] = field(default_factory=dict)
    queue: list[Ticket] = field(default_factory=list)


def journal_violations(journal: Iterable[Entry]) -> Iterator[Violation]:
    """Yield what is wrong with the records themselves, in their order."""
    book = Book()
    for entry in journal:
        yield from judge(book, entry.record)


def judge(book: Book, record: Record) -> Iterator[Violation]:
    """Yield what is wrong with the next record, and note it."""
    if isinstance(record, LockTaken | LockReleased):
        yield from _ownership(book, record)
    elif isinstance(record, Begun | Decided | Ended):
        yield from _guarded(book, record)
    _note(book, record)


def _ownership(book: Book, record: LockTaken | LockReleased) -> Iterator[Violation]:
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


def _guarded(book: Book, record: Begun | Decided | Ended) -> Iterator[Violation]:
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


def _note(book: Book, record: Record) -> None:
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
