"""Devices as parts of an explored world; see :mod:`tests.protocol.canonical`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from drone_sim.cores import samples
from drone_sim.cores.certainty import rash
from orchestrator.protocol import device as dev
from orchestrator.protocol.clock import GRANULARITY_S, ClockBound
from orchestrator.protocol.device import Durable
from orchestrator.protocol.invariants import Violation
from orchestrator.protocol.messages import (
    Blob,
    Message,
)
from orchestrator.protocol.operation import Retry
from orchestrator.protocol.participant import Participant
from tests.protocol.canonical import PLANS, plain


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unit:
    """A device in one state; ``core`` is ``None`` while it is down. Never changed: forked."""

    number: int
    disk: Durable
    core: Participant | None

    @property
    def operating(self) -> int | None:
        return None if self.core is None else self.core.operating

    @property
    def fetching(self) -> bool:
        """Whether it waits for a blob, which may come at any time."""
        order = None if self.core is None else self.core._order
        return order is not None and order.missing is not None

    @property
    def retries(self) -> bool:
        core = self.core
        return core is not None and (core._hello is not None or core._ask is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stepped:
    """What a step of a device came to: its messages, and where a power cut may hit it."""

    unit: int
    messages: tuple[Message, ...] = ()
    renounced: bool = False
    """Whether answers to its earlier HELLOs are void now."""
    cuts: tuple[tuple[Durable, tuple[Message, ...]], ...] = ()
    writes: tuple[tuple[Durable, Durable], ...] = ()
    operated: tuple[tuple[float, int | None], ...] = ()
    rash: tuple[Violation, ...] = ()
    """I25: where it became sure of its version without having been told."""


class Units:
    """All states of devices that were seen, by number."""

    def __init__(self, participant: type[Participant]) -> None:
        self._make = participant
        self._numbers: dict[Hashable, int] = {}
        self.all: list[Unit] = []
        self._steps: dict[Hashable, Stepped] = {}

    def add(self, disk: Durable, core: Participant | None, now: float) -> int:
        """Return the number of a device in this state."""
        key: Hashable = (_disk_key(disk), None)
        if core is not None:
            _settle_device(core, now)
            key = (_disk_key(disk), _volatile_key(core))
        number = self._numbers.setdefault(key, len(self.all))
        if number == len(self.all):
            self.all.append(Unit(number=number, disk=disk, core=core))
        return number

    def down(self, disk: Durable) -> int:
        return self.add(disk, None, 0.0)

    def boot(self, number: int, now: float) -> Stepped:
        """Start a device that is down, and connect it."""
        disk = self.all[number].disk
        core = self._make(disk, boot="b", decode_plan=samples.decode)
        return self._run(disk, core, dev.Connected(), now)

    def step(
        self, number: int, event: dev.Event, name: Hashable, now: float, *, refuses: bool = False
    ) -> Stepped:
        """Step a device that is up; ``name`` stands for the event, ``refuses`` for its checks."""
        key = (number, name, now, refuses)
        if key not in self._steps:
            unit = self.all[number]
            assert unit.core is not None
            core = unit.core.fork()
            self._steps[key] = self._run(unit.disk, core, event, now, refuses=refuses)
        return self._steps[key]

    def retry(self, number: int, now: float) -> Stepped:
        """Let the repetitions that a device has in mind fall due now."""
        key = (number, "retry", now)
        if key not in self._steps:
            unit = self.all[number]
            assert unit.core is not None
            core = unit.core.fork()
            core._hello = core._hello and Retry(at=now)
            core._ask = core._ask and Retry(at=now)
            self._steps[key] = self._run(unit.disk, core, dev.Tick(), now)
        return self._steps[key]

    def wait(self, number: int, since: float, until: float) -> Stepped:
        """Let time pass: what the protocol names falls due in order, repetitions do not."""
        key = (number, "wait", since)
        if key not in self._steps:
            self._steps[key] = self._wait(self.all[number], since, until)
        return self._steps[key]

    def _wait(self, unit: Unit, since: float, until: float) -> Stepped:
        if unit.core is None:
            return Stepped(unit=unit.number)
        core, disk = unit.core.fork(), unit.disk
        done = Stepped(unit=unit.number)
        at = since
        while True:
            core._hello = core._hello and Retry(at=until + 1, since=since)
            core._ask = core._ask and Retry(at=until + 1, since=since)
            core._want = None
            at = core._wake_at(at) or until + 1
            at = min(at, until)
            result = self._run(disk, core, dev.Tick(), at)
            done = replace(
                result,
                messages=(*done.messages, *result.messages),
                renounced=done.renounced or result.renounced,
                cuts=(),
                writes=(*done.writes, *result.writes),
                rash=(*done.rash, *result.rash),
                operated=(*done.operated, (at, self.all[result.unit].operating)),
            )
            again = self.all[result.unit].core
            assert again is not None
            core, disk = again.fork(), self.all[result.unit].disk
            if at >= until:
                return done

    def _run(
        self,
        disk: Durable,
        core: Participant,
        event: dev.Event,
        now: float,
        *,
        refuses: bool = False,
    ) -> Stepped:
        """Perform a step with everything it starts: checks and activations end at once."""
        events: list[dev.Event] = [event]
        messages: list[Message] = []
        cuts: list[tuple[Durable, tuple[Message, ...]]] = []
        writes: list[tuple[Durable, Durable]] = []
        before, unsure, first = core._nonce, core.operation.unconfirmed, disk
        while events:
            ready = core.step(events.pop(0), now)
            while ready.writes:
                saves = [write for write in ready.writes if isinstance(write, dev.Save)]
                writes.append((disk, saves[-1].durable))
                disk = saves[-1].durable
                cuts.append((disk, tuple(messages)))
                ready = core.step(dev.Written(), now)
            sent = (plain(send.message) for send in ready.messages)
            messages += [message for message in sent if message is not None]
            ends = (_finish(effect, refuses=refuses) for effect in ready.effects)
            events += [end for end in ends if end is not None]
        return Stepped(
            unit=self.add(disk, core, now),
            messages=tuple(messages),
            renounced=core._nonce is None or core._nonce != before,
            cuts=tuple(cuts),
            writes=tuple(writes),
            rash=tuple(rash(core, unsure, event, first, now)),
        )


def _finish(effect: dev.Effect, *, refuses: bool) -> dev.Event | None:
    match effect:
        case dev.Check(txn=txn, digest=digest):
            return dev.Checked(txn=txn, digest=digest, reasons=("no",) if refuses else ())
        case dev.Activate(version=version):
            return dev.Activated(version=version)
        case dev.Hold():
            return dev.Held()
        case dev.Watch(txn=txn, digest=digest) if digest.startswith("sha256:plan-"):
            made = samples.push(int(txn[1:]), 0, ())  # only the plan's name is needed
            return dev.Arrived(message=Blob(txn=txn, digest=digest, data=PLANS[made.txn]))
        case _:
            return None


def _settle_device(core: Participant, now: float) -> None:
    """Bring the volatile half into canonical form; nothing that the future needs is changed."""
    operation = core.operation
    if operation.clock is not None:  # true time and every device's clock agree here
        operation.clock = ClockBound(low=-GRANULARITY_S, high=GRANULARITY_S, at=now)
    operation.activated_at = None
    operation._hold_since, operation._hold_s = None, 0.0
    core._number = 1
    core._nonce = None if core._nonce is None else 1
    core._want, core._staging_s = None, 0.0
    core._hello = core._hello and Retry(at=0.0)
    core._ask = core._ask and Retry(at=0.0)
    core._hello = _far(core._hello)
    core._ask = _far(core._ask)


def _far(retry: Retry | None) -> Retry | None:
    """A repetition never falls due by itself here: somebody lets it (see ``retry``)."""
    return None if retry is None else Retry(at=1e9, since=0.0)


def _disk_key(disk: Durable) -> Hashable:
    return (
        disk.device,
        disk.known,
        disk.max_epoch,
        disk.last_seq,
        disk.version,
        disk.digest,
        disk.prepared,
        disk.heuristic,
        disk.pending,
        disk.finished,
    )


def _volatile_key(core: Participant) -> Hashable:
    operation, order = core.operation, core._order
    at_hand = None
    if order is not None:
        at_hand = (order.message, order.digest, order.data, order.checking, order.reasons)
    return (
        at_hand,
        core._nonce,
        core._left_behind_at,
        core._measure,
        core._hello is None,
        core._ask is None,
        core._told,
        operation.clock is None,
        operation.unconfirmed,
        operation.lease_until,
        operation.running,
        operation._running_bytes,
        operation.operating,
        operation.error,
        operation.disobeyed,
        operation.aim,
        operation.overruled,
        core._until_stopped,
        operation._activating,
        operation._again,
    )
