"""The life and death of simulated processes: killed, ended, paused, and dead at a given step."""

from __future__ import annotations

import asyncio

from drone_sim.result import Crash
from drone_sim.shells.loop import (
    Killed,
    Process,
    current_process,
    never,
    sim_loop,
    simulate,
    spawn,
    spawn_in,
)
from tests.shells.virtual import simulated

# --- death ------------------------------------------------------------------------------------


class Life:
    """A process that notes what it does."""

    def __init__(self, name: str = "push") -> None:
        self.process = Process(name)
        self.did: list[str] = []

    async def live(self) -> None:
        """Do something every second, and say goodbye at the end."""
        try:
            for number in range(1, 6):
                await asyncio.sleep(1)
                self.did.append(f"{number} at {asyncio.get_running_loop().time():g}")
        finally:
            self.did.append("goodbye")

    def begin(self) -> Life:
        """Start it."""
        spawn(self.process, self.live())
        return self


@simulated
async def test_a_process_knows_itself() -> None:
    """What a process starts belongs to it; the world belongs to nobody."""
    found: list[Process | None] = [current_process()]

    async def work() -> None:
        await asyncio.gather(asyncio.to_thread(look), asyncio.ensure_future(ask()))

    async def ask() -> None:
        look()

    def look() -> None:
        found.append(current_process())

    process = Process("push")
    await spawn(process, work())
    assert [None, process, process, None] == [*found, current_process()]


def test_kill_runs_no_finally_while_the_run_lasts() -> None:
    """A killed process does nothing more, as long as anybody could notice."""
    life = Life()

    async def main() -> list[str]:
        life.begin()
        await asyncio.sleep(2.5)
        life.process.kill()
        await asyncio.sleep(100)
        return list(life.did)

    assert ["1 at 1", "2 at 2"] == simulate(main())


def test_what_is_left_at_the_end_is_closed_without_life() -> None:
    """When the run is over a ``finally`` finds its process dead, of whoever is left."""
    found: list[bool] = []

    async def work(process: Process) -> None:
        try:
            await asyncio.sleep(100)
        finally:
            found.append(process.alive)
            await asyncio.sleep(100)

    async def main() -> None:
        dead, living = Process("dead"), Process("living")
        for process in (dead, living):
            spawn(process, work(process))
        await asyncio.sleep(1)
        dead.kill()
        assert [] == found

    simulate(main())
    assert [False, False] == found


@simulated
async def test_a_process_that_has_not_begun_can_be_killed() -> None:
    """Killed before its first step it does nothing at all."""
    life = Life().begin()
    life.process.kill()
    await asyncio.sleep(10)
    assert [] == life.did


@simulated
async def test_a_process_can_end_itself_in_plain_code() -> None:
    """Killed ends the callback; nothing of the process runs after it, not even a waiting task."""
    process, did = Process("push"), list[str]()

    def save() -> None:
        process.kill()
        raise Killed

    async def work() -> None:
        other = asyncio.ensure_future(beside())
        try:
            await asyncio.to_thread(save)
        finally:
            other.cancel()
            await asyncio.wait({other})
            did.append("cleaned up")

    async def beside() -> None:
        await asyncio.sleep(1)
        did.append("went on")

    spawn(process, work())
    await asyncio.sleep(10)
    assert ([], []) == (did, sim_loop().unhandled)


@simulated
async def test_the_end_is_told_once() -> None:
    """Connections are broken once: when the main task returns, or at the first kill."""
    ended: list[str] = []

    async def short() -> None:
        await asyncio.sleep(1)

    by_itself, killed = Process("by itself"), Process("killed")
    for process in (by_itself, killed):
        process.on_end.append(lambda name=process.name: ended.append(name))  # type: ignore[misc]
        spawn(process, short())
    killed.kill()
    killed.kill()
    await asyncio.sleep(2)
    assert ["killed", "by itself"] == ended
    assert [False, False] == [by_itself.alive, killed.alive]


@simulated
async def test_what_a_process_left_running_ends_with_it() -> None:
    """Tasks that a main task did not wait for end with its process."""
    did: list[str] = []

    async def beside() -> None:
        await asyncio.sleep(1)
        did.append("went on")

    async def work() -> None:
        keep.append(asyncio.ensure_future(beside()))

    keep: list[object] = []
    await spawn(Process("push"), work())
    await asyncio.sleep(10)
    assert [] == did


