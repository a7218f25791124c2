"""One coordinator with a journal of its own, and what devices say to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from drone_sim.cores import samples
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import Coordinator
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.messages import (
    DeviceState,
    Hello,
    Message,
    Report,
    Vote,
)
from orchestrator.protocol.records import Entry, LockState, LockTaken, Record
from orchestrator.protocol.types import DeviceId

NOW: Final = 1000.0
D1, D2 = samples.device_id(1), samples.device_id(2)
TIMING: Final = samples.timing(window_s=1.0, settle_s=2.0, join_s=0.5)
OWNER: Final = samples.owner("o")


class Desk:
    """A coordinator and its journal: appends are answered at once, unless ``hold`` is set."""

    def __init__(
        self, goal: orc.Goal | None = None, *, timing: orc.Timing = TIMING, taken: bool = True
    ) -> None:
        self.entries: list[Entry] = []
        self.hold = False
        self.pending: orc.Append | None = None
        if taken:
            lock = LockTaken(
                epoch=samples.epoch(1), state=LockState.HELD, owner=OWNER, purpose="push"
            )
            self.store(lock)
        goal = goal or samples.push(1, 0, (D1, D2))
        held = {} if isinstance(goal, orc.Settle) else {"epoch": samples.epoch(1), "owner": OWNER}
        core = Coordinator(self.state, goal=goal, timing=timing, **held)  # type: ignore[arg-type]
        self.core = core

    @property
    def state(self) -> FleetState:
        return fold(FleetState(fleet=samples.FLEET), self.entries)

    def store(self, *records: Record) -> tuple[Entry, ...]:
        head = len(self.entries)
        new = [Entry(index=head + n, at=NOW, record=one) for n, one in enumerate(records, 1)]
        self.entries += new
        return tuple(new)

    def tell(self, event: orc.Event, now: float = NOW) -> list[Message]:
        ready = self.core.step(event, now)
        while ready.writes and not self.hold:
            ready = self.core.step(self.answer(ready.writes[0]), now)
        self.pending = ready.writes[0] if ready.writes else None
        return [send.message for send in ready.messages]

    def answer(self, append: orc.Append) -> orc.Journaled:
        if append.expected_head == len(self.entries):
            return orc.Journaled(entries=self.store(*append.records))
        return orc.Journaled(entries=tuple(self.entries[append.expected_head :]))

    def hear(self, message: Message, now: float = NOW) -> list[Message]:
        return self.tell(orc.Arrived(message=message), now)  # type: ignore[arg-type]

    def tell_of(self, *records: Record) -> list[Message]:
        """Let somebody else append these, and the coordinator read of it."""
        return self.tell(orc.Journaled(entries=self.store(*records)))

    def kinds(self) -> list[str]:
        return [entry.record.kind for entry in self.entries]


def state(**change: object) -> DeviceState:
    """What a device that has nothing yet says of itself, but for ``change``."""
    usual = DeviceState(
        version=0,
        digest=None,
        last_seq=0,
        max_epoch=samples.epoch(1),
        prepared=None,
        pending=False,
        outcome_txn=None,
        outcome=None,
        operating=None,
        holds=(),
        clock_error_s=0.001,
        staging_s=0.01,
        activated_at=None,
        hold_s=0.0,
    )
    return replace(usual, **change)  # type: ignore[arg-type]


def hello(device: DeviceId, nonce: int = 1, **change: object) -> Hello:
    """A HELLO of ``device``."""
    return Hello(device=device, boot="b", nonce=nonce, sent_at_device_s=0.0, state=state(**change))


def report(device: DeviceId, number: int = 2, **change: object) -> Report:
    """A report of ``device``."""
    return Report(device=device, boot="b", number=number, state=state(**change))


def vote(device: DeviceId, *reasons: str) -> Vote:
    """The vote of ``device``: a yes, or a no for these reasons."""
    return Vote(
        device=device,
        txn=samples.txn_id(1),
        seq=1,
        epoch=samples.epoch(1),
        plan=samples.digest("plan-t1"),
        yes=not reasons,
        reasons=reasons,
    )


def resolver(state: FleetState, goal: orc.Resolve | None = None) -> Coordinator:
    """Whoever drives what is open under the lock of ``state``."""
    epoch = state.lock.epoch
    return Coordinator(state, goal=goal or orc.Resolve(), timing=TIMING, epoch=epoch, owner=OWNER)


def settler(state: FleetState, goal: orc.Settle | None = None) -> Coordinator:
    """Whoever answers without a lock."""
    return Coordinator(state, goal=goal or orc.Settle(until=NOW + 60.0), timing=TIMING)


def take_over(desk: Desk, purpose: str = "resolve") -> list[Message]:
    """Take the lock from the coordinator of a desk, and go on; return what is said first."""
    epoch = desk.state.lock.epoch.next()
    desk.store(LockTaken(epoch=epoch, state=LockState.RESOLVING, owner=OWNER, purpose=purpose))
    desk.core = resolver(desk.state)
    return desk.tell(orc.Connected())


def joining(**change: object) -> Desk:
    """A desk that waits for its members to greet."""
    desk = Desk(**change)  # type: ignore[arg-type]
    desk.tell(orc.Connected())
    return desk


def begun(**change: object) -> Desk:
    """A desk whose members have greeted: the transaction is open."""
    desk = joining(**change)
    for device in (D1, D2):
        desk.hear(hello(device))
    return desk


def committed() -> Desk:
    """A desk whose transaction is committed, and told."""
    desk = begun()
    for device in (D1, D2):
        desk.hear(vote(device))
    return desk


def active(device: DeviceId, number: int = 3) -> Report:
    """The report of a device that operates version 1."""
    return report(
        device,
        number,
        version=1,
        last_seq=1,
        operating=1,
        digest=samples.digest(f"t1-{device}"),
    )
