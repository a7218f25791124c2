"""The tables of an explored world: what its numbers stand for, and whether it is sound."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from drone_sim.cores import samples
from drone_sim.cores.minifleet import Fleet
from drone_sim.cores.showing import show_message
from orchestrator.protocol import device as dev
from orchestrator.protocol import invariants, lease
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.device import Durable
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import apply
from orchestrator.protocol.invariants import DeviceView, Promise, Snapshot, Violation
from orchestrator.protocol.messages import (
    Ask,
    Decision,
    Hello,
    Message,
    Prepare,
    Report,
    Vote,
    Welcome,
)
from orchestrator.protocol.records import Entry, Record
from orchestrator.protocol.types import DeviceId, Outcome, Owner
from tests.protocol.canonical import INSTANT_S, PLANS, SETTLE_S, timed
from tests.protocol.desks import Answered, Desks, entry_key
from tests.protocol.scope import Cores, Scope, State
from tests.protocol.units import Stepped, Units

START_S: Final = 2000.0
DEVICES: Final = (samples.device_id(1), samples.device_id(2))
TIMING: Final = samples.timing(window_s=None, settle_s=SETTLE_S, join_s=0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Log:
    """A journal in one state."""

    number: int
    entries: tuple[Entry, ...]
    fold: FleetState


@dataclass(kw_only=True)
class Tables:
    """States are numbers into these."""

    scope: Scope
    cores: Cores = field(default_factory=Cores)

    def __post_init__(self) -> None:
        """Make empty tables, and the first state."""
        self.units = Units(self.cores.participant)
        self.desks = Desks()
        self.logs: list[Log] = []
        self.messages: list[Message] = []
        self._log_numbers: dict[Hashable, int] = {}
        self._message_numbers: dict[Message, int] = {}
        self._checked: dict[Hashable, tuple[Violation, ...]] = {}
        self._tidied: dict[Hashable, tuple[frozenset[int], tuple[int, ...]]] = {}
        self._events: dict[tuple[int, int, float], dev.Event | None] = {}
        self._said: dict[int, str] = {}
        self._worth: dict[tuple[int, int], bool] = {}
        self._decisions: dict[str, int] = {}
        self._coordinator = timed(self.cores.coordinator)
        self.start = self._first()

    # --- the tables -----------------------------------------------------------------------------

    def _log(self, parent: int | None, entries: tuple[Entry, ...], fold: FleetState) -> int:
        key = (parent, entry_key(entries[-1], fold))
        number = self._log_numbers.setdefault(key, len(self.logs))
        if number == len(self.logs):
            self.logs.append(Log(number=number, entries=entries, fold=fold))
        return number

    def append(self, journal: int, records: Sequence[Record], now: float) -> int:
        """Append to a journal; raises InvariantViolation where its fold does."""
        for record in records:
            log = self.logs[journal]
            entry = Entry(index=len(log.entries) + 1, at=now, record=record)
            journal = self._log(journal, (*log.entries, entry), apply(log.fold, entry))
        return journal

    def number(self, message: Message) -> int:
        number = self._message_numbers.setdefault(message, len(self.messages))
        if number == len(self.messages):
            self.messages.append(message)
            if isinstance(message, Decision):
                self._decisions[message.txn] = number
        return number

    def now(self, state: State) -> float:
        return START_S + INSTANT_S * state.instant

    # --- the first state ------------------------------------------------------------------------

    def _first(self) -> State:
        """A fleet that has run version 1 for long, and a push of version 2 that just began."""
        fleet = Fleet(len(DEVICES)).steady()
        parent: int | None = None
        fold = FleetState(fleet=samples.FLEET)
        entries: tuple[Entry, ...] = ()
        for entry in fleet.journal:
            entries, fold = (*entries, entry), apply(fold, entry)
            parent = self._log(parent, entries, fold)
        assert parent is not None
        units = []
        for device in fleet.devices.values():
            assert device.core is not None
            core = device.core.fork()
            core.__class__ = self.cores.participant
            core.boot = "b"
            units.append(self.units.add(device.disk, core, START_S))
        for number in range(1, 10):
            goal = samples.push(number, number - 1, DEVICES)
            PLANS[goal.txn] = samples.encode(goal.plan)
        state = State(
            journal=parent,
            units=(units[0], units[1]),
            desks=(),
            net=frozenset(),
            instant=0,
            crashes=self.scope.crashes,
            forces=self.scope.forces,
            pushes=self.scope.pushes,
            lost=self.scope.lost,
            noes=self.scope.noes,
            wiped=self.scope.wiped,
            glass=self.scope.glass,
        )
        fold = self.logs[parent].fold
        nobody = self._coordinator(fold, goal=orc.Settle(until=0.0), timing=TIMING)
        nobody._final = Phase.DONE
        assert self.desks.add(nobody, 0, None) == 0
        return self._push(state)

    def _push(self, state: State) -> State:
        """Take the free lock and start a coordinator with the next plan."""
        fold = self.logs[state.journal].fold
        by = samples.owner(f"c{len(state.desks) + 1}")
        taken = lease.acquire(fold, by, "push")
        assert not isinstance(taken, lease.Hot)
        number = fold.last_seq + 1
        goal = samples.push(number, fold.version, DEVICES)
        PLANS[goal.txn] = samples.encode(goal.plan)
        return self._driver(state, taken, goal, by)

    def _driver(self, state: State, records: Sequence[Record], goal: orc.Goal, by: Owner) -> State:
        now = self.now(state)
        journal = self.append(state.journal, records, now)
        fold = self.logs[journal].fold
        core = self._coordinator(fold, goal=goal, timing=TIMING, epoch=fold.lock.epoch, owner=by)
        answered = self.desks.start(core, journal, now)
        state = state._replace(journal=journal, desks=(*state.desks, 0))
        return self._answered(state, len(state.desks) - 1, answered)

    def settling(self, state: State) -> State:
        """Start a coordinator that only answers (used to find out whether everybody gets well)."""
        now = self.now(state)
        core = self._coordinator(
            self.logs[state.journal].fold,
            goal=orc.Settle(until=1e9, members=DEVICES),
            timing=TIMING,
        )
        answered = self.desks.start(core, state.journal, now)
        state = state._replace(desks=(*state.desks, 0))
        return self._answered(state, len(state.desks) - 1, answered)

    # --- what follows from a step ---------------------------------------------------------------

    def _answered(self, state: State, slot: int, answered: Answered) -> State:
        desks = (*state.desks[:slot], answered.desk, *state.desks[slot + 1 :])
        net = state.net.union(map(self.number, answered.messages))
        return self._tidy(state._replace(desks=desks, net=net))

    def _stepped(self, state: State, which: int, stepped: Stepped) -> State:
        units = (stepped.unit, state.units[1]) if which == 0 else (state.units[0], stepped.unit)
        net = state.net
        if stepped.renounced:
            net = self._without_answers(net, DEVICES[which])
        net = net.union(map(self.number, stepped.messages))
        return self._tidy(state._replace(units=units, net=net))

    def _tidy(self, state: State) -> State:
        """Drop what nobody can use any more; see :meth:`_dead`."""
        key = (state.net, state.journal, state.units, state.desks, state.wiped)
        if key not in self._tidied:
            disks = [self.units.all[number].disk for number in state.units]
            if any(state.wiped):  # an empty disk may still need what all the others have
                disks.append(Durable(fleet=samples.FLEET, device=DEVICES[0]))
            net = frozenset(number for number in state.net if not self._dead(number, state, disks))
            desks = tuple(self._resting(number, state.journal) for number in state.desks)
            self._tidied[key] = net, desks
        net, desks = self._tidied[key]
        head = len(self.logs[state.journal].entries)
        adrift = tuple(one for one in state.adrift if one[2] == head)
        return state._replace(net=net, desks=desks, adrift=adrift)

    def _resting(self, number: int, journal: int) -> int:
        """
        Return 0, the desk at which nobody sits, for a coordinator that is over or fenced.

        One that has lost the lock and does not know it can append nothing (the journal has
        moved on), answers no HELLO (it would read the journal first) and repeats only what it
        has said already. ``Scope.zombies`` leaves it alive, to find out whether that is so.
        """
        desk = self.desks.all[number]
        lost = desk.core.epoch not in (None, self.logs[journal].fold.lock.epoch)
        return 0 if desk.over or (lost and not self.scope.zombies) else number

    def _dead(self, number: int, state: State, disks: Sequence[Durable]) -> bool:
        """
        Whether hearing this message changes nothing in any future.

        A vote counts for the open, undecided transaction only: whoever folds less than the
        journal cannot append any more. A report acknowledges nothing below its last_seq. A
        question is answered by a decision that is on its way already. What every device has
        recorded is only reported again.
        """
        message, fold = self.messages[number], self.logs[state.journal].fold
        txn = fold.open
        match message:
            case Prepare(seq=seq):
                return all(disk.last_seq >= seq for disk in disks)
            case Decision(seq=seq, outcome=outcome):
                return all(
                    disk.last_seq >= seq
                    and (disk.prepared is None or disk.prepared.txn != message.txn)
                    and (outcome is Outcome.ABORT or disk.version >= seq)
                    for disk in disks
                )
            case Vote():
                return txn is None or txn.begun.txn != message.txn or txn.decided is not None
            case Report(device=device) if device in fold.quarantined:
                return message.state.last_seq < fold.decided_seq
            case Report():
                return txn is None or message.state.last_seq < txn.begun.seq
            case Ask():
                told = self._decisions.get(message.txn)
                return told is not None and told in state.net
            case _:
                return False

    def _without_answers(self, net: frozenset[int], device: DeviceId) -> frozenset[int]:
        """A HELLO that was superseded has no answer any more that the device would take."""
        return frozenset(
            number
            for number in net
            if not (
                isinstance(message := self.messages[number], Hello | Welcome)
                and self._of(message) == device
            )
        )

    def _of(self, message: Hello | Welcome) -> str:
        return message.device if isinstance(message, Hello) else message.boot

    # --- checking -------------------------------------------------------------------------------

    def _views(self, state: State) -> dict[DeviceId, DeviceView]:
        return {
            name: DeviceView(durable=unit.disk, operating=unit.operating)
            for name, unit in zip(
                DEVICES, (self.units.all[number] for number in state.units), strict=True
            )
        }

    def violations(self, state: State) -> tuple[Violation, ...]:
        """Return what does not hold in ``state``; each combination is looked at once."""
        key = (state.journal, state.units, state.new_disk)
        if key not in self._checked:
            self._checked[key] = self._check(state)
        return self._checked[key]

    def _check(self, state: State) -> tuple[Violation, ...]:
        log, views = self.logs[state.journal], self._views(state)
        replaced = frozenset(
            name for name, new in zip(DEVICES, state.new_disk, strict=True) if new
        )
        snapshot = Snapshot(
            fleet=log.fold,
            journal=log.entries,
            devices=views,
            promised=self._promised(log, views, replaced),
            replaced=replaced,
            at=self.now(state),
        )
        return tuple(invariants.check(snapshot))

    def _promised(
        self,
        log: Log,
        views: dict[DeviceId, DeviceView],
        replaced: frozenset[DeviceId],
    ) -> frozenset[Promise]:
        """A yes is never dropped (I2), so what was promised can be read off the disks."""
        found = set()
        for entry in log.entries:
            begun = entry.record
            if begun.kind != "begun":
                continue
            for name, digest in begun.digests.items():
                disk = views[name].durable
                prepared = disk.prepared
                bound = prepared is not None and prepared.txn == begun.txn
                done = disk.outcome_of(begun.txn)
                if bound or (done and done.outcome == "commit") or name in replaced:
                    promise = Promise(device=name, txn=begun.txn, digest=digest, epoch=begun.epoch)
                    found.add(promise)
        return frozenset(found)

    def _say(self, number: int) -> str:
        if number not in self._said:
            message = self.messages[number]
            who = getattr(message, "device", "")
            self._said[number] = f"{who} {show_message(message)}".strip()
        return self._said[number]
