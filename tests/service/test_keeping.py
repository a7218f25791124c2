"""Holding a lock for another program, in virtual time: kept, answered, given back, lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from orchestrator.faultpoints import FaultPoints
from orchestrator.locksmith.command import CommandUnusable
from orchestrator.locksmith.processes import LinuxProcesses
from orchestrator.ports import Claim, StoreUnavailable, Transport
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import START, Answer, Head, LockState, Record, Verb
from orchestrator.protocol.types import FleetId, Owner, Ticket
from orchestrator.service import holding, keeping, locks
from orchestrator.service.asking import Asked, request_release
from orchestrator.service.holding import Want
from orchestrator.service.keeping import Kept
from orchestrator.service.locks import Held
from orchestrator.service.world import World
from orchestrator.storage.memory import MemoryStore
from orchestrator.wiring import RandomIds
from tests.agent.virtual import LoopClock, virtual
from tests.service.fleet import Notices

FLEET = FleetId("yard")


@dataclass
class Fake:
    """A program that ends when it is told to; what it was sent is kept."""

    obeys: bool = True
    sent: list[int] = field(default_factory=list)
    killed_after_s: list[float] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    code: int = 0

    async def wait(self) -> int:
        await self.over.wait()
        return self.code

    def send(self, number: int) -> None:
        self.sent.append(number)
        if self.obeys:
            self.exit(128 + number)

    async def end(self, patience_s: float) -> None:
        if not self.over.is_set():
            self.killed_after_s.append(patience_s)
            self.exit(137)

    def exit(self, code: int) -> None:
        self.code = code
        self.over.set()


class Away(MemoryStore):
    """A store that can be unreachable for a while."""

    away: bool = False

    async def touch(self, fleet: FleetId, claim: Claim, owner: Owner) -> bool:
        self._check()
        return await super().touch(fleet, claim, owner)

    async def read(self, fleet: FleetId, after: Head = START) -> Any:
        self._check()
        return await super().read(fleet, after)

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("away")


@dataclass(kw_only=True)
class Stage:
    """A world without devices, and the program that runs under its lock."""

    store: Away = field(default_factory=lambda: Away(now=LoopClock().now))
    program: Fake = field(default_factory=Fake)
    environment: dict[str, str] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def world(self) -> World:
        return World(
            store=self.store,
            connect=nowhere,
            clock=LoopClock(),
            ids=RandomIds(),
            audience=Notices(),
            processes=LinuxProcesses(),
            faults=FaultPoints(),
        )

    async def launch(self, environment: Mapping[str, str]) -> Fake:
        self.environment.update(environment)
        return self.program

    async def begin(self) -> tuple[Held, asyncio.Task[Kept]]:
        """Take the lock and run the program under it."""
        held = await keeping.take(self.world(), FLEET, Want(purpose="calibrate"))
        assert isinstance(held, Held)
        running = keeping.run(self.world(), held, self.launch, self.told.append)
        return held, asyncio.create_task(running)

    async def state(self) -> FleetState:
        return await locks.read_fleet(self.world(), FLEET)

    async def change(self, rule: Callable[[FleetState], Any]) -> None:
        def checked(state: FleetState) -> tuple[Record, ...]:
            records = rule(state)
            assert isinstance(records, tuple)
            return records

        await locks.change(self.world(), FLEET, checked)


def nowhere(_fleet: FleetId) -> AbstractAsyncContextManager[Transport]:
    """A lock that is only held needs no broker."""
    raise AssertionError("nobody connects")


def somebody() -> Owner:
    """Another process of this machine."""
    return replace(LinuxProcesses().me("aimctl lock force-unlock"), pid=1, start_ticks=1)


@virtual
async def test_it_holds_the_lock_for_as_long_as_the_program_runs() -> None:
    """An hour later it is still ours; when the program ends it is free, with its own code."""
    stage = Stage()
    held, running = await stage.begin()
    await asyncio.sleep(3600)
    during = await stage.state()
    stage.program.exit(3)
    kept = await running
    after = await stage.state()
    assert (LockState.HELD, held.epoch) == (during.lock.state, during.lock.epoch)
    assert (Kept(code=3, lost=None, given_back=True), LockState.FREE) == (kept, after.lock.state)
    assert ["yard@1 is given back"] == stage.told


@virtual
async def test_the_program_is_told_of_its_lock() -> None:
    """The fencing token is in its environment."""
    stage = Stage()
    _, running = await stage.begin()
    stage.program.exit(0)
    await running
    assert {
        "AIM_LOCK_ID": "yard@1",
        "AIM_LOCK_FLEET": "yard",
        "AIM_LOCK_EPOCH": "1",
        "AIM_LOCK_INCARNATION": "1",
    } == stage.environment


@pytest.mark.parametrize("verb", [Verb.FORCE_UNLOCK, Verb.EXPIRE, Verb.RESEED])
def test_a_lock_that_is_taken_ends_the_program(verb: Verb) -> None:
    """It is told to end within a second, is given 5 s, and who took the lock is named."""
    told = "by " + verb.value
    run_taken(lambda s: lease.resolve(s, s.lock.epoch, somebody(), "stuck", verb), told)


def test_a_glass_that_is_broken_ends_the_program() -> None:
    """The lock is free again at once, and not ours all the same."""
    run_taken(lambda s: lease.break_glass(s, s.lock.epoch, somebody(), "stuck"), "by break-glass")


def run_taken(rule: Callable[[FleetState], Any], told: str) -> None:
    """Hold the lock, let ``rule`` take it, and see the program ended."""

    @virtual
    async def story() -> None:
        stage = Stage()
        _, running = await stage.begin()
        await asyncio.sleep(60)
        await stage.change(rule)
        async with asyncio.timeout(1.0):
            kept = await running
        assert [keeping.KILL_AFTER_S] == stage.program.killed_after_s
        assert (137, True) == (kept.code, kept.given_back)
        assert kept.lost is not None
        assert "pid 1 has taken it, " + told + " (stuck)" in kept.lost

    story()


@virtual
async def test_a_store_that_stays_away_ends_the_program_in_time() -> None:
    """10 s after the last renewal, so that 5 s are left of its lease."""
    stage = Stage()
    _, running = await stage.begin()
    stage.store.away = True
    async with asyncio.timeout(lease.STOP_SELF_AFTER_S + 0.1):
        kept = await running
    stage.store.away = False
    assert [keeping.KILL_AFTER_S] == stage.program.killed_after_s
    assert (False, "it could not be renewed for 10 s") == (kept.given_back, kept.lost)
    assert stage.told[-1].startswith("not given back: ")
    assert lease.LEASE_TTL_S - lease.STOP_SELF_AFTER_S >= keeping.KILL_AFTER_S


@virtual
async def test_a_store_that_is_away_for_a_moment_harms_nobody() -> None:
    """What is renewed in time goes on."""
    stage = Stage()
    _, running = await stage.begin()
    await asyncio.sleep(20)
    stage.store.away = True
    await asyncio.sleep(5)
    stage.store.away = False
    await asyncio.sleep(60)
    stage.program.exit(0)
    assert Kept(code=0, lost=None, given_back=True) == await running


async def asked(stage: Stage, wait_s: float) -> Asked:
    """Ask the holder to let go."""
    epoch = (await stage.state()).lock.epoch
    return await request_release(stage.world(), FLEET, epoch, "urgent", wait_s, by=somebody())


@virtual
async def test_a_request_is_answered_and_passed_on() -> None:
    """FINISH is stored before the program is told with SIGTERM; then the lock is free."""
    stage = Stage()
    _, running = await stage.begin()
    found = await asked(stage, 5.0)
    kept = await running
    assert (Answer.FINISH, True) == (found.answer, found.free)
    assert ([signal.SIGTERM], None, 143) == (stage.program.sent, kept.lost, kept.code)
    assert "release asked by " in stage.told[0]


@virtual
async def test_a_program_that_does_not_obey_a_request_keeps_its_lock() -> None:
    """It was a request: answered once, passed on once."""
    stage = Stage(program=Fake(obeys=False))
    _, running = await stage.begin()
    found = await asked(stage, 30.0)
    assert (Answer.FINISH, False) == (found.answer, found.free)
    assert [signal.SIGTERM] == stage.program.sent
    stage.program.exit(0)
    assert Kept(code=0, lost=None, given_back=True) == await running


@virtual
async def test_the_program_may_give_the_lock_back_early() -> None:
    """Then it just works on: it is not fenced, whoever has the lock next."""
    stage = Stage()
    held, running = await stage.begin()
    await asyncio.sleep(10)
    await holding.release(stage.world(), FLEET, held.epoch, held.owner)
    next_one = await holding.acquire(stage.world(), FLEET, Want(purpose="x", owner=somebody()))
    await asyncio.sleep(60)
    stage.program.exit(4)
    kept = await running
    assert isinstance(next_one, Held)
    assert (Kept(code=4, lost=None, given_back=True), []) == (kept, stage.program.killed_after_s)
    assert ["yard@1 is given back, by the command"] == stage.told


@virtual
async def test_a_lock_that_was_taken_at_the_very_end_was_lost() -> None:
    """The program has ended before anybody saw it: still it is told."""
    stage = Stage()
    _, running = await stage.begin()
    await asyncio.sleep(10.1)
    await stage.change(lambda s: lease.resolve(s, s.lock.epoch, somebody(), "stuck"))
    stage.program.exit(0)
    kept = await running
    assert (0, []) == (kept.code, stage.program.killed_after_s)
    assert kept.lost is not None


@virtual
async def test_a_program_that_can_not_be_started_gives_the_lock_back() -> None:
    """Nothing is left behind."""
    stage = Stage()
    held = await keeping.take(stage.world(), FLEET, Want(purpose="x"))
    assert isinstance(held, Held)

    async def launch(_environment: Mapping[str, str]) -> Fake:
        raise CommandUnusable("no such file", 127)

    with pytest.raises(CommandUnusable):
        await keeping.run(stage.world(), held, launch, stage.told.append)
    assert LockState.FREE is (await stage.state()).lock.state


@virtual
async def test_cancelled_it_ends_the_program_and_gives_the_lock_back() -> None:
    """Nothing works on under a lock that nobody keeps."""
    stage = Stage()
    _, running = await stage.begin()
    await asyncio.sleep(10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [keeping.KILL_AFTER_S] == stage.program.killed_after_s
    assert LockState.FREE is (await stage.state()).lock.state


async def cancelled(taking: Coroutine[Any, Any, object], after_s: float) -> None:
    """Cancel something after a while, and see that it was."""
    task = asyncio.create_task(taking)
    await asyncio.sleep(after_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Slow(Away):
    """A store that answers an append a second after it is durable."""

    async def append(self, fleet: FleetId, expected: Head, records: Any) -> Any:
        entries = await super().append(fleet, expected, records)
        await asyncio.sleep(1.0)
        return entries


@virtual
async def test_cancelled_while_it_takes_the_lock_it_leaves_nothing_behind() -> None:
    """Neither a lock whose grant nobody has heard of, nor a place in the line."""
    stage = Stage(store=Slow(now=LoopClock().now))
    await cancelled(keeping.take(stage.world(), FLEET, Want(purpose="x")), 0.5)
    granted = await stage.state()
    other = await holding.acquire(stage.world(), FLEET, Want(purpose="x", owner=somebody()))
    assert isinstance(other, Held)
    await cancelled(keeping.take(stage.world(), FLEET, Want(purpose="x", wait_s=99.0)), 5.0)
    waited = await stage.state()
    assert (LockState.FREE, 2) == (granted.lock.state, granted.lock.epoch.number)
    assert ((), somebody()) == (waited.lock.waiters, waited.lock.owner)


@virtual
async def test_a_program_is_ended_where_the_store_was_rolled_back() -> None:
    """Though its lease can be renewed there: what else that journal says it would not read."""
    stage = Stage()
    held, running = await stage.begin()
    backup = stage.store.disk.live
    await stage.change(lambda state: lease.queue(state, somebody(), "x", Ticket("t1")))
    await asyncio.sleep(10)
    stage.store.disk.live = backup
    await stage.change(lambda state: lease.queue(state, somebody(), "y", Ticket("t2")))
    assert await stage.store.touch(FLEET, held.epoch, held.owner)
    kept = await running
    assert (True, [keeping.KILL_AFTER_S]) == (
        "rolled back" in (kept.lost or ""),
        stage.program.killed_after_s,
    )
