"""
A fleet that is moved by hand, step for step, and a checker that is told of each step.

Nothing here is decided by a core: a test says what happens, legal or not. ``append`` keeps a
journal that folds; ``write`` takes records that no fold would accept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from drone_sim.checker import Checker, Violated
from drone_sim.cores import samples
from drone_sim.scenario.model import Act, Link, Pace, Scenario, SimulatedDevice, Verb
from orchestrator.protocol.device import Durable, Finished, Pending, Prepared
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import apply
from orchestrator.protocol.messages import DeviceState, Hello, Message, Report, Vote
from orchestrator.protocol.records import (
    Begun,
    Decided,
    Ended,
    Entry,
    LockReleased,
    LockState,
    LockTaken,
    Record,
    begun_record,
)
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, Owner, Timeline

D1, D2 = samples.device_id(1), samples.device_id(2)
COMMIT, ABORT = Outcome.COMMIT, Outcome.ABORT
ERROR_S: Final = 0.05
AT_ONCE: Final = Link(delay_s=0.0, jitter_s=0.0)


def owner(pid: int, *, machine: str = "m", boot: str = "b") -> Owner:
    """A process of its own."""
    found = samples.owner(f"p{pid}")
    return replace(found, pid=pid, start_ticks=pid, machine_id=machine, boot_id=boot)


PUSHER: Final = owner(1)
SERVER: Final = owner(2)
OTHER: Final = owner(3)


def scenario(**changes: Any) -> Scenario:
    """Two devices, links that take no time, ε = 50 ms."""
    made = Scenario(
        name="by hand",
        seed=1,
        devices=tuple(SimulatedDevice(id=name, link=AT_ONCE) for name in (D1, D2)),
        control=AT_ONCE,
        pace=Pace(clock_error_s=ERROR_S),
    )
    return replace(made, **changes)


class Hand:
    """The world, and the checker that is told of it."""

    def __init__(self, **changes: Any) -> None:
        self.checker = Checker(scenario(**changes))
        self.journal: list[Entry] = []
        self.fleet = FleetState(fleet=samples.FLEET)
        self.folds = [self.fleet]
        self.disks = {name: Durable(fleet=samples.FLEET, device=name) for name in (D1, D2)}
        self.checker.now_s = 1.0
        self.said = 0

    # --- time -----------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.checker.now_s

    def wait(self, seconds: float) -> None:
        """Let time pass, and look."""
        self.checker.now_s += seconds
        self.checker.look()

    # --- the journal ----------------------------------------------------------------------------

    def append(self, *records: Record) -> None:
        """Append what the fold accepts, in one append."""
        entries = []
        for record in records:
            entry = Entry(index=len(self.journal) + 1, at=self.now, record=record)
            self.fleet = apply(self.fleet, entry)
            self.folds.append(self.fleet)
            self.journal.append(entry)
            entries.append(entry)
        self.checker.appended(entries, self.fleet)

    def write(self, *records: Record, **shown: Any) -> None:
        """Append whatever it is; the fold shows only what is said."""
        start = len(self.journal)
        entries = [
            Entry(index=start + number, at=self.now, record=record)
            for number, record in enumerate(records, 1)
        ]
        self.journal += entries
        self.fleet = replace(self.fleet, head=len(self.journal), **shown)
        self.folds.append(self.fleet)
        self.checker.appended(entries, self.fleet)

    def restore(self, lost: int) -> None:
        """Restore the store from a backup that lacks the last records."""
        del self.journal[-lost:]
        self.fleet = self.folds[len(self.journal)]
        del self.folds[len(self.journal) + 1 :]
        self.checker.rolled_back(self.journal, self.fleet)

    def take(self, by: Owner = PUSHER, state: LockState = LockState.HELD, **more: Any) -> None:
        epoch = more.pop("epoch", self.fleet.lock.epoch.next())
        self.append(taken(epoch, by, state, **more))

    def begin(self, number: int, *, members: Sequence[DeviceId] = (D1, D2)) -> Begun:
        """Begin a transaction whose votes are due in half a second."""
        record = begun(number, self.fleet, members=members, at=self.now)
        self.append(record)
        return record

    def decide(self, number: int, outcome: Outcome = COMMIT) -> None:
        txn, epoch = samples.txn_id(number), self.fleet.lock.epoch
        self.append(Decided(txn=txn, epoch=epoch, outcome=outcome, cause="test"))

    def end(self, number: int, *deferred: DeviceId) -> None:
        epoch = self.fleet.lock.epoch
        self.append(Ended(txn=samples.txn_id(number), epoch=epoch, deferred=deferred))

    def free(self, by: Owner = PUSHER) -> None:
        self.append(LockReleased(epoch=self.fleet.lock.epoch.next(), by=by))

    # --- devices --------------------------------------------------------------------------------

    def store(self, device: DeviceId, **changes: Any) -> None:
        """Make a durable write."""
        before = self.disks[device]
        after = self.disks[device] = replace(before, **changes)
        self.checker.device_stored(device, before, after)

    def welcome(self, device: DeviceId) -> None:
        """Store that a HELLO has been answered."""
        self.store(device, known=True, max_epoch=self.fleet.lock.epoch)

    def prepare(self, device: DeviceId, record: Begun) -> None:
        """Store a yes."""
        self.store(device, prepared=prepared(device, record), max_epoch=record.epoch)

    def finish(self, device: DeviceId, outcome: Outcome) -> None:
        """Store the decision of what the device is prepared for."""
        was = self.disks[device]
        assert was.prepared is not None
        done = Finished(txn=was.prepared.txn, seq=was.prepared.seq, outcome=outcome)
        changes: dict[str, Any] = {
            "prepared": None,
            "last_seq": max(was.last_seq, done.seq),
            "finished": (*was.finished, done),
        }
        if outcome is COMMIT:
            changes |= {
                "version": done.seq,
                "digest": was.prepared.digest,
                "config": was.prepared.config,
                "pending": pending(was, was.prepared.timeline),
            }
        self.store(device, **changes)

    def aim(self, device: DeviceId, version: int | None, *holds: str, **more: Any) -> None:
        """Let a controller aim, or hold."""
        shown = {"up": True, "leased": False} | more
        self.checker.device_is(device, operating=version, holds=holds, **shown)

    def say(self, sender: str, message: Message, to: DeviceId | None = None) -> None:
        self.checker.sent(sender, message, to)

    def hello(self, device: DeviceId, **changes: Any) -> Hello:
        """Make the HELLO of a device's record, or of another one."""
        self.said += 1
        state = replace(told(self.disks[device]), **changes)
        return Hello(device=device, boot="b", nonce=self.said, sent_at_device_s=0.0, state=state)

    def report(self, device: DeviceId, **changes: Any) -> Report:
        self.said += 1
        state = replace(told(self.disks[device]), **changes)
        return Report(device=device, boot="b", number=self.said, state=state)

    def vote(self, device: DeviceId, record: Begun, *, yes: bool = True) -> Vote:
        reasons = () if yes else ("no",)
        return Vote(
            device=device,
            txn=record.txn,
            seq=record.seq,
            epoch=record.epoch,
            plan=record.plan,
            yes=yes,
            reasons=reasons,
        )

    # --- stories --------------------------------------------------------------------------------

    def push(self, number: int) -> Begun:
        """Push a version to everybody, to its end, as it should be."""
        self.take()
        record = self.begin(number)
        for name in self.disks:
            self.prepare(name, record)
        self.decide(number)
        for name in self.disks:
            self.finish(name, COMMIT)
        self.wait(record.timeline.hold_at - self.now)
        for name in self.disks:
            self.aim(name, None)
        self.wait(record.timeline.activate_at - self.now)
        for name in self.disks:
            self.activate(name)
        self.end(number)
        self.free()
        self.checker.look()
        return record

    def activate(self, device: DeviceId) -> None:
        self.store(device, pending=None)
        self.aim(device, self.disks[device].version)

    def steady(self) -> Hand:
        """Everybody operates version 1, and somebody serves."""
        self.checker.process_started("push", PUSHER, Verb.PUSH)
        self.checker.process_started("serve", SERVER, Verb.SERVE)
        for name in self.disks:
            self.welcome(name)
        self.push(1)
        return self

    def strike(self, verb: Verb, *target: str, who: str = "", for_s: float = 0.0) -> None:
        """Let a fault be there for a while."""
        act = Act(at_s=self.now, verb=verb, who=who, target=target)
        self.checker.fault_began(act)
        self.wait(for_s)
        self.checker.fault_ended(act)


