"""The event loop in virtual time, and the life and death of processes on it."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from drone_sim.shells.loop import (
    CREEP_S,
    GRAIN_S,
    TURNS_MAX,
    Deadlock,
    Process,
    sim_loop,
    simulate,
    spawn,
)
from tests.shells import orders
from tests.shells.virtual import simulated
from tests.source import ROOT

# --- time -------------------------------------------------------------------------------------


@simulated
async def test_time_jumps_to_the_next_timer() -> None:
    """A timer finds the instant that it was set for, never early, whatever came before it."""
    loop, found = asyncio.get_running_loop(), []
    set_for = [0.1, 0.2, 3.3, 86_400.7, 100_000.0]
    for at_s in (3.3, 0.1, 86_400.7, 0.2):
        loop.call_at(at_s, lambda: found.append(loop.time()))
    await asyncio.sleep(100_000)
    found.append(loop.time())
    assert all(
        at_s <= time_s <= at_s + GRAIN_S for at_s, time_s in zip(set_for, found, strict=True)
    )
    assert (100_000.0, 5) == (found[-1], sim_loop().jumps)


@simulated
async def test_sums_of_times_are_exact() -> None:
    """Every time is a whole number of grains: what is added up by sleeping is never off."""
    loop = asyncio.get_running_loop()
    for _ in range(1000):
        await asyncio.sleep(0.1)
        assert 0.0 == math.fmod(loop.time(), GRAIN_S)
    assert pytest.approx(100.0, abs=1000 * GRAIN_S) == loop.time()


@pytest.mark.parametrize("drift", [-1e-4, 1e-4, 0.0])
@pytest.mark.parametrize("offset_s", [0.0, 0.1, 1_700_000_000.3])
def test_who_waits_for_its_own_clock_gets_there(drift: float, offset_s: float) -> None:
    """A loop around a clock that reads a hair less than it waits for ends, without a fuss."""

    @simulated
    async def story() -> None:
        asked = 0
        for number in range(1, 200):
            until = offset_s + 0.37 * number
            while (left_s := until - reading()) > 0:
                asked += 1
                async with asyncio.timeout(left_s + 1):
                    await asyncio.sleep(left_s)
        assert asked < 8 * 200

    def reading() -> float:
        return offset_s + asyncio.get_running_loop().time() * (1 + drift)

    story()


@simulated
async def test_nobody_runs_for_ever_in_no_time() -> None:
    """A program that only asks what time it is sees time pass in the end."""
    loop, turns = asyncio.get_running_loop(), 0
    while loop.time() < 10 * CREEP_S:
        turns += 1
        await asyncio.sleep(0)
    assert TURNS_MAX < turns < TURNS_MAX + 20


@simulated
async def test_timers_of_one_instant_come_in_the_order_of_their_making() -> None:
    """A heap keeps no order among equals; this loop does."""
    loop, came = asyncio.get_running_loop(), list[int]()
    for number in range(100):
        loop.call_at(1.0, came.append, number)
    await asyncio.sleep(2)
    assert list(range(100)) == came


def test_a_deadlock_is_found() -> None:
    """Where everybody waits for what nobody will do, the run ends and says when."""

    async def stuck() -> None:
        await asyncio.sleep(2.5)
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"at 2\.500 s"):
        simulate(stuck())


def test_the_result_and_the_error_of_a_run_are_those_of_its_main() -> None:
    """A run returns what its main returns and raises what it raises."""

    async def seven() -> int:
        return 7

    async def broken() -> None:
        raise ValueError("broken")

    assert 7 == simulate(seven())
    with pytest.raises(ValueError, match="broken"):
        simulate(broken())


async def test_a_run_stands_inside_another_loop() -> None:
    """Simulated time passes inside a coroutine of a real loop, which goes on after it."""
    outer = asyncio.get_running_loop()

    async def inner() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert 3600 == simulate(inner())
    assert outer is asyncio.get_running_loop()
    await asyncio.sleep(0)


# --- order ------------------------------------------------------------------------------------


def test_the_order_does_not_hang_on_addresses() -> None:
    """The same story has the same order when every object of it lies elsewhere."""
    first = orders.trail()
    ballast = [bytearray(number) for number in range(1, 5000, 7)]
    assert first == orders.trail()
    assert len(ballast) > 0


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_order_does_not_hang_on_the_hash_seed(seed: str) -> None:
    """Another process with another PYTHONHASHSEED prints the same story."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.shells.orders"],
        env={"PYTHONHASHSEED": seed, "PATH": ""},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert orders.trail() == done.stdout.splitlines()


