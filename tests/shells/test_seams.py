"""Points at which a simulated process dies, in plain code."""

from __future__ import annotations

import asyncio

import pytest

from drone_sim.result import Crash
from drone_sim.shells.loop import Killed, Process, sim_loop, spawn
from drone_sim.shells.seams import Seams, SimFaults
from orchestrator.agent.lane import in_thread
from tests.shells.virtual import simulated


def test_seams_are_numbered_over_all_processes() -> None:
    """One counter for the whole run, in the order in which they come."""
    told: list[tuple[int, str, str]] = []
    seams = Seams(on_seam=lambda number, who, name: told.append((number, who.name, name)))
    push, device = (SimFaults(Process(name), seams) for name in ("push", "d-01"))
    push.hit("append:begun:before")
    device.hit("save:prepared:before")
    push.hit("append:begun:after")
    assert [
        (1, "push", "append:begun:before"),
        (2, "d-01", "save:prepared:before"),
        (3, "push", "append:begun:after"),
    ] == told
    assert 3 == seams.count


def test_the_owner_of_a_fatal_seam_dies_there() -> None:
    """Dead first, then raised; the others go on and are counted on."""
    seams = Seams([Crash(at=2), Crash(at=9, await_=True)])
    first, second = Process("push"), Process("d-01")
    SimFaults(first, seams).hit("a")
    with pytest.raises(Killed, match="d-01 at b"):
        SimFaults(second, seams).hit("b")
    for _ in range(10):
        SimFaults(first, seams).hit("c")
    assert (True, False, 12) == (first.alive, second.alive, seams.count)


def test_the_dead_pass_no_seam() -> None:
    """A process that gets to a seam as it unwinds is raised out of it again, and not counted."""
    seams, process = Seams(), Process("push")
    process.kill()
    with pytest.raises(Killed):
        SimFaults(process, seams).hit("a")
    assert (False, 0) == (seams.passes(process, "b"), seams.count)


def test_nobody_handles_the_end_of_its_process() -> None:
    """No ``except Exception`` of the program catches it."""
    assert not issubclass(Killed, Exception)


@simulated
async def test_a_write_that_is_killed_half_way_is_half_a_write() -> None:
    """A device that dies at a seam of its save has done what came before, and nothing after."""
    process, seams, did = Process("d-01"), Seams([Crash(at=2)]), list[str]()
    faults = SimFaults(process, seams)

    def save() -> None:
        for step in ("write", "sync", "rename"):
            faults.hit(step)
            did.append(step)

    async def work() -> None:
        try:
            await in_thread(save)
        except BaseException as error:  # noqa: BLE001 - nothing at all may come here
            did.append(repr(error))
        did.append("went on")

    spawn(process, work())
    await asyncio.sleep(10)
    assert (["write"], [], 2) == (did, sim_loop().unhandled, seams.count)
