"""
A story whose order hangs on all that asyncio keeps in sets; run as a program it prints it.

Another Python, another hash seed and other addresses must print the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drone_sim.shells.loop import Process, simulate, spawn

Note = Callable[[str], None]
MANY = 40


async def sleeper(note: Note, name: str, delay_s: float) -> str:
    """Sleep, and note how it ends."""
    try:
        await asyncio.sleep(delay_s)
    except asyncio.CancelledError:
        note(f"cancelled {name}")
        raise
    note(f"slept {name}")
    return name


async def refuse() -> None:
    """Fail at 1 s."""
    await asyncio.sleep(1)
    raise ValueError


async def group_that_fails(note: Note) -> None:
    """One task of a group fails: the group cancels the others, in the order of its set."""
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(MANY):
                group.create_task(sleeper(note, f"g{number}", 5.0))
            group.create_task(refuse())
    except* ValueError:
        note("the group has failed")


async def waiting(note: Note) -> None:
    """Wait for the first of many that come at one instant, then cancel the rest of the set."""
    tasks = {asyncio.ensure_future(sleeper(note, f"w{n}", 1 + n // 10)) for n in range(MANY)}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    note("first: " + " ".join(task.result() for task in done))
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)


async def bounded(note: Note) -> None:
    """Time-outs, queues and locks."""
    queue: asyncio.Queue[int] = asyncio.Queue(2)

    async def feed() -> None:
        for number in range(10):
            await queue.put(number)

    feeding = asyncio.ensure_future(feed())
    for _ in range(10):
        note(f"got {await queue.get()}")
    await feeding
    try:
        async with asyncio.timeout(0.5):
            await queue.get()
    except TimeoutError:
        note("nothing came")


def noting(happened: list[str], who: str) -> Note:
    """Return what notes things of one process."""
    return lambda text: happened.append(f"{who}: {text}")


def trail() -> list[str]:
    """Return what happened, in order."""
    happened: list[str] = []

    async def main() -> None:
        for work in (group_that_fails, waiting, bounded):
            spawn(Process(work.__name__), work(noting(happened, work.__name__)))
        await asyncio.sleep(10)

    simulate(main())
    return happened


if __name__ == "__main__":
    print("\n".join(trail()))  # noqa: T201 - a program of its own
