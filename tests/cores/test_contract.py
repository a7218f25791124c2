"""The simulator's executor does what the product's driver does: same script, same transcript."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from drone_sim.cores import samples
from drone_sim.cores.executor import Executor
from drone_sim.shells.loop import simulate
from orchestrator.driver import LOOK_AGAIN_S, Driver
from orchestrator.protocol import device as dev
from orchestrator.protocol import orchestration as orc
from orchestrator.protocol.messages import Fence
from orchestrator.protocol.participant import Participant
from orchestrator.protocol.ready import Ready, Send
from orchestrator.protocol.types import Outcome
from tests.cores.hosts import Script, Silence, Told, driven, executed
from tests.protocol import one_desk, one_device

DISK_S = 0.004
SLOW_S = 0.3


def message(at_s: float, make: Callable[[Participant], Any]) -> Told:
    """A message that arrives at a device."""
    return at_s, lambda core: dev.Arrived(message=make(core))


def ended(effect: Any) -> Any:
    """Let a check end well, and an activation."""
    if isinstance(effect, dev.Check):
        return dev.Checked(txn=effect.txn, digest=effect.digest, reasons=())
    if isinstance(effect, dev.Activate):
        return dev.Activated(version=effect.version)
    if isinstance(effect, dev.Hold):
        return dev.Held()
    return None


def disk(took_s: float, *failing: int) -> Callable[[Sequence[Any]], tuple[float, Any]]:
    """A disk that takes so long, and refuses the writes of these numbers."""
    number = 0

    def write(_writes: Sequence[Any]) -> tuple[float, Any]:
        nonlocal number
        number += 1
        failed = dev.WriteFailed(reason="full")
        return took_s, failed if number in failing else dev.Written(took_s=took_s)

    return write


def device(told: Sequence[Told], write: Callable[[Sequence[Any]], tuple[float, Any]]) -> Script:
    """A script for a device that operates version 4."""
    return Script(
        core=lambda: one_device.steady(one_device.BASE),
        tick=dev.Tick,
        began=one_device.NOW,
        told=told,
        answers=write,
        ends=ended,
    )


PUSH: Sequence[Told] = (
    (0.0, lambda _core: dev.Connected()),
    message(0.001, lambda core: one_device.welcome(core, one_device.BASE)),
    message(0.002, lambda _core: one_device.prepare()),
    message(0.003, lambda _core: one_device.blob(5, "plan")),
    message(0.004, lambda _core: one_device.blob(5, "t5-d1")),
    message(0.006, lambda _core: one_device.prepare()),
)

SCRIPTS: dict[str, Callable[[], Script]] = {
    "committed": lambda: device(
        (*PUSH, message(0.5, lambda _core: one_device.decision(5, Outcome.COMMIT))), disk(DISK_S)
    ),
    "aborted": lambda: device(
        (*PUSH, message(0.5, lambda _core: one_device.decision(5, Outcome.ABORT))), disk(DISK_S)
    ),
    "in doubt, and slow": lambda: device(
        (*PUSH, message(1.1, lambda _core: one_device.decision(5, Outcome.COMMIT))), disk(SLOW_S)
    ),
    "the disk is full": lambda: device(PUSH, disk(DISK_S, 1)),
    "the decision can't be stored at first": lambda: device(
        (
            *PUSH,
            message(0.5, lambda _core: one_device.decision(5, Outcome.COMMIT)),
            message(0.9, lambda _core: one_device.decision(5, Outcome.COMMIT)),
        ),
        disk(DISK_S, 2),
    ),
    "fenced in the middle of a write": lambda: device(
        (
            *PUSH,
            message(0.2, lambda _core: Fence(epoch=samples.epoch(7))),
            message(0.25, lambda _core: one_device.decision(5, Outcome.ABORT)),
        ),
        disk(SLOW_S),
    ),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_device_is_run_as_the_driver_runs_it(name: str) -> None:
    """What is written, sent and started, and when, is the same line by line."""
    told = driven(SCRIPTS[name]())
    assert len(told) > len(PUSH)
    assert told == executed(SCRIPTS[name]())


# --- the orchestrator ---------------------------------------------------------------------------


def journal(took_s: float, *, away_from: int = 99) -> Callable[[Sequence[Any]], tuple[float, Any]]:
    """A journal that takes so long, and is away from the append of this number on."""
    desk, number = one_desk.Desk(), 0

    def write(writes: Sequence[Any]) -> tuple[float, Any]:
        nonlocal number
        number += 1
        away = number >= away_from
        return took_s, orc.StoreLost() if away else desk.answer(writes[0])

    return write


def hear(at_s: float, said: Any) -> Told:
    """A message that arrives at the orchestrator."""
    return at_s, lambda _core: orc.Arrived(message=said)


def desk_script(
    told: Sequence[Told], write: Callable[[Sequence[Any]], tuple[float, Any]]
) -> Script:
    """A script for a coordinator that pushes version 1 to two devices."""
    return Script(
        core=lambda: one_desk.Desk().core,
        tick=orc.Tick,
        began=one_desk.NOW,
        told=told,
        answers=write,
    )


GREETED: Sequence[Told] = (
    (0.0, lambda _core: orc.Connected()),
    hear(0.01, one_desk.hello(one_desk.D1)),
    hear(0.02, one_desk.hello(one_desk.D2)),
)
VOTED: Sequence[Told] = (
    *GREETED,
    hear(0.03, one_desk.vote(one_desk.D1)),
    hear(0.5, one_desk.vote(one_desk.D1)),
    hear(0.5, one_desk.vote(one_desk.D2)),
    hear(0.501, one_desk.report(one_desk.D1)),
    (0.502, lambda _core: orc.Connected()),
)
DESKS: dict[str, Callable[[], Script]] = {
    "nobody votes": lambda: desk_script(GREETED, journal(0.05)),
    "committed": lambda: desk_script(
        (*VOTED, hear(2.0, one_desk.active(one_desk.D1)), hear(2.1, one_desk.active(one_desk.D2))),
        journal(0.05),
    ),
    "at once": lambda: desk_script(
        (*VOTED, hear(2.0, one_desk.active(one_desk.D1)), hear(2.1, one_desk.active(one_desk.D2))),
        journal(0.0),
    ),
    "the store goes away": lambda: desk_script(VOTED, journal(0.2, away_from=2)),
    "stopped in the middle of an append": lambda: desk_script(
        (*VOTED, (0.51, lambda _core: orc.LeaseLost())), journal(0.3)
    ),
    "asked to abort": lambda: desk_script(
        (*GREETED, (0.1, lambda _core: orc.AbortAsked(cause="asked"))), journal(0.05)
    ),
}


@pytest.mark.parametrize("name", DESKS)
def test_a_coordinator_is_run_as_the_driver_runs_it(name: str) -> None:
    """What is appended, sent and started, and when, is the same line by line."""
    told = driven(DESKS[name]())
    assert len(told) > len(GREETED)
    assert told == executed(DESKS[name]())


def test_a_transcript_shows_a_broken_executor() -> None:
    """A host whose writes never end has another transcript: the comparison can fail."""
    script = SCRIPTS["committed"]()
    never = replace(script, answers=partial(_never, script.answers))
    assert driven(script) != executed(never)


def _never(write: Callable[[Sequence[Any]], tuple[float, Any]], writes: Sequence[Any]) -> Any:
    return 100.0, write(writes)[1]


# --- a clock that is set back -------------------------------------------------------------------


class _Waiting:
    """A core that asks to be woken once, and counts its ticks."""

    def __init__(self, wake_at: float) -> None:
        self.wake_at = wake_at
        self.ticks = 0

    def step(self, event: str, _now: float) -> Ready[str, str]:
        self.ticks += event == "tick"
        return Ready(wake_at=self.wake_at)


class _Watch:
    """A host whose clock reads what it is told to."""

    def __init__(self, reads: float) -> None:
        self.reads = reads

    def now(self) -> float:
        return self.reads

    def write(self, _writes: Sequence[str]) -> str | None:
        return None

    def send(self, _send: Send) -> None:
        """Take what nobody sends here."""

    def start(self, _effect: str) -> None:
        """Take what nobody starts here."""


class _AwaitedWatch(_Watch):
    async def write(self, _writes: Sequence[str]) -> str:  # type: ignore[override]
        return ""

    async def send(self, _send: Send) -> None:  # type: ignore[override]
        """Take what nobody sends here."""


@pytest.mark.parametrize(("reads", "ticks"), [(99.0, 1), (100.0, 0), (129.0, 0), (130.0, 1)])
def test_a_clock_that_is_set_back_wakes_a_core(reads: float, ticks: int) -> None:
    """
    What it has put off by the old reading may be further away than any pause: it looks anew.

    The driver and the executor alike; nobody is woken early by a clock that goes on.
    """
    core, watch = _Waiting(130.0), _Watch(100.0)
    executor: Executor[str, str, str] = Executor(
        core, watch, tick=lambda: "tick", on_step=lambda _event, _ready: None
    )
    executor.tell("start")
    watch.reads = reads
    executor.wake()
    assert (ticks, ticks) == (core.ticks, _driven_ticks(reads))


def _driven_ticks(reads: float) -> int:
    """Count the ticks of a driver within the time in which it looks at the clock once more."""
    core, watch = _Waiting(130.0), _AwaitedWatch(100.0)

    async def play() -> None:
        driver: Driver[str, str, str] = Driver(
            core, watch, tick=lambda: "tick", audience=Silence()
        )
        driver.tell("start")
        running = asyncio.ensure_future(driver.run(until=lambda: core.ticks > 0))
        await asyncio.sleep(LOOK_AGAIN_S / 2)
        watch.reads = reads
        await asyncio.sleep(LOOK_AGAIN_S)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    simulate(play())
    return core.ticks