# --- parts --------------------------------------------------------------------------------------


def taken(epoch: Epoch, by: Owner, state: LockState = LockState.HELD, **more: Any) -> LockTaken:
    """A lock that is taken."""
    assert state is not LockState.FREE
    shown = {"purpose": "push"} | more
    return LockTaken(epoch=epoch, state=state, owner=by, **shown)


def begun(
    number: int, fleet: FleetState, *, members: Sequence[DeviceId] = (D1, D2), at: float = 0.0
) -> Begun:
    """A transaction that begins now."""
    excused = [name for name in (D1, D2) if name not in members]
    goal = samples.push(number, fleet.version, members, excused)
    hold_at = at + 0.6
    return begun_record(
        goal.plan,
        txn=goal.txn,
        seq=number,
        epoch=fleet.lock.epoch,
        digest=goal.digest,
        timeline=Timeline(
            vote_by=at + 0.5,
            hold_at=hold_at,
            activate_at=hold_at + 2 * ERROR_S,
            clock_error_s=ERROR_S,
        ),
        spare=goal.spare,
    )


def prepared(device: DeviceId, record: Begun) -> Prepared:
    """The yes to a transaction."""
    return Prepared(
        txn=record.txn,
        seq=record.seq,
        epoch=record.epoch,
        plan=record.plan,
        digest=record.digests[device],
        config=record.config,
        timeline=record.timeline,
    )


def pending(was: Durable, timeline: Timeline) -> Pending:
    """An activation that is still to come."""
    return Pending(
        hold_at=timeline.hold_at,
        activate_at=timeline.activate_at,
        clock_error_s=timeline.clock_error_s,
        previous_version=was.version,
        previous_digest=was.digest,
    )


def told(disk: Durable) -> DeviceState:
    """What a device says of its record."""
    prepared, last = disk.prepared, disk.finished[-1] if disk.finished else None
    return DeviceState(
        version=disk.version,
        digest=disk.digest,
        last_seq=disk.last_seq,
        max_epoch=disk.max_epoch,
        prepared=prepared.txn if prepared else None,
        pending=disk.pending is not None,
        outcome_txn=last.txn if last else None,
        outcome=last.outcome if last else None,
        operating=None,
        holds=(),
        clock_error_s=0.001,
        staging_s=0.0,
        activated_at=None,
        hold_s=None,
        prepared_seq=prepared.seq if prepared else None,
        prepared_plan=prepared.plan if prepared else None,
        prepared_digest=prepared.digest if prepared else None,
        outcome_seq=last.seq if last else None,
        heuristic=disk.heuristic,
    )


def found(look: Callable[[], None]) -> set[str]:
    """The ids of the invariants that a look finds broken; empty: none."""
    try:
        look()
    except Violated as violated:
        return {one.id for one in violated.violations}
    return set()


def ids(hand: Hand) -> set[str]:
    """What is broken in the world now."""
    return found(hand.checker.look)


refused = pytest.raises(Violated)
