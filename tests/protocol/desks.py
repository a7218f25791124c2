"""Coordinators as parts of an explored world; see :mod:`tests.protocol.canonical`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.coordinator import FINAL, Coordinator, Phase
from orchestrator.protocol.evidence import Evidence
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import (
    Message,
    Welcome,
)
from orchestrator.protocol.records import (
    Begun,
    Decided,
    Ended,
    Entry,
    LockTaken,
    Record,
    Rejoined,
    Settled,
)
from orchestrator.protocol.types import DeviceId, Epoch, Outcome
from tests.protocol.canonical import plain


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """A coordinator in one state. ``journal`` is the number of the prefix it has folded."""

    number: int
    core: Coordinator
    journal: int
    inflight: orc.Append | None

    @property
    def over(self) -> bool:
        return self.core.phase in FINAL


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """What a step of a coordinator came to."""

    desk: int
    messages: tuple[Message, ...] = ()


class Desks:
    """All states of coordinators that were seen, by number."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self.all: list[Desk] = []
        self._steps: dict[Hashable, Answered] = {}

    def add(self, core: Coordinator, journal: int, inflight: orc.Append | None) -> int:
        _forget(core)
        key = (_desk_key(core), journal, None if inflight is None else append_key(inflight))
        number = self._numbers.setdefault(key, len(self.all))
        if number == len(self.all):
            self.all.append(Desk(number=number, core=core, journal=journal, inflight=inflight))
        return number

    def start(self, core: Coordinator, journal: int, now: float) -> Answered:
        return self._run(core, journal, (orc.Connected(),), now)

    def step(
        self,
        number: int,
        journal: int,
        make: Callable[[], Sequence[orc.Event]],
        name: Hashable,
        now: float,
        greeter: str = "",
    ) -> Answered:
        """
        Step a coordinator with events, after which it has folded ``journal``.

        A WELCOME among its answers is for ``greeter``.
        """
        key = (number, journal, name, now)
        if key not in self._steps:
            core = self.all[number].core.fork()
            answered = self._run(core, journal, make(), now)
            named = tuple(
                replace(message, boot=greeter) if isinstance(message, Welcome) else message
                for message in answered.messages
            )
            self._steps[key] = replace(answered, messages=named)
        return self._steps[key]

    def _run(
        self, core: Coordinator, journal: int, events: Sequence[orc.Event], now: float
    ) -> Answered:
        messages: list[Message] = []
        inflight = None
        if not core.appending:
            core._resend_at = now  # a repetition may be due at any time
        for event in events:
            if inflight is not None or core.phase in FINAL:
                break  # what it has not heard stays on its way
            ready = core.step(event, now)
            inflight = ready.writes[0] if ready.writes else None
            sent = (plain(send.message) for send in ready.messages)
            messages += [message for message in sent if message is not None]
        return Answered(desk=self.add(core, journal, inflight), messages=tuple(messages))


def _forget(core: Coordinator) -> None:
    """Drop what cannot matter any more, or may be heard again when it does."""
    witness, phase = core.witness, core.phase
    core._published.clear()
    core._resend_at, core._resend_pause_s, core._started_at = 0.0, 0.2, 0.0
    witness._left_for, witness._left, witness.votes_counted = None, {}, 0
    witness._spoke = []
    witness._fenced_at = None if witness._fenced_at is None else 0.0
    txn, since = core.state.open, core._driving_since
    if phase is not Phase.DRIVING or txn is None:
        core._driving_since = None
    elif since is not None:
        core._driving_since = max(since, _settled_from(txn, txn.decided_at or since))
    for device, known in list(witness.devices.items()):
        witness.devices[device] = _kept(core, phase, device, known)


def _kept(core: Coordinator, phase: Phase, device: DeviceId, known: Evidence) -> Evidence:
    fresh, txn = Evidence(), core.state.open
    if core.appending or phase in FINAL:
        return fresh
    if phase is Phase.PREPARING:
        return replace(fresh, vote=known.vote)
    state = None if known.state is None else replace(known.state, max_epoch=Epoch())
    if phase is Phase.JOINING and known.state is not None:
        return replace(fresh, state=known.state, answered_fence=known.answered_fence)
    if phase is Phase.DRIVING and txn is not None and core.witness.acknowledged(device, txn):
        return replace(fresh, state=state)
    if phase is Phase.SETTLING:
        return replace(fresh, state=state)
    return fresh


def append_key(append: orc.Append) -> Hashable:
    """What an append under way will change."""
    return append.expected_head, tuple(map(record_key, append.records))


def record_key(record: Record) -> Hashable:
    """What a record changes; reasons and causes are for people."""
    match record:
        case LockTaken():
            return "taken", record.epoch, record.state, record.owner.user
        case Begun():
            return "begun", record.txn, record.seq, record.epoch, record.timeline
        case Decided():
            return "decided", record.txn, record.epoch, record.outcome
        case Ended():
            return "ended", record.txn, record.epoch, record.deferred, record.quarantined
        case Settled():
            return "settled", record.txn, record.device
        case Rejoined():
            return "rejoined", record.device, record.last_seq
        case _:
            return record.kind, getattr(record, "epoch", None)


def entry_key(entry: Entry, fold: FleetState) -> Hashable:
    """A record in its place; of the instant only what settling is counted from."""
    at, txn = 0.0, fold.open
    if isinstance(entry.record, Decided) and txn is not None:
        at = _settled_from(txn, entry.at)
    return at, record_key(entry.record)


def _settled_from(txn: Txn, decided_at: float) -> float:
    """A COMMIT settles after its activation, an ABORT at once: earlier instants are equal."""
    commit = txn.outcome is Outcome.COMMIT
    return max(decided_at, txn.begun.timeline.activate_at) if commit else decided_at


def _desk_key(core: Coordinator) -> Hashable:
    goal: Any = core.goal
    heard = tuple(
        sorted(
            (device, repr((known.state, known.answered_fence, known.vote)))
            for device, known in core.witness.devices.items()
            if known != Evidence()
        )
    )
    return (
        getattr(goal, "txn", type(goal).__name__),
        core.epoch,
        core.finished is None,
        core.abort_cause is None,
        core.contradiction is None,
        core._detached,
        core._final,
        core._announced,
        core._driving_since,
        heard,
    )
