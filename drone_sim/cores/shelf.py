"""
The store of a town: appends that take time, are answered or not, and may be forgotten later.

An append that is on its way when its writer dies, or when the store goes away, is stored or not:
an even chance. Whoever hears no answer reads back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Final

from drone_sim.checker import Violated
from drone_sim.cores.party import Process
from drone_sim.cores.showing import show_record
from drone_sim.cores.town import Setup
from drone_sim.cores.wires import Wires
from drone_sim.cores.yard import Claim
from drone_sim.scenario.chance import stream
from drone_sim.scenario.model import StoreQuality
from drone_sim.trace import Kind, Value
from orchestrator.protocol import fold, lease
from orchestrator.protocol.errors import InvariantViolation, ProtocolMisuse
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.records import Entry, LockReleased, LockState, LockTaken, Record
from orchestrator.protocol.types import Epoch, Owner

HEALTHY: Final = StoreQuality()
FIRST_VERSION_RECORDS: Final = 5
"""The journal of the prologue: a backup is never older than version 1."""

NOWHERE: Final = -1
"""The head of a journal that is another one than the present."""

_EVEN: Final = 0.5


class Outcome(Enum):
    """What a writer hears of its append."""

    STORED = auto()
    CONFLICT = auto()
    LOST = auto()
    """The answer was lost: stored or not."""
    AWAY = auto()
    """The store could not be reached: not stored."""


Heard = Callable[[Outcome], object]


class Shelf(Wires):
    """The journal and the lease rows of a town."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.store_up = True
        self.store_slow_s = 0.0
        self.store_loses = 0.0
        self.store_quality = setup.scenario.store
        self.lying_since: int | None = None
        """The head of the journal since which nothing was really stored."""
        self._restored: list[int] = []
        """Where the journal ended after each restore."""
        self._store_chance = stream(setup.scenario.seed, "store")

    # --- processes ------------------------------------------------------------------------------

    def run_in(self, process: Process, act: Callable[..., object], *args: Any) -> None:
        """Let ``act`` happen in a process: not at all if it is dead, later if it is paused."""
        if not process.alive:
            return
        if process.paused:
            process.stopped.append((act, args))
            return
        try:
            act(*args)
        except (InvariantViolation, ProtocolMisuse) as error:
            self._stopped(process, error)

    def _stopped(self, process: Process, error: Exception) -> None:
        """Let a process end at a broken invariant, as it may where its journal was lost."""
        if not any(session.astray for session in process.sessions):
            self.checker.unexpected(process.name, error)
        process.die()
        self.checker.look()

    def later_in(
        self, process: Process, delay_s: float, act: Callable[..., object], *args: Any
    ) -> None:
        """Let ``act`` happen in a process after a while."""
        self.later(delay_s, self.run_in, process, act, *args)

    # --- appends --------------------------------------------------------------------------------

    def commit(
        self, process: Process, head: int, records: tuple[Record, ...], heard: Heard
    ) -> None:
        """Append ``records`` at ``head`` for a process, which hears what came of it."""
        if self.seam(process):
            return
        if not self.store_up:
            self.later_in(process, 0.0, heard, Outcome.AWAY)
            return
        took_s = self.store_quality.append_s + self.store_slow_s
        self.later(took_s, self._land, process, head, records, heard, len(self._restored))

    def _land(
        self,
        process: Process,
        head: int,
        records: tuple[Record, ...],
        heard: Heard,
        restores: int,
    ) -> None:
        if any(end < head for end in self._restored[restores:]):
            head = NOWHERE
        loses = max(self.store_quality.loses_answer, self.store_loses)
        draw = self._store_chance.random
        lost = not self.store_up or not process.alive or (loses > 0.0 and draw() < loses)
        outcome = Outcome.LOST
        if not lost or draw() < _EVEN:
            stored = self.record(head, records, process)
            if not lost:
                outcome = Outcome.STORED if stored else Outcome.CONFLICT
        if outcome is Outcome.CONFLICT:
            self.checker.count("conflict")
        if process.alive and self.seam(process):
            return
        self.run_in(process, heard, outcome)

    def record(self, head: int, records: Sequence[Record], process: Process | None) -> bool:
        """Compare and append, all or nothing; false for a conflict."""
        if head != len(self.journal):
            return False
        at = self.now if process is None else self.now + process.offset_s
        entries: list[Entry] = []
        folds = [self.folds[-1]]
        for number, record in enumerate(records, head + 1):
            entry = Entry(index=number, at=at, record=record)
            entries.append(entry)
            try:
                folds.append(fold.apply(folds[-1], entry))
            except InvariantViolation as error:
                raise self._refused(error, record) from error
        self.journal += entries
        self.folds += folds[1:]
        for entry in entries:
            self._keep_rows(entry.record)
            if entry.record.kind == "adopted":
                self.rolled_back = False
            if self.trace is not None:
                self._note_record(entry)
        self.checker.appended(entries, folds[-1])
        return True

    def append(self, head: int, records: Sequence[Record]) -> bool:
        """Append at once, by nobody in particular."""
        return self.record(head, records, None)

    def _refused(self, error: InvariantViolation, record: Record) -> Violated:
        """Say that no reader could fold what was about to be stored."""
        name, _, text = str(error).partition(": ")
        broken = Violation(id=name, text=f"the journal refuses {show_record(record)}: {text}")
        return Violated([broken], self.story_s)

    def _note_record(self, entry: Entry) -> None:
        record = entry.record
        detail: dict[str, Value] = {"index": entry.index, "record": record.kind}
        for name in ("txn", "outcome", "seq"):
            value = getattr(record, name, None)
            if value is not None:
                detail[name] = value if isinstance(value, int) else str(value)
        match record:
            case LockTaken():
                detail |= {"epoch": str(record.epoch), "state": record.state.value}
                detail["owner"] = record.owner.user
            case LockReleased():
                detail |= {"epoch": str(record.epoch), "state": LockState.FREE.value}
                detail["owner"] = record.by.user
        timeline = getattr(record, "timeline", None)
        if timeline is not None:
            detail["hold_at_s"] = self.in_story(timeline.hold_at)
            detail["activate_at_s"] = self.in_story(timeline.activate_at)
        self.note(Kind.JOURNAL, "journal", show_record(record), **detail)

    # --- lease rows -----------------------------------------------------------------------------

    def touch(self, claim: Claim, owner: Owner) -> bool:
        """Renew a lease; nothing changes unless claim and owner match (I21)."""
        renewed = super().touch(claim, owner)
        if renewed:
            self.checker.renewed(claim, owner)
        return renewed

    def manager_restarts(self) -> None:
        """Give every lease a fresh TTL (I20)."""
        super().manager_restarts()
        self.checker.manager_restarted()

    def lease_stage(self, claim: Claim) -> lease.Stage | None:
        """Return how old a lease is; ``None`` where the store has none."""
        row = self.ledger.rows.get(claim)
        return None if row is None else self.stage_of(row.age_s(self.now))

    # --- what it forgets ------------------------------------------------------------------------

    def restore(self, head: int) -> None:
        """Restore the store from a backup that ends at ``head``."""
        head = max(head, min(FIRST_VERSION_RECORDS, len(self.journal)))
        if head >= len(self.journal):
            return
        self.roll_back(len(self.journal) - head)
        self._restored.append(head)
        for process in self.living.values():
            for session in process.sessions:
                session.astray = session.astray or session.core.state.head > head
        if self.lying_since is not None:
            self.lying_since = min(self.lying_since, head)
        lock = self.state.lock
        tickets = {waiter.ticket for waiter in lock.waiters}
        self.ledger.rows = {
            claim: row
            for claim, row in self.ledger.rows.items()
            if claim == lock.epoch or claim in tickets
        }
        self.checker.rolled_back(self.journal, self.state)

    @property
    def was_restored(self) -> bool:
        """Whether the store has ever lost its end."""
        return bool(self._restored)

    def heal_store(self) -> None:
        """Let the store be quick and honest."""
        self.store_quality = replace(HEALTHY)

    def in_story(self, utc_s: float) -> float:
        """Return an honest UTC instant as time of the story, in s."""
        return round(utc_s - self.now + self.story_s, 6)

    def holds_lock(self, epoch: Epoch, owner: Owner) -> bool:
        """Whether the journal says that ``owner`` holds the lock under ``epoch``."""
        lock = self.state.lock
        return (lock.epoch, lock.owner) == (epoch, owner)
