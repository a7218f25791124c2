"""One device on its own, and what the orchestrator says to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from drone_sim.cores import samples
from orchestrator.protocol import device as dev
from orchestrator.protocol.clock import ClockBound
from orchestrator.protocol.device import Durable, Finished, Pending, Prepared
from orchestrator.protocol.messages import (
    Ask,
    Blob,
    CatchUp,
    Decision,
    Fence,
    Hello,
    Heuristic,
    Message,
    OrchestratorMessage,
    Prepare,
    Presence,
    Report,
    Vote,
    Want,
    Welcome,
)
from orchestrator.protocol.participant import Participant, Phase
from orchestrator.protocol.types import Epoch, Outcome, Timeline

D1 = samples.device_id(1)
DOWNWARD: Final = (Prepare, CatchUp, Decision, Fence, Welcome, Heuristic, Blob)
UPWARD: Final = (Hello, Vote, Report, Ask, Want, Presence)
NOW = 100.0
TIMELINE = Timeline(vote_by=101.0, hold_at=101.2, activate_at=101.4, clock_error_s=0.1)
BASE = Durable(
    fleet=samples.FLEET,
    device=D1,
    known=True,
    max_epoch=samples.epoch(3),
    last_seq=4,
    version=4,
    digest=samples.digest("t4-d1"),
    config=samples.CONFIG,
    finished=(Finished(txn=samples.txn_id(4), seq=4, outcome=Outcome.COMMIT),),
)
PROMISE = Prepared(
    txn=samples.txn_id(5),
    seq=5,
    epoch=samples.epoch(3),
    plan=samples.digest("plan-t5"),
    digest=samples.digest("t5-d1"),
    config=samples.CONFIG,
    timeline=TIMELINE,
)
PENDING = Pending(
    hold_at=TIMELINE.hold_at,
    activate_at=TIMELINE.activate_at,
    clock_error_s=TIMELINE.clock_error_s,
    previous_version=4,
    previous_digest=BASE.digest,
)


def steady(disk: Durable, *, error_s: float = 0.001, confirmed: bool = True) -> Participant:
    """A device that runs from ``disk``, its clock equal to the orchestrator's within an error."""
    core = Participant(disk, boot="b", decode_plan=samples.decode)
    perform(core, dev.Connected(), NOW - 1)
    core.operation.clock = ClockBound(low=-error_s, high=error_s, at=NOW - 1)
    if confirmed:
        core.operation.unconfirmed = None
    perform(core, dev.Tick(), NOW - 0.5)
    return core


def perform(core: Participant, event: dev.Event, now: float) -> list[Message]:
    """Step a device and end at once whatever it starts; return what it says."""
    events, said = [event], []
    while events:
        ready = core.step(events.pop(0), now)
        while ready.writes:
            ready = core.step(dev.Written(), now)
        said += [send.message for send in ready.messages]
        for effect in ready.effects:
            if isinstance(effect, dev.Activate):
                events.append(dev.Activated(version=effect.version))
            elif isinstance(effect, dev.Check):
                done = dev.Checked(txn=effect.txn, digest=effect.digest, reasons=())
                events.append(done)
            elif isinstance(effect, dev.Hold):
                events.append(dev.Held())
    return said


def get(core: Participant, message: OrchestratorMessage, now: float = NOW) -> list[Message]:
    """Hand it a message; return what it says."""
    return perform(core, dev.Arrived(message=message), now)


def prepare(
    number: int = 5, base: int = 4, epoch: int = 3, timeline: Timeline = TIMELINE
) -> Prepare:
    """A PREPARE of the transaction of this number."""
    goal = samples.push(number, base, (D1,))
    return Prepare(
        txn=goal.txn,
        seq=number,
        epoch=samples.epoch(epoch),
        base_version=base,
        config=samples.CONFIG,
        plan=goal.digest,
        digests=goal.plan.distinct_digests,
        timeline=timeline,
    )


def decision(number: int, outcome: Outcome, incarnation: int = 1) -> Decision:
    """A DECISION of the transaction of this number."""
    return Decision(
        txn=samples.txn_id(number),
        seq=number,
        epoch=Epoch(incarnation, 3),
        plan=samples.digest(f"plan-t{number}"),
        outcome=outcome,
    )


def catch_up(version: int, epoch: int = 3, last_seq: int | None = None) -> CatchUp:
    """A CATCH-UP to this version."""
    return CatchUp(
        txn=samples.txn_id(version),
        epoch=samples.epoch(epoch),
        version=version,
        digest=samples.digest(f"t{version}-d1"),
        config=samples.CONFIG,
        last_seq=last_seq or version,
        activate_at=90.0,
    )


def welcome(core: Participant, disk: Durable, *, enable: bool = True) -> Welcome:
    """The answer to the last HELLO of ``core``, from a fleet that is where ``disk`` is."""
    assert core._nonce is not None
    return Welcome(
        boot="b",
        nonce=core._nonce,
        sent_at_device_s=NOW,
        received_at=NOW,
        sent_at=NOW,
        epoch=disk.max_epoch,
        version=disk.version,
        digest=disk.digest,
        last_seq=disk.last_seq,
        enable=enable,
        clock_error_s=0.1,
    )


def blob(number: int, name: str) -> Blob:
    """A blob of the transaction: its plan, or a configuration by name."""
    data = b"config"
    if name == "plan":
        data = samples.encode(samples.push(number, 4, (D1,)).plan)
        name = f"plan-t{number}"
    return Blob(txn=samples.txn_id(number), digest=samples.digest(name), data=data)


def staging() -> Participant:
    """A device that has just got a PREPARE."""
    core = steady(BASE)
    get(core, prepare())
    return core


PHASES: Final[Mapping[Phase, Callable[[], Participant]]] = {
    Phase.IDLE: lambda: steady(BASE),
    Phase.STAGING: staging,
    Phase.PREPARED: lambda: steady(replace(BASE, prepared=PROMISE)),
    Phase.COMMITTED: lambda: steady(replace(BASE, version=5, last_seq=5, pending=PENDING)),
}


def vote_of(core: Participant, number: int = 5) -> Vote | None:
    """Let a device that has a PREPARE have both blobs, and return its vote."""
    said = get(core, blob(number, "plan")) + get(core, blob(number, f"t{number}-d1"))
    return next((one for one in said if isinstance(one, Vote)), None)
