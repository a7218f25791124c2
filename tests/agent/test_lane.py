"""Lanes: one job after the other, and an end that is an end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from orchestrator.agent.lane import Lane, in_thread


async def test_jobs_are_done_in_order() -> None:
    """A later job never overtakes one that waits."""
    done: list[int] = []
    lane = Lane()
    finished = asyncio.Event()

    async def job(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)
        if number == 4:
            finished.set()

    for number in range(5):
        lane.put(lambda number=number: job(number))  # type: ignore[misc]
    task = asyncio.create_task(lane.run())
    async with asyncio.timeout(10):
        await finished.wait()
    task.cancel()
    await asyncio.wait({task})
    assert [0, 1, 2, 3, 4] == done


async def test_the_oldest_gives_way() -> None:
    """A bounded lane drops what has waited longest, and says so."""
    lane = Lane(2)
    done: list[str] = []

    async def job(name: str) -> None:
        done.append(name)

    kept = [lane.put(lambda name=name: job(name)) for name in "abc"]  # type: ignore[misc]
    assert [True, True, False] == kept
    assert 2 == lane.waiting
    task = asyncio.create_task(lane.run())
    async with asyncio.timeout(10):
        while lane.waiting or len(done) < 2:  # noqa: ASYNC110 - the lane signals nothing
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert ["b", "c"] == done


async def test_a_swallowed_cancellation_still_ends_the_lane() -> None:
    """A library that eats a cancellation does not make the agent immortal."""
    lane = Lane()
    begun = asyncio.Event()

    async def greedy() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return  # as asyncio.wait_for of Python 3.11 does where the result is there too

    lane.put(greedy)
    task = asyncio.create_task(lane.run())
    async with asyncio.timeout(10):
        await begun.wait()
        task.cancel()
        await asyncio.wait({task})
    assert task.cancelled()


async def test_a_cancelled_write_is_waited_for() -> None:
    """Nothing goes on behind the back of whoever opens the state directory next."""
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.append("written")

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ["written"] == done


async def test_the_exception_of_blocking_work_is_raised() -> None:
    """Nothing is swallowed on the way out of the thread."""

    def work() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        await in_thread(work)
