"""
A simulated operating-system process: what is killed, paused and resumed.

Which process a callback belongs to is told by a context variable, which everything that a task
starts inherits; :mod:`.loop` asks the process whether the callback may run.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Collection
from typing import Any, Final, NoReturn, Protocol


class Killed(BaseException):
    """
    The process ends in the middle of this callback.

    Not an Exception: nobody handles it. Raise it only after :meth:`Process.kill`, so that nothing
    that runs while the callback unwinds has an effect.
    """


class Runner(Protocol):
    """
    What a process asks of its loop.

    ``steps`` counts the callbacks of all processes; the owner of one of ``fatal_steps`` dies
    before it. :meth:`again` queues a callback that was held back.
    """

    steps: int
    fatal_steps: Collection[int]

    def again(self, handle: asyncio.Handle) -> None:
        """Queue a callback that was held back."""
        ...


class Process:
    """
    One simulated operating-system process: the tasks that were started in it.

    ``on_end`` are called once when it is killed or ends, to break its connections. ``pid`` and
    ``started`` are its identity in the simulated process table; see :mod:`.machines`.
    """

    def __init__(self, name: str, machine: str = "", *, pid: int = 0, started: int = 0) -> None:
        self.name = name
        self.machine = machine
        self.pid = pid
        self.started = started
        self.alive = True
        self.paused = False
        self.steps = 0
        self.die_at_step: int | None = None
        """Dies before this one of its own steps, counted from 1."""

        self.on_end: list[Callable[[], None]] = []
        self.main: asyncio.Task[Any] | None = None
        self._stopped: list[tuple[Runner, asyncio.Handle]] = []
        self._kept: list[object] = []

    def kill(self) -> None:
        """End it at once: nothing of it runs any more. Idempotent."""
        if not self.alive:
            return
        self.alive = False
        self._kept.append(self._stopped)  # no finalizer may run before the run is over
        self._stopped = []
        for ended in tuple(self.on_end):
            ended()

    def pause(self) -> None:
        """Stop it, as SIGSTOP does. Idempotent."""
        self.paused = True

    def resume(self) -> None:
        """Let it go on where it stopped. Idempotent."""
        self.paused = False
        stopped, self._stopped = self._stopped, []
        for loop, handle in stopped:
            loop.again(handle)

    def may_run(self, loop: Runner, handle: asyncio.Handle) -> bool:
        """Whether a callback runs now; one of a paused process is kept for later."""
        if not self.alive:
            self._kept.append(handle)
            return False
        if self.paused:
            self._stopped.append((loop, handle))
            return False
        self.steps += 1
        loop.steps += 1
        if self.steps == self.die_at_step or loop.steps in loop.fatal_steps:
            self.kill()
            self._kept.append(handle)
            return False
        return True


PROCESS: Final = contextvars.ContextVar[Process | None]("process", default=None)
"""The process that runs now; set by :func:`drone_sim.shells.loop.spawn` alone."""


async def never() -> NoReturn:
    """Wait for what does not come: how an asynchronous port ends a process that has died."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("what nobody holds was set")


def current_process() -> Process | None:
    """Return the process that runs now; ``None`` is the world itself."""
    return PROCESS.get()
