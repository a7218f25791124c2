"""Recognises the goals, and counts the figures, in what the checker is fed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from drone_sim.checker.goals import in_force
from drone_sim.checker.ledger import Ledger, Lock
from drone_sim.checker.truth import Device, Process, Truth
from drone_sim.scenario.model import Act
from drone_sim.scenario.model import Verb as Deed
from orchestrator.protocol.device import Durable, Holding
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.messages import Ask, Message, Vote
from orchestrator.protocol.order import STALE
from orchestrator.protocol.records import (
    AbortRequested,
    Adopted,
    Decided,
    Ended,
    Entry,
    HeuristicDecided,
    LockState,
    LockTaken,
    LockWithdrawn,
    Record,
    Rejoined,
    ReleaseAnswered,
    Retired,
    Settled,
    Verb,
)
from orchestrator.protocol.types import DeviceId, Outcome, TxnId, Version

_HOLDS: Final = {
    Holding.DOUBT.value: "held-in-doubt",
    Holding.CLOCK.value: "held-for-its-clock",
    Holding.FAILED.value: "held-activation-failed",
    Holding.LEASE.value: "lease-ran-out",
}

_TAKEN: Final = {
    Verb.RECOVER.value: "takeover-by-recover",
    Verb.EXPIRE.value: "takeover-by-serve",
}

_ABORTED: Final = {
    Verb.FORCE_UNLOCK.value: "abort-by-force",
    Verb.RECOVER.value: "abort-by-takeover",
    Verb.EXPIRE.value: "abort-by-takeover",
    Verb.BREAK_GLASS.value: "abort-by-glass",
    Verb.RESEED.value: "abort-by-reseed",
}

_TIME_OUT: Final = "no decision within"
"""How a push that gives up begins to say why (``service.session``)."""


class Seen:
    """Counts what happens; ``goals`` is the engine's to read."""

    def __init__(self, truth: Truth, ledger: Ledger) -> None:
        self._truth = truth
        self._ledger = ledger
        self.goals: Counter[str] = Counter()
        self.acts: Counter[str] = Counter()
        self.committed = self.aborted = self.forced = 0
        self._noes: dict[tuple[TxnId, DeviceId], None] = {}
        self._yeses: dict[tuple[TxnId, DeviceId], None] = {}
        self._abort_asked: dict[TxnId, None] = {}
        self._asked: dict[tuple[DeviceId, TxnId], None] = {}
        self._late: set[DeviceId] = set()
        self._replaced: set[DeviceId] = set()
        self._activations: dict[Version, dict[DeviceId, float]] = {}
        self._ended: dict[Version, None] = {}

    def _saw(self, goal: str, times: int) -> None:
        """Count a goal, if it was seen at all."""
        if times:
            self.goals[goal] += times

    # --- the journal ----------------------------------------------------------------------------

    def appending(self, entries: Sequence[Entry], before: FleetState) -> None:
        """Look at an append, before the ledger has taken it."""
        lock = self._ledger.lock
        purpose: str | None = None
        for entry in entries:
            record = entry.record
            if isinstance(record, LockTaken):
                self._taken(record, lock, before)
                purpose = record.purpose
            elif isinstance(record, Decided):
                self._decided(record, lock, before, purpose)
            else:
                self._other(record, before)

    def _taken(self, record: LockTaken, lock: Lock, before: FleetState) -> None:
        purpose, goals = record.purpose, self.goals
        if record.state is LockState.HELD:
            self._saw("waiter-served", record.ticket is not None)
            return
        holder = self._truth.process_of(lock.owner)
        if holder is not None and holder.alive:
            holder.superseded = True
        undecided = before.open is not None and before.open.decided is None
        if purpose in (Verb.FORCE_UNLOCK, Verb.BREAK_GLASS):
            self.forced += 1
        if purpose == Verb.FORCE_UNLOCK:
            when = "before-decision" if undecided else "after-decision"
            goals["force-with-nothing-open" if before.open is None else f"force-{when}"] += 1
        self._saw("break-glass", purpose == Verb.BREAK_GLASS and before.open is not None)
        self._saw("resolved-twice", lock.state is LockState.RESOLVING)
        if purpose in _TAKEN:
            goals[_TAKEN[purpose]] += 1
            dead = self._ledger.proved_dead(lock.owner, record.owner)
            goals["takeover-of-the-dead" if dead else "takeover-after-grace"] += 1

    def _decided(
        self, record: Decided, lock: Lock, before: FleetState, purpose: str | None
    ) -> None:
        txn, goals = record.txn, self.goals
        word = {one.outcome for one in before.heuristics.values() if one.txn == txn}
        self._saw("word-overruled", bool(word - {record.outcome}))
        if record.outcome is Outcome.COMMIT:
            self.committed += 1
            goals["commit"] += 1
            return
        self.aborted += 1
        resolver = purpose or (lock.purpose if lock.state is LockState.RESOLVING else "")
        if resolver in _ABORTED:
            goals[_ABORTED[resolver]] += 1
        elif lock.asked:
            goals["abort-by-request"] += 1
        elif txn in self._abort_asked:
            goals["abort-by-person"] += 1
        elif record.cause.startswith(_TIME_OUT):
            goals["abort-by-time-out"] += 1
        elif any((txn, device) in self._noes for device in record.refused):
            goals["abort-by-no"] += 1
        else:
            self._saw("abort-by-missing-votes", bool(record.refused))

    def _other(self, record: Record, before: FleetState) -> None:
        match record:
            case AbortRequested(txn=txn):
                self._abort_asked[txn] = None
            case Ended():
                self._over(record, before)
            case Settled():
                self.goals["deferred-followed"] += 1
            case Rejoined():
                self.goals["quarantine-rejoined"] += 1
            case LockWithdrawn(ticket=ticket, by=by):
                mine = self._ledger.lock.queue.get(ticket) == by
                self._saw("dead-waiter-passed-over", not mine)
            case Adopted(relisted=relisted):
                self.goals["reseeded"] += 1
                self._saw("relisted", len(relisted))
            case ReleaseAnswered():
                self.goals["request-answered"] += 1
            case HeuristicDecided():
                self.goals["word"] += 1
            case Retired():
                self.goals["retired"] += 1
            case _:
                return

    def _over(self, record: Ended, before: FleetState) -> None:
        self._saw("deferred", len(record.deferred))
        self._saw("quarantined", len(record.quarantined))
        if before.open is not None:
            self._ended[before.open.begun.seq] = None

    def ended(self, process: Process) -> None:
        """Look at a process that is gone; one that was fenced has found out by itself."""
        killed = process.hit in (Deed.KILL, Deed.REUSE_PID, Deed.POWER_CUT)
        self._saw("zombie-fenced", process.superseded and not killed)

    # --- devices --------------------------------------------------------------------------------

    def stored(self, device: Device, before: Durable, after: Durable) -> None:
        """Look at a record before it is kept."""
        name, goals = device.id, self.goals
        self._saw("word-obeyed", after.heuristic is not None and before.heuristic is None)
        was = before.prepared
        if was is not None and after.prepared is None:
            self._saw("doubt-ended-by-asking", (name, was.txn) in self._asked)
            if self._truth.now_s > self._truth.story(was.timeline.activate_at):
                goals["late-decision"] += 1
                self._late.add(name)
        elif after.version > before.version:
            self._caught_up(device, before)

    def _caught_up(self, device: Device, before: Durable) -> None:
        self.goals["caught-up"] += 1
        self._saw("late-then-caught-up", device.id in self._late)
        self._late.discard(device.id)
        installed = self._truth.fleet.installed
        out = installed is not None and device.id in installed.begun.excused
        self._saw("left-out-caught-up", out and before.version > 0)

    def confirmed(self, device: DeviceId) -> None:
        """Look at a device that has become sure."""
        self._late.discard(device)
        self._saw("replaced-rejoined", device in self._replaced)
        self._replaced.discard(device)

    def replaced(self, device: DeviceId, durable: Durable) -> None:
        """Look at another record; a new unit's is empty."""
        if not durable.known:
            self._replaced.add(device)

    def repaired(self) -> None:
        """Look at an active file that worn flash had damaged, and that is whole again."""
        self._saw("torn-file-repaired", 1)

    def holds(self, before: Sequence[str], after: Sequence[str]) -> None:
        """Look at the reasons why a device holds now."""
        for why in after:
            if why in _HOLDS and why not in before:
                self.goals[_HOLDS[why]] += 1

    def aims(self, device: DeviceId, version: Version | None) -> None:
        """Note the first activation of a version; after its end, it is somebody's late one."""
        if version is not None and version not in self._ended:
            self._activations.setdefault(version, {}).setdefault(device, self._truth.now_s)

    def skews_s(self) -> tuple[float, ...]:
        """Return the spans between the first and the last activation of each version."""
        times = [found.values() for found in self._activations.values()]
        return tuple(max(one) - min(one) for one in times if len(one) > 1)

    # --- messages and faults --------------------------------------------------------------------

    def said(self, message: Message) -> None:
        """Look at a message that is sent."""
        if isinstance(message, Ask):
            self._asked[message.device, message.txn] = None
        elif isinstance(message, Vote):
            name = (message.txn, message.device)
            if message.yes:
                self._saw("duplicate-prepare-answered", name in self._yeses)
                self._yeses[name] = None
            else:
                self._noes[name] = None
                stale = any(reason.startswith(STALE) for reason in message.reasons)
                self._saw("stale-prepare-refused", stale)

    def act(self, act: Act) -> None:
        """Look at an act that takes place."""
        self.acts[act.verb.value] += 1
        self.goals[in_force(act.verb)] += 1
