"""
The explored world: two devices, coordinators, a journal and a set of messages that only grows.

A message stays deliverable for ever, so loss, delay, repetition and reordering need no moves of
their own: a message is lost if nobody ever delivers it. A coordinator that is never stepped
again has crashed; one that goes on after its lock was taken is a zombie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from drone_sim.cores import samples
from drone_sim.cores.showing import show_record
from orchestrator.protocol import device as dev
from orchestrator.protocol import invariants, lease
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.device import Durable
from orchestrator.protocol.errors import InvariantViolation
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.messages import (
    Ask,
    Blob,
    CatchUp,
    Decision,
    Fence,
    Hello,
    Message,
    Prepare,
    Report,
    Vote,
    Welcome,
)
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.records import Entry, LockState
from orchestrator.protocol.types import DeviceId
from tests.protocol.canonical import INSTANT_S
from tests.protocol.desks import Desk
from tests.protocol.scope import Move, State
from tests.protocol.tables import DEVICES, Tables
from tests.protocol.units import Stepped


class World(Tables):
    """Makes the moves of a scope."""

    # --- moves ----------------------------------------------------------------------------------

    def moves(self, state: State) -> Iterator[Move]:
        """Yield everything that may happen next."""
        for which in (0, 1):
            yield from self.unit_moves(state, which)
        for slot, number in enumerate(state.desks):
            if number:
                yield from self.desk_moves(state, slot)
        yield from self._world_moves(state)

    def _move(self, label: str, state: State, extra: Sequence[Violation] = ()) -> Move:
        return Move(label, state, (*extra, *self.violations(state)))

    def unit_moves(self, state: State, which: int) -> Iterator[Move]:
        unit, name, now = self.units.all[state.units[which]], DEVICES[which], self.now(state)
        if unit.core is None:
            booted = self.units.boot(unit.number, now)
            after = self._stepped(state, which, booted)
            yield self._move(f"{name} restarts", after, self._broken(booted))
            if state.wiped[which]:
                yield self._wipe(state, which)
            return
        for number in state.net:
            event = self._for_device(number, which, now)
            if event is not None:
                stepped = self.units.step(unit.number, event, number, now)
                yield from self._device_moves(
                    f"{name} gets {self._say(number)}", state, which, stepped
                )
        if unit.fetching:
            stepped = self.units.step(unit.number, self._blob(unit.core), "blob", now)
            yield from self._device_moves(f"{name} gets a blob", state, which, stepped)
            if state.noes:
                blob = self._blob(unit.core)
                stepped = self.units.step(unit.number, blob, "blob", now, refuses=True)
                less = state._replace(noes=state.noes - 1)
                label = f"{name} gets a blob and refuses it"
                yield from self._device_moves(label, less, which, stepped)
        if unit.retries:
            stepped = self.units.retry(unit.number, now)
            yield from self._device_moves(f"{name} asks again", state, which, stepped)
        if state.crashes[which]:
            yield self._move(f"{name} crashes", self._down(state, which, unit.disk))

    def _device_moves(
        self, label: str, state: State, which: int, stepped: Stepped
    ) -> Iterator[Move]:
        after = self._stepped(state, which, stepped)
        broken = self._broken(stepped)
        if after != state or broken:
            yield self._move(label, after, broken)
        if not (state.crashes[which] and self.scope.cuts):
            return
        for disk, messages in stepped.cuts:
            cut = state._replace(net=state.net.union(map(self.number, messages)))
            yield self._move(f"{label}, stores, crashes", self._down(cut, which, disk))

    def _broken(self, stepped: Stepped) -> tuple[Violation, ...]:
        found = list(stepped.rash)
        for before, after in stepped.writes:
            key = (before, after)
            if key not in self._checked:
                self._checked[key] = tuple(invariants.check_change(before, after))
            found += self._checked[key]
        return tuple(found)

    def _down(self, state: State, which: int, disk: Durable) -> State:
        left = list(state.crashes)
        left[which] -= 1
        down = Stepped(unit=self.units.down(disk), renounced=True)
        return self._stepped(state, which, down)._replace(crashes=(left[0], left[1]))

    def _wipe(self, state: State, which: int) -> Move:
        left, new = list(state.wiped), list(state.new_disk)
        left[which], new[which] = left[which] - 1, True
        empty = Durable(fleet=samples.FLEET, device=DEVICES[which])
        booted = self.units.boot(self.units.down(empty), self.now(state))
        after = self._stepped(state, which, booted)
        after = after._replace(wiped=(left[0], left[1]), new_disk=(new[0], new[1]))
        return self._move(f"{DEVICES[which]} comes back with an empty disk", after)

    def _for_device(self, number: int, which: int, now: float) -> dev.Event | None:
        key = (number, which, now)
        if key not in self._events:
            self._events[key] = self._event(self.messages[number], which, now)
        return self._events[key]

    def _event(self, message: Message, which: int, now: float) -> dev.Event | None:
        match message:
            case Fence() if not self.scope.fences:
                return None
            case Prepare() | Decision() | Fence():
                return dev.Arrived(message=message)
            case CatchUp(digest=digest) if digest.endswith(DEVICES[which]):
                return dev.Arrived(message=message)
            case Welcome(boot=boot) if boot == DEVICES[which]:
                welcome = replace(
                    message, boot="b", sent_at_device_s=now, received_at=now, sent_at=now
                )
                return dev.Arrived(message=welcome)
            case _:
                return None

    def _blob(self, core: Participant) -> dev.Event:
        order = core._order
        assert order is not None
        assert order.missing is not None
        blob = Blob(txn=order.message.txn, digest=order.missing, data=b"config")
        return dev.Arrived(message=blob)

    def desk_moves(self, state: State, slot: int) -> Iterator[Move]:
        desk, now = self.desks.all[state.desks[slot]], self.now(state)
        name = f"c{slot + 1}"
        if desk.over:
            return
        if desk.inflight is not None:
            yield self.land(state, slot, desk)
            if state.lost:
                yield from self._lose(state, slot, desk)
            return
        step = self.desks.step(desk.number, desk.journal, lambda: (orc.Tick(),), "tick", now)
        after = self._answered(state, slot, step)
        if after != state:
            yield self._move(f"{name} ticks", after)
        for number in state.net:
            message = self.messages[number]
            key = (desk.number, number)
            if key not in self._worth:
                self._worth[key] = self._worth_hearing(desk, message)
            if self._worth[key]:
                yield from self._hear(state, slot, desk, number)

    def _hear(self, state: State, slot: int, desk: Desk, number: int) -> Iterator[Move]:
        """Hand a message to a coordinator; before a HELLO it reads the journal."""
        message = self.messages[number]
        journal = desk.journal
        news: tuple[Entry, ...] = ()
        if isinstance(message, Hello) and not self.scope.stale_answers:
            journal = state.journal
            news = self.logs[journal].entries[desk.core.state.head :]

        def events() -> Sequence[orc.Event]:
            heard = orc.Arrived(message=message)  # type: ignore[arg-type]
            return (orc.Journaled(entries=news), heard) if news else (heard,)

        step = self.desks.step(
            desk.number, journal, events, number, self.now(state), getattr(message, "device", "")
        )
        after = self._answered(state, slot, step)
        if after != state:
            yield self._move(f"c{slot + 1} hears {self._say(number)}", after)

    def _worth_hearing(self, desk: Desk, message: Message) -> bool:
        """Whether hearing this now may differ from hearing it later, or never."""
        phase, txn = desk.core.phase, desk.core.state.open
        match message:
            case Hello() | Ask():
                return True
            case Vote(txn=asked):
                return phase is Phase.PREPARING and txn is not None and txn.begun.txn == asked
            case Report(device=device):
                if phase is not Phase.DRIVING or txn is None:
                    return phase is Phase.SETTLING
                if desk.core.witness.followed(device, txn):
                    return False
                trial = desk.core.fork()
                trial.witness.learn(message, 0.0)
                return trial.witness.acknowledged(device, txn)
            case _:
                return False

    def land(self, state: State, slot: int, desk: Desk) -> Move:
        """Let the append under way reach the journal, and its answer the coordinator."""
        assert desk.inflight is not None
        append, now, journal = desk.inflight, self.now(state), state.journal
        told, extra = "conflicts", ()
        fits = append.expected_head == len(self.logs[journal].entries)
        if fits or not self.cores.compares:
            told = ", ".join(map(show_record, append.records))
            try:
                journal = self.append(journal, append.records, now)
            except InvariantViolation as error:
                return Move(f"c{slot + 1} appends {told}", state, (_refused(error),))
        after = self._told(state._replace(journal=journal), slot, desk, unknown=False)
        return self._move(f"c{slot + 1} appends: {told}", after, extra)

    def _lose(self, state: State, slot: int, desk: Desk) -> Iterator[Move]:
        """Lose the answer: the append is there or it is not, or it arrives after the reading."""
        landed = self.land(state, slot, desk).state
        if landed.journal != state.journal:
            told = self._told(landed, slot, desk, unknown=True)._replace(lost=state.lost - 1)
            yield self._move(f"c{slot + 1} appends, the answer is lost, reads it back", told)
        assert desk.inflight is not None
        adrift = (*state.adrift, (desk.number, slot, desk.inflight.expected_head))
        late = state._replace(lost=state.lost - 1, adrift=adrift)
        late = self._told(late, slot, desk, unknown=True)
        yield self._move(f"c{slot + 1} appends, nothing is there (yet)", late)

    def _told(self, state: State, slot: int, desk: Desk, *, unknown: bool) -> State:
        assert desk.inflight is not None
        entries = self.logs[state.journal].entries[desk.inflight.expected_head :]

        def events() -> Sequence[orc.Event]:
            return (orc.Journaled(entries=entries, unknown=unknown),)

        name = ("told", unknown)
        step = self.desks.step(desk.number, state.journal, events, name, self.now(state))
        return self._answered(state, slot, step)

    def _world_moves(self, state: State) -> Iterator[Move]:
        fold = self.logs[state.journal].fold
        if state.instant < self.scope.instants:
            yield self.advance(state)
        if state.forces and fold.lock.state is not LockState.FREE:
            yield self.force(state._replace(forces=state.forces - 1))
        if state.glass and fold.lock.state is not LockState.FREE:
            yield self.break_glass(state._replace(glass=state.glass - 1))
        if state.pushes and fold.lock.state is LockState.FREE:
            started = self._push(state._replace(pushes=state.pushes - 1))
            yield self._move(f"c{len(started.desks)} takes the lock and pushes", started)
        for lost in state.adrift:
            rest = tuple(one for one in state.adrift if one != lost)
            append = self.desks.all[lost[0]].inflight
            assert append is not None
            after = state._replace(adrift=rest)
            if append.expected_head == len(self.logs[state.journal].entries):
                journal = self.append(state.journal, append.records, self.now(state))
                after = after._replace(journal=journal)
            yield self._move(f"the lost append of c{lost[1] + 1} arrives", after)

    def force(self, state: State) -> Move:
        """Resolve whoever holds the lock."""
        fold = self.logs[state.journal].fold
        by = samples.owner(f"c{len(state.desks) + 1}")
        found = self.cores.resolve(fold, fold.lock.epoch, by, "forced")
        assert not isinstance(found, lease.NotTheLock)
        try:
            forced = self._driver(state, found, orc.Resolve(), by)
        except InvariantViolation as error:
            return Move(f"{by.user} forces the lock", state, (_refused(error),))
        return self._move(f"c{len(forced.desks)} forces the lock", forced)

    def break_glass(self, state: State) -> Move:
        """Free the lock at once; whoever is not known to have followed is quarantined."""
        fold = self.logs[state.journal].fold
        by = samples.owner("glass")
        found = self.cores.shatter(fold, fold.lock.epoch, by, "no time to wait")
        assert not isinstance(found, lease.NotTheLock | lease.Refused)
        try:
            journal = self.append(state.journal, found, self.now(state))
        except InvariantViolation as error:
            return Move("somebody breaks the glass", state, (_refused(error),))
        freed = self._tidy(state._replace(journal=journal))
        return self._move("somebody breaks the glass", freed)

    def advance(self, state: State) -> Move:
        """Let one instant pass: devices hold and activate on time, nobody else has to wake."""
        since, until = self.now(state), self.now(state) + INSTANT_S
        after, operated = state, []
        broken: list[Violation] = []
        for which in (0, 1):
            waited = self.units.wait(state.units[which], since, until)
            after = self._stepped(after, which, waited)
            operated.append(waited.operated)
            broken += self._broken(waited)
        after = after._replace(instant=state.instant + 1)
        broken += self._between(state, operated)
        return self._move("time passes", after, broken)

    def _between(
        self, state: State, operated: list[tuple[tuple[float, int | None], ...]]
    ) -> list[Violation]:
        """Ask I5 at every instant between, not only at the explored ones."""
        now = [self.units.all[number].operating for number in state.units]
        excused = self._exceptions(state)
        for at in sorted({at for one in operated for at, _ in one}):
            for which in (0, 1):
                now[which] = dict(operated[which]).get(at, now[which])
            shown = {v for w, v in enumerate(now) if v is not None and DEVICES[w] not in excused}
            if len(shown) > 1:
                return [Violation(id="I5", text=f"at {at} they operate {now}")]
        return []

    def _exceptions(self, state: State) -> frozenset[DeviceId]:
        views = self._views(state)
        return invariants.excepted(self.logs[state.journal].fold, views)


def _refused(error: InvariantViolation) -> Violation:
    """The fold has refused a record: what runs stops before the record is stored (R)."""
    name, _, text = str(error).partition(": ")
    return Violation(id=name, text=f"the journal refuses: {text}")
