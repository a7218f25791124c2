"""
One script, two executors: the driver of the product, and that of the simulator.

Both run a core on a host that notes what it is asked for, when, in which order. Writes take as
long as the script says; whatever is started ends as the script says.
"""

from __future__ import annotations

import asyncio
import heapq
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from drone_sim.cores.executor import Executor
from drone_sim.shells.loop import simulate
from orchestrator.driver import Driver
from orchestrator.ports import Audience
from orchestrator.protocol.ready import Notice, Ready, Send

_READING = re.compile(r"\d+\.\d+")
"""A reading: the loop's time jumps in grains, a queue's does not."""

Told = tuple[float, Callable[[Any], Any]]
"""When an event is told, and what it is, given the core."""


def _rounded(number: re.Match[str]) -> str:
    return repr(round(float(number[0]), 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """
    What happens to a core, in s after the start.

    ``core`` makes it, ``began`` is the clock's reading at the start. ``answers`` says for each
    write how long it takes and what comes of it; ``ends`` what an effect ends in, at once.
    """

    core: Callable[[], Any]
    tick: Callable[[], Any]
    began: float
    told: Sequence[Told]
    answers: Callable[[Sequence[Any]], tuple[float, Any]]
    ends: Callable[[Any], Any] = lambda _effect: None
    until: float = 10.0


@dataclass(slots=True)
class Notes:
    """The transcript."""

    lines: list[str] = field(default_factory=list)

    def add(self, now: float, what: str) -> None:
        self.lines.append(f"{now:9.3f} {_READING.sub(_rounded, what)}")

    def written(self, now: float, writes: Sequence[Any]) -> None:
        self.add(now, "writes " + " ".join(map(repr, writes)))

    def sent(self, now: float, send: Send) -> None:
        self.add(now, f"sends to {send.to}: {send.message!r}")

    def started(self, now: float, effect: Any) -> None:
        self.add(now, f"starts {effect!r}")

    def stepped(self, now: float, event: Any, ready: Ready[Any, Any]) -> None:
        self.add(now, f"stepped {type(event).__name__}, wakes at {ready.wake_at}")


class Silence(Audience):
    """Nobody listens."""

    def tell(self, notice: Notice) -> None:
        pass


def _tell(tell: Callable[[Any], None], make: Callable[[Any], Any], core: Any) -> None:
    tell(make(core))


# --- the product's ------------------------------------------------------------------------------


class _AwaitingHost:
    def __init__(self, script: Script, notes: Notes) -> None:
        self.script = script
        self.notes = notes
        self.tell: Callable[[Any], None] = lambda _event: None

    def now(self) -> float:
        return self.script.began + asyncio.get_running_loop().time()

    async def write(self, writes: Sequence[Any]) -> Any:
        self.notes.written(self.now(), writes)
        took_s, answer = self.script.answers(writes)
        await asyncio.sleep(took_s)
        return answer

    async def send(self, send: Send) -> None:
        self.notes.sent(self.now(), send)

    def start(self, effect: Any) -> None:
        self.notes.started(self.now(), effect)
        end = self.script.ends(effect)
        if end is not None:
            self.tell(end)


def driven(script: Script) -> list[str]:
    """What the product's driver makes of a script."""
    notes = Notes()

    async def play() -> None:
        core, host = script.core(), _AwaitingHost(script, notes)
        driver: Driver[Any, Any, Any] = Driver(
            core,
            host,
            tick=script.tick,
            audience=Silence(),
            on_step=lambda event, ready: notes.stepped(host.now(), event, ready),
        )
        host.tell = driver.tell
        loop = asyncio.get_running_loop()
        for at_s, event in script.told:
            loop.call_at(at_s, partial(_tell, driver.tell, event, core))
        running = asyncio.ensure_future(driver.run(until=lambda: False))
        await asyncio.sleep(script.until)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    simulate(play())
    return notes.lines


# --- the simulator's ----------------------------------------------------------------------------


class _Queue:
    """The least that an executor needs around it: true time, and what comes when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, instant: float, act: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._due, (instant, self._number, act))

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.now, _, act = heapq.heappop(self._due)
            act()


class _Host:
    def __init__(self, script: Script, notes: Notes, queue: _Queue) -> None:
        self.script = script
        self.notes = notes
        self.queue = queue
        self.executor: Executor[Any, Any, Any] | None = None

    def now(self) -> float:
        return self.script.began + self.queue.now

    def write(self, writes: Sequence[Any]) -> Any:
        self.notes.written(self.now(), writes)
        took_s, answer = self.script.answers(writes)
        if not took_s:
            return answer
        self.queue.at(self.queue.now + took_s, lambda: self._of_executor().written(answer))
        return None

    def send(self, send: Send) -> None:
        self.notes.sent(self.now(), send)

    def start(self, effect: Any) -> None:
        self.notes.started(self.now(), effect)
        end = self.script.ends(effect)
        if end is not None:
            self.queue.at(self.queue.now, lambda: self._of_executor().tell(end))

    def stepped(self, event: Any, ready: Ready[Any, Any]) -> None:
        if not self._of_executor().writing:  # the driver tells nobody of a tick meanwhile
            self.notes.stepped(self.now(), event, ready)
        wake_at = self._of_executor().wake_at
        if wake_at is not None:
            self.queue.at(max(wake_at - self.script.began, self.queue.now), self._wake)

    def _wake(self) -> None:
        self._of_executor().wake()

    def _of_executor(self) -> Executor[Any, Any, Any]:
        assert self.executor is not None
        return self.executor


def executed(script: Script) -> list[str]:
    """What the simulator's executor makes of a script."""
    notes, queue = Notes(), _Queue()
    core, host = script.core(), _Host(script, notes, queue)
    executor: Executor[Any, Any, Any] = Executor(
        core, host, tick=script.tick, on_step=host.stepped
    )
    host.executor = executor
    for at_s, event in script.told:
        queue.at(at_s, partial(_tell, executor.tell, event, core))
    queue.run(script.until)
    return notes.lines