def test_the_order_is_that_of_numbers() -> None:
    """A group cancels its tasks, and wait returns them, by their number, not by chance."""
    told = orders.trail()
    waited = [line for line in told if "first:" in line]
    assert ["waiting: first: " + " ".join(f"w{n}" for n in range(10))] == waited
    cancelled = [line for line in told if "group_that_fails: cancelled" in line]
    assert orders.MANY == len(set(cancelled))


# --- threads ----------------------------------------------------------------------------------


@simulated
async def test_to_thread_runs_inline() -> None:
    """Blocking work is done here and now, in this thread; its error is raised to who waits."""
    here = threading.get_ident()
    assert here == await asyncio.to_thread(threading.get_ident)
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 // 0)


@simulated
async def test_threads_are_refused() -> None:
    """Nobody calls in from outside: that would have no place in the order."""
    loop = asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match="a thread called back"):
        loop.call_soon_threadsafe(print, "hello")


# --- what nobody saw --------------------------------------------------------------------------


async def fails() -> None:
    """Fail at 1 s."""
    await asyncio.sleep(1)
    raise ValueError("unseen")


async def leaves(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Start something, forget it, and live on."""
    asyncio.ensure_future(work())  # noqa: RUF006 - that is the point
    await asyncio.sleep(100)


@simulated
async def test_an_error_that_nobody_saw_is_found() -> None:
    """The error of a task that nobody waits for is kept, with whose it is."""
    spawn(Process("push"), leaves(fails))
    await asyncio.sleep(2)
    told = ["push: SimTask exception was never retrieved: ValueError('unseen')"]
    assert told == sim_loop().unhandled


@simulated
async def test_the_errors_of_the_dead_are_nobodys() -> None:
    """A process that dies with an error in it has done nothing wrong."""
    process = Process("push")

    async def dies() -> None:
        process.kill()
        raise ValueError("death throes")

    spawn(process, leaves(dies))
    await asyncio.sleep(2)
    assert [] == sim_loop().unhandled


@simulated
async def test_an_error_in_a_bare_callback_is_found() -> None:
    """A callback that raises is noted, and everything goes on."""
    asyncio.get_running_loop().call_later(1, lambda: 1 // 0)
    await asyncio.sleep(2)
    (told,) = sim_loop().unhandled
    assert told.startswith("the world: Exception in callback")
    assert told.endswith("ZeroDivisionError('integer division or modulo by zero')")


def test_a_failure_ends_the_run_whatever_the_program_catches() -> None:
    """Who finds the program wrong ends the run at once, and nobody inside can stop it."""
    did: list[str] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(1)
                sim_loop().fail(ValueError("first"))
                sim_loop().fail(ValueError("second"))
            except Exception:  # noqa: BLE001 - it tries
                did.append("caught")
            did.append("to the end of this callback")

    async def main() -> None:
        spawn(Process("push"), stubborn())
        asyncio.get_running_loop().call_at(1.0, did.append, "others at that instant")
        await asyncio.sleep(100)
        did.append("the world")

    with pytest.raises(ValueError, match="first"):
        simulate(main())
    assert "to the end of this callback" == did[-1]
    assert "the world" not in did


# --- generators -------------------------------------------------------------------------------


@simulated
async def test_a_generator_that_is_dropped_is_closed() -> None:
    """An asynchronous generator that is left half-way is closed by the loop, in order."""
    did: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
        finally:
            await asyncio.sleep(1)
            did.append(f"closed at {asyncio.get_running_loop().time():g}")

    async for _ in numbers():
        break
    await asyncio.sleep(5)
    assert ["closed at 1"] == did


async def test_simulated_things_need_a_simulation() -> None:
    """On a real loop there is no simulated one to be had."""
    with pytest.raises(RuntimeError, match="in a simulation only"):
        sim_loop()
