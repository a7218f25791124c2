"""``aimctl push --wait-lock``: standing in line for a lock that is held."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.files import find_fleet, open_source
from orchestrator.cli.live import render
from orchestrator.cli.plan import plan
from orchestrator.cli.progress import Progress
from orchestrator.cli.push import push
from orchestrator.cli.view import HumanView
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.records import LockState
from orchestrator.service import holding, locks
from orchestrator.service import push as service
from orchestrator.service.locks import Held
from tests.cli.conftest import Desk, held_lock
from tests.service.fleet import FLEET, OLD, Fleet, fleet_of, order


async def in_line(fleet: Fleet) -> None:
    """Wait until somebody stands in the line."""
    world = fleet.world()
    async with asyncio.timeout(10):
        while not (await locks.read_fleet(world, FLEET)).lock.waiters:
            await world.clock.sleep(0.01)


async def let_go(fleet: Fleet, held: Held) -> None:
    """Give the lock back."""
    await holding.release(fleet.world(), FLEET, held.epoch, held.owner)


def waiting_push(
    desk: Desk, fleet: Fleet, source: Path, *, wait_s: float = 20.0, **extra: bool
) -> asyncio.Task[int]:
    """Begin a push that waits for the lock."""
    file = desk.fleet_file(len(fleet.drones))
    context = desk.context(fleet, "jsonl", person="yes" not in extra)
    return asyncio.create_task(
        push(source, fleet=file, wait_lock_s=wait_s, context=context, **extra)
    )


async def test_a_push_waits_in_line_and_says_who_is_before_it(desk: Desk) -> None:
    """Said at once, on stderr and as a document; then it goes on by itself."""
    async with fleet_of(2) as fleet:
        held = await held_lock(fleet, "calibrate")
        pushing = waiting_push(desk, fleet, desk.config(), yes=True)
        await in_line(fleet)
        await let_go(fleet, held)
        ran = desk.ran(await pushing)
    waiting, result = ran.documents[0], ran.documents[-1]
    assert (0, "commit") == (ran.code, result["decision"])
    assert ("waiting", 0, "hazard-12@1") == (
        waiting["type"],
        waiting["before"],
        waiting["lock"]["id"],
    )
    first = ran.err.splitlines()[0]
    assert first.startswith("waiting   hazard-12@1 is held by ")
    assert first.endswith(f"aimctl calibrate, pid {os.getpid()} (running); we are next")


async def test_the_plan_is_made_anew_where_the_fleet_has_moved_on(desk: Desk) -> None:
    """With --yes and a configuration: what was pushed meanwhile is the new base."""
    async with fleet_of(2) as fleet:
        pushing = await behind_another_push(desk, fleet, desk.config(110), yes=True)
        ran = desk.ran(await pushing)
    result = ran.documents[-1]
    assert (0, 1, 2) == (ran.code, result["base_version"], result["version"])


async def behind_another_push(
    desk: Desk, fleet: Fleet, source: Path, **extra: bool
) -> asyncio.Task[int]:
    """Begin a push that waits, and let another one that stands before it install version 1."""
    held = await held_lock(fleet, "calibrate")
    other = asyncio.create_task(
        service.push(fleet.world(), replace(order(0, OLD, list(fleet.drones)), wait_lock_s=20.0))
    )
    await in_line(fleet)
    mine = waiting_push(desk, fleet, source, **extra)
    world = fleet.world()
    async with asyncio.timeout(10):
        while len((await locks.read_fleet(world, FLEET)).lock.waiters) < 2:
            await world.clock.sleep(0.01)
    await let_go(fleet, held)
    assert Exit.DONE is (await other).exit_code
    return mine


async def test_what_was_agreed_to_is_stale_where_the_fleet_has_moved_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has agreed to another change: 8."""
    monkeypatch.setattr("orchestrator.cli.push.ask", lambda _question: "y\n")
    async with fleet_of(2) as fleet:
        pushing = await behind_another_push(desk, fleet, desk.config(110))
        with pytest.raises(OperatingError, match="stale") as caught:
            await pushing
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert Exit.PLAN_STALE is caught.value.exit_code
    assert (LockState.FREE, 1) == (state.lock.state, state.version)


async def test_a_plan_file_is_stale_where_the_fleet_has_moved_on(desk: Desk, home: Path) -> None:
    """A frozen plan is pushed as it is, or not: 8."""
    async with fleet_of(2) as fleet:
        out = home / "change.json"
        file, context = desk.fleet_file(2), desk.context(fleet, "json")
        await plan(desk.config(110), fleet=file, out=out, context=context)
        pushing = await behind_another_push(desk, fleet, out, yes=True)
        with pytest.raises(OperatingError, match="stale") as caught:
            await pushing
    assert Exit.PLAN_STALE is caught.value.exit_code


async def test_a_plan_file_that_is_stale_already_does_not_wait(desk: Desk, home: Path) -> None:
    """8 at once, with nobody in the line."""
    async with fleet_of(2) as fleet:
        out, context = home / "change.json", desk.context(fleet, "json")
        await plan(desk.config(110), fleet=desk.fleet_file(2), out=out, context=context)
        await service.push(fleet.world(), order(0, OLD, list(fleet.drones)))
        await held_lock(fleet, "calibrate")
        with pytest.raises(OperatingError, match="stale") as caught:
            await waiting_push(desk, fleet, out, yes=True)
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (Exit.PLAN_STALE, ()) == (caught.value.exit_code, state.lock.waiters)


async def test_waiting_that_takes_too_long_is_hot(desk: Desk) -> None:
    """6 when time is up, and the line is left."""
    async with fleet_of(1) as fleet:
        await held_lock(fleet, "calibrate")
        with pytest.raises(OperatingError, match="HOT") as caught:
            await waiting_push(desk, fleet, desk.config(), wait_s=0.2, yes=True)
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (Exit.HOT, ()) == (caught.value.exit_code, state.lock.waiters)


async def test_ctrl_c_while_waiting_leaves_the_line(desk: Desk) -> None:
    """130, nothing was begun, and nobody waits for us."""
    async with fleet_of(1) as fleet:
        await held_lock(fleet, "calibrate")
        pushing = waiting_push(desk, fleet, desk.config(), yes=True)
        await in_line(fleet)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(OperatingError, match="nothing was begun") as caught:
            await pushing
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (Exit.INTERRUPTED, ()) == (caught.value.exit_code, state.lock.waiters)


async def test_a_table_shows_for_whom_it_waits(desk: Desk) -> None:
    """While the lock is somebody else's the live table says whose."""
    async with fleet_of(1) as fleet:
        held = await held_lock(fleet, "calibrate")
        world, known = fleet.world(), find_fleet(desk.fleet_file(1))
        staged = open_source(desk.config(), known)(0)
        progress = Progress(
            view=HumanView(no_color=True),
            clock=world.clock,
            fleet=known,
            plan=staged.plan,
            me=world.me("push"),
        )
        progress.quiet = True
        progress.wait(await locks.look(world, held.state))
        file = StringIO()
        Console(file=file, width=200).print(render(progress, 5))
    assert "◌ staged · waiting: hazard-12@1 is held by " in file.getvalue()
    assert "we stand at the end of the line" in file.getvalue()
    assert "" == desk.ran(0).err
