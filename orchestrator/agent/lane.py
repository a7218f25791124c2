"""A lane: jobs of one kind, one after the other, beside the message handling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol, TypeVar

T = TypeVar("T")

Job = Callable[[], Awaitable[None]]


class Offload(Protocol):
    """Runs blocking work off the event loop (in the simulator: inline)."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns; raise what it raises."""
        ...


async def in_thread(work: Callable[[], T]) -> T:
    """
    Run blocking work in a thread.

    Cancelled, it still waits for the work to end before it lets go: a write that goes on behind
    the back of the next agent would be a ghost.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def end_if_cancelled() -> None:
    """
    Raise the cancellation that a library may have swallowed.

    Up to Python 3.11 ``asyncio.wait_for`` returns its result where the result and a cancellation
    come in the same moment (CPython gh-86296); a loop around it would then go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Lane:
    """First in, first out. With ``jobs_max`` the oldest waiting job gives way to a new one."""

    def __init__(self, jobs_max: int = 0) -> None:
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(jobs_max)

    def put(self, job: Job) -> bool:
        """Queue a job; false where an older one had to go for it."""
        dropped = self._jobs.full()
        if dropped:
            self._jobs.get_nowait()
        self._jobs.put_nowait(job)
        return not dropped

    @property
    def waiting(self) -> int:
        """How many jobs wait behind the present one."""
        return self._jobs.qsize()

    async def run(self) -> NoReturn:
        """Do the jobs until cancelled; a job's exception ends it."""
        while True:
            job = await self._jobs.get()
            await job()
            end_if_cancelled()