@simulated
async def test_more_work_can_be_started_in_a_process() -> None:
    """It belongs to the process, dies with it, and does not end it."""
    life, found = Life().begin(), list[Process | None]()

    async def look(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        found.append(current_process())

    await spawn_in(life.process, look(1))
    late = spawn_in(life.process, look(10))
    await asyncio.sleep(1)
    alive_between = life.process.alive
    life.process.kill()
    await asyncio.sleep(100)
    assert (True, [life.process], False) == (alive_between, found, late.done())


@simulated
async def test_never_is_for_ever() -> None:
    """A port of a dead process lets it wait: nothing is raised into it."""
    waiting = asyncio.ensure_future(never())
    await asyncio.sleep(1e6)
    assert not waiting.done()


# --- pause ------------------------------------------------------------------------------------


@simulated
async def test_a_paused_process_goes_on_where_it_stopped() -> None:
    """Nothing of it runs while it is paused; what came due meanwhile comes in order, late."""
    life = Life().begin()
    await asyncio.sleep(1.5)
    life.process.pause()
    await asyncio.sleep(5)
    before = list(life.did)
    life.process.resume()
    await asyncio.sleep(10)
    assert ["1 at 1"] == before
    rest = ["2 at 6.5", "3 at 7.5", "4 at 8.5", "5 at 9.5", "goodbye"]
    assert rest == life.did[1:]


@simulated
async def test_what_came_while_paused_keeps_its_order() -> None:
    """Timers and messages of a pause are taken at its end, first in, first out."""
    process, came = Process("d-01"), list[int]()

    async def work() -> None:
        loop = asyncio.get_running_loop()
        for number in (3, 1, 2):
            loop.call_later(number, came.append, number)
        await asyncio.sleep(100)

    spawn(process, work())
    await asyncio.sleep(0.5)
    process.pause()
    await asyncio.sleep(50)
    process.resume()
    await asyncio.sleep(0)
    assert [1, 2, 3] == came


@simulated
async def test_a_paused_process_can_be_killed() -> None:
    """What was held back of it never comes."""
    life = Life().begin()
    await asyncio.sleep(1.5)
    life.process.pause()
    await asyncio.sleep(1)
    life.process.kill()
    life.process.resume()
    await asyncio.sleep(10)
    assert ["1 at 1"] == life.did


# --- steps ------------------------------------------------------------------------------------


async def two_lives() -> tuple[list[str], int]:
    """Return what two processes did, and how many steps they took together."""
    lives = [Life("a").begin(), Life("b").begin()]
    await asyncio.sleep(20)
    return [f"{life.process.name}: {did}" for life in lives for did in life.did], sim_loop().steps


def test_a_crash_at_each_step_leaves_a_beginning() -> None:
    """Who dies before the n-th step of all has done a beginning; the other has done all."""
    whole, steps = simulate(two_lives())
    mine, other = ([line for line in whole if line.startswith(name)] for name in ("a: ", "b: "))
    found = set()
    for at in range(1, steps + 1):
        did, _ = simulate(two_lives(), crashes=[Crash(at=at, await_=True)])
        first, second = (
            [line for line in did if line.startswith(name)] for name in ("a: ", "b: ")
        )
        assert (first, second) in [
            *((mine[:cut], other) for cut in range(len(mine) + 1)),
            *((mine, other[:cut]) for cut in range(len(other) + 1)),
        ]
        found.add((len(first), len(second)))
    assert {(cut, 6) for cut in range(5)} | {(6, cut) for cut in range(5)} == found


def test_crashes_at_seams_are_not_the_loops() -> None:
    """A crash that is numbered by seams kills nobody here."""
    whole = simulate(two_lives())
    assert whole == simulate(two_lives(), crashes=[Crash(at=1)])


@simulated
async def test_a_process_can_die_at_a_step_of_its_own() -> None:
    """``die_at_step`` counts the steps of one process alone."""
    first, second = Life("a"), Life("b")
    first.process.die_at_step = 3
    first.begin()
    second.begin()
    await asyncio.sleep(20)
    assert (False, 6) == (first.process.alive, len(second.did))
    assert len(first.did) < 5
