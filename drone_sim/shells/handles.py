"""
What a simulated loop is made of: callbacks that know whose they are, tasks that have a number.

asyncio keeps tasks and futures in sets, ordered by the address of each; hashed by their number
they have an order of their own.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, Protocol

from drone_sim.shells.process import PROCESS, Process


class Warden(Protocol):
    """What a callback asks of its loop; see :class:`drone_sim.shells.loop.SimLoop`."""

    def lets(self, handle: asyncio.Handle, owner: Process | None) -> bool:
        """Whether a callback runs now."""
        ...


class SimHandle(asyncio.Handle):
    """A callback of ``owner``, or of the world."""

    __slots__ = ("owner", "sim")

    owner: Process | None
    sim: Warden

    def _run(self) -> None:
        if self.sim.lets(self, self.owner):
            super()._run()
        del self  # else a traceback keeps it, and so an error that nobody saw stays unseen


class SimTimer(asyncio.TimerHandle):
    """The same, at a time; those of one time come in the order of their making."""

    __slots__ = ("at_s", "number", "owner", "sim")

    at_s: float
    number: int
    owner: Process | None
    sim: Warden

    def __lt__(self, other: SimTimer) -> bool:  # type: ignore[override] # a heap of these
        """Compare in a heap, which holds nothing else."""
        if self.at_s != other.at_s:
            return self.at_s < other.at_s
        return self.number < other.number

    def _run(self) -> None:
        if self.sim.lets(self, self.owner):
            super()._run()
        del self  # else a traceback keeps it, and so an error that nobody saw stays unseen


def owner_in(context: contextvars.Context | None) -> Process | None:
    """Return whose a callback is that runs in ``context``; ``None`` is the present one."""
    return PROCESS.get() if context is None else context.get(PROCESS)


class Numbered:
    """Hashes by number, not by address: sets of tasks have an order of their own then."""

    number: int
    process: Process | None

    def __hash__(self) -> int:
        """Return the number."""
        return self.number

    def __eq__(self, other: object) -> bool:
        """Whether it is the very same."""
        return self is other


class SimFuture(Numbered, asyncio.Future[Any]):
    """A future with a number, and whose it is."""

    def __init__(self, number: int, *, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.process = PROCESS.get()
        super().__init__(loop=loop)


class SimTask(Numbered, asyncio.Task[Any]):
    """A task with a number, and whose it is."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **more: Any) -> None:
        self.number = number
        self.process = owner_in(more.get("context"))
        super().__init__(coro, **more)
