"""The ways out of a HOT lock and of doubt, with real agents and cores in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import OutcomeUnknown, Transport, TransportUnavailable
from orchestrator.protocol import lease, reseed
from orchestrator.protocol.device import Holding
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.fold import fold
from orchestrator.protocol.records import Entry, Head, LockState, Record
from orchestrator.protocol.types import Epoch, FleetId, Outcome, Owner
from orchestrator.service import devices, locks, reseeding
from orchestrator.service.devices import Word
from orchestrator.service.holding import Want, acquire
from orchestrator.service.locks import Held, read_fleet
from orchestrator.service.push import push
from orchestrator.service.reading import status
from orchestrator.service.resolving import break_glass, force_unlock, recover
from orchestrator.service.serving import Served, Server
from orchestrator.storage.memory import MemoryStore
from tests.service.fleet import (
    FLEET,
    NEW,
    NEWER,
    OLD,
    TIMING,
    Fleet,
    fleet_of,
    new_store,
    order,
    resolving,
)
from tests.service.steps import (
    D1,
    D2,
    D3,
    GHOST,
    SLOW,
    Killed,
    installed,
    is_open,
    is_resolving,
    killed_at,
    lone_world,
    until,
)

# --- break-glass --------------------------------------------------------------------------------


async def test_break_glass_frees_at_once_and_quarantines_who_was_not_heard() -> None:
    """An unreachable member is quarantined by name; it holds until it has re-joined."""
    async with fleet_of(3) as fleet:
        await installed(fleet)
        fleet.broker.fault = lambda topic, client: 0 if "/vote" in topic else 1
        pushing = asyncio.create_task(push(fleet.world(), order(1, NEW, list(fleet.drones), SLOW)))
        drone = fleet.drones[D3]
        await until(lambda: drone.state.prepared is not None)
        await drone.kill()
        epoch = (await read_fleet(fleet.world(), FLEET)).lock.epoch
        fleet.broker.fault = lambda topic, client: 1
        broken = await break_glass(fleet.world(), resolving(epoch, command="lock break-glass"))

        assert Exit.FENCED is (await pushing).exit_code
        state = await read_fleet(fleet.world(), FLEET)
        assert (LockState.FREE, None) == (state.lock.state, state.open)
        assert (Exit.ACTIVATING, (D3,)) == (broken.exit_code, broken.quarantined)
        assert (D3,) == (await status(fleet.world(), FLEET)).exceptions

        await drone.start()
        assert drone.state.operating is None
        healed = await recover(fleet.world(), resolving())
        assert (Exit.DONE, ()) == (healed.exit_code, healed.quarantined)
        assert ({1}, {OLD}) == (fleet.versions(), fleet.files())


async def test_break_glass_needs_no_broker() -> None:
    """It is for the night in which nothing else works."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        held = await acquire(fleet.world(), FLEET, Want(purpose="push"))
        assert isinstance(held, Held)
        world = fleet.world()
        broken = await break_glass(
            replace(world, connect=_nobody), resolving(held.epoch, command="lock break-glass")
        )

        assert LockState.FREE is (await read_fleet(world, FLEET)).lock.state
        assert "nobody was told" in broken.message


class _Away(AbstractAsyncContextManager[Transport]):
    async def __aenter__(self) -> Transport:
        raise TransportUnavailable("connection refused")

    async def __aexit__(self, *_exc: object) -> None:
        """Nothing was entered."""


def _nobody(_fleet: FleetId) -> _Away:
    return _Away()


# --- force --------------------------------------------------------------------------------------


async def test_a_forced_unlock_of_a_forced_unlock() -> None:
    """The first resolver is fenced by the second, and the fleet ends whole."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        fleet.broker.fault = lambda topic, client: 0 if "/vote" in topic else 1
        pushing = asyncio.create_task(push(fleet.world(), order(1, NEW, list(fleet.drones), SLOW)))
        await until(lambda: is_open(fleet))
        first_epoch = (await read_fleet(fleet.world(), FLEET)).lock.epoch
        fleet.broker.fault = lambda topic, client: 0 if "/report" in topic else 1
        first = asyncio.create_task(force_unlock(fleet.world(), resolving(first_epoch)))
        await until(lambda: is_resolving(fleet))
        second_epoch = (await read_fleet(fleet.world(), FLEET)).lock.epoch
        fleet.broker.fault = lambda topic, client: 1
        second = await force_unlock(fleet.world(), resolving(second_epoch))

        codes = ((await pushing).exit_code, (await first).exit_code, second.exit_code)
        assert (Exit.FENCED, Exit.FENCED, Exit.DONE) == codes
        assert ({1}, {OLD}) == (fleet.versions(), fleet.files())


async def test_two_operators_at_once_see_one_winner() -> None:
    """Both name the same lock id: one resolves it, the other is told that it is another now."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        held = await acquire(fleet.world(), FLEET, Want(purpose="push"))
        assert isinstance(held, Held)
        both = await asyncio.gather(
            force_unlock(fleet.world(), resolving(held.epoch)),
            force_unlock(fleet.world(), resolving(held.epoch)),
            return_exceptions=True,
        )

        codes = sorted(one.exit_code for one in both)  # type: ignore[union-attr]
        assert [Exit.DONE, Exit.PLAN_STALE] == codes


@pytest.mark.parametrize(
    "point",
    [
        "append:lock_taken+decided:before",
        "append:lock_taken+decided:after",
        "append:ended:before",
        "append:ended:after",
        "append:lock_released:before",
        "append:lock_released:after",
    ],
)
@pytest.mark.parametrize("decided", [False, True])
async def test_clean_up_is_resumed_after_a_crash_at_every_append(
    point: str,
    decided: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """Locksmith is killed at each sync of a resolve; whoever comes next finishes it."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        fatal = "append:decided:after" if decided else "append:decided:before"
        with pytest.raises(Killed):
            await push(fleet.world(faults=killed_at(fatal)), order(1, NEW, list(fleet.drones)))
        where = point if not decided else point.replace("+decided", "")
        epoch = (await read_fleet(fleet.world(), FLEET)).lock.epoch
        with pytest.raises(Killed):
            await force_unlock(fleet.world(faults=killed_at(where)), resolving(epoch))
        lock = (await read_fleet(fleet.world(), FLEET)).lock
        assert (lock.state is LockState.FREE) == (lock.owner is None)
        if lock.state is not LockState.FREE:
            await force_unlock(fleet.world(), resolving(lock.epoch))
        await recover(fleet.world(), resolving())

        state = await read_fleet(fleet.world(), FLEET)
        assert (LockState.FREE, None, {}) == (state.lock.state, state.open, dict(state.deferred))
        expected = (2, NEW) if decided else (1, OLD)
        assert ({expected[0]}, {expected[1]}) == (fleet.versions(), fleet.files())


# --- reseed -------------------------------------------------------------------------------------


async def rolled_back(fleet: Fleet) -> MemoryStore:
    """Push version 2 and go back to a backup from before it."""
    assert isinstance(fleet.store, MemoryStore)
    backup = fleet.store.backup()
    done = await push(fleet.world(), order(1, NEW, list(fleet.drones)))
    assert 2 == done.version
    return backup


async def test_a_rolled_back_store_is_refused_and_reseeded() -> None:
    """The lost version is adopted from its devices; the next push goes on above it."""
    async with fleet_of(3) as fleet:
        await installed(fleet)
        world = fleet.world(await rolled_back(fleet))
        refused = await push(world, order(1, NEWER, list(fleet.drones)))
        assert Exit.UNREACHABLE is refused.exit_code
        wanted = resolving(command="reseed", members=list(fleet.drones))
        assert (await reseeding.find_out(world, wanted)).needed
        done = await reseeding.run(world, wanted)

        assert Exit.DONE is done.exit_code, done.message
        state = await read_fleet(world, FLEET)
        assert (LockState.FREE, 2, 2) == (
            state.lock.state,
            state.version,
            state.lock.epoch.incarnation,
        )
        assert {2} == fleet.versions()
        after = await push(world, order(2, NEWER, list(fleet.drones)))
        assert (Exit.DONE, 3) == (after.exit_code, after.version)
        assert ({3}, {NEWER}) == (fleet.versions(), fleet.files())


async def test_a_reseed_waits_for_whoever_may_know() -> None:
    """A lost transaction in doubt stays open until every member was heard, or retired by name."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        assert isinstance(fleet.store, MemoryStore)
        backup = fleet.store.backup()
        fatal = killed_at("append:decided:before")
        with pytest.raises(Killed):
            await push(fleet.world(faults=fatal), order(1, NEW, list(fleet.drones)))
        await fleet.drones[D2].kill()
        world = fleet.world(backup)
        wanted = resolving(command="reseed", members=list(fleet.drones))
        stuck = await reseeding.run(world, wanted)

        assert Exit.ACTIVATING is stuck.exit_code
        assert D2 in stuck.message
        assert LockState.RESOLVING is (await read_fleet(world, FLEET)).lock.state
        await devices.retire(world, Word(fleet=FLEET, device=D2, reason="crashed"))
        done = await reseeding.run(world, wanted)
        assert Exit.DONE is done.exit_code, done.message
        assert 1 == fleet.drones[D1].state.operating


async def test_a_store_that_nobody_contradicts_is_not_reseeded() -> None:
    """A reseed that is not needed is refused, and changes nothing."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        with pytest.raises(OperatingError, match="nothing to reseed"):
            await reseeding.run(fleet.world(), resolving(members=list(fleet.drones)))
        assert 1 == (await read_fleet(fleet.world(), FLEET)).lock.epoch.incarnation


# --- heuristic outcomes -------------------------------------------------------------------------


async def test_a_person_lets_a_device_operate_and_the_decision_still_wins() -> None:
    """The device operates on the word, obeys the decision, and is shown until it is settled."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        fatal = killed_at("append:decided:before")
        with pytest.raises(Killed):
            await push(fleet.world(faults=fatal), order(1, NEW, list(fleet.drones)))
        drone = fleet.drones[D1]
        await until(lambda: Holding.DOUBT.value in drone.state.holds)
        txn = drone.state.prepared
        assert txn is not None
        word = Word(fleet=FLEET, device=D1, reason="it must see")
        acted = await devices.decide(fleet.world(), word, txn, Outcome.COMMIT, TIMING)

        assert (Exit.DONE, True) == (acted.exit_code, acted.obeyed)
        await until(lambda: drone.state.operating == 2)
        assert NEW == drone.active
        epoch = (await read_fleet(fleet.world(), FLEET)).lock.epoch
        await force_unlock(fleet.world(), resolving(epoch))
        await until(lambda: drone.state.operating == 1)
        view = await status(fleet.world(), FLEET)
        assert "HEURISTIC_MIXED" in view.heuristics[D1]
        assert (D1,) == view.exceptions
        await devices.settle(fleet.world(), word)
        assert {} == (await status(fleet.world(), FLEET)).heuristics


# --- what a lost journal must not decide ---------------------------------------------------------


async def test_whoever_goes_on_with_a_reseed_hears_the_same_members() -> None:
    """A reseed that was left half done is not ended by somebody who knows fewer devices."""
    async with fleet_of(2) as fleet:
        await installed(fleet)
        assert isinstance(fleet.store, MemoryStore)
        empty = new_store()
        fatal = killed_at("append:decided:before")
        with pytest.raises(Killed):
            await push(fleet.world(faults=fatal), order(1, NEW, list(fleet.drones)))
        await fleet.drones[D2].kill()
        world = fleet.world(empty)
        stuck = await reseeding.run(world, resolving(command="reseed", members=list(fleet.drones)))
        assert Exit.ACTIVATING is stuck.exit_code
        epoch = (await read_fleet(world, FLEET)).lock.epoch
        again = await force_unlock(world, resolving(epoch))  # knows of no members at all

        assert Exit.ACTIVATING is again.exit_code
        assert D2 in again.message
        assert (await read_fleet(world, FLEET)).reseeding is not None


async def test_the_server_leaves_a_reseed_to_people() -> None:
    """What a lost journal decided is nothing that a timer may settle."""
    async with fleet_of(1) as fleet:
        await installed(fleet)
        world = fleet.world()
        state = await read_fleet(world, FLEET)
        me = world.me("reseed")
        dead = replace(me, start_ticks=me.start_ticks + 1)
        begun = reseed.begin(state, {}, dead, "test")
        await locks.change(world, FLEET, lambda now: begun if now.head == state.head else ())
        server = Server(fleet.world(), [Served(id=FLEET, timing=TIMING)])
        serving = asyncio.create_task(server.run())
        await asyncio.sleep(1.5)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

        after = await read_fleet(world, FLEET)
        assert (dead, {}) == (after.lock.owner, server.cleanup_runs())


# --- a lost answer ------------------------------------------------------------------------------


class Outrun(MemoryStore):
    """Loses the answer of one append, and lets somebody resolve the lock before it is read."""

    rival: Owner | None = None

    async def append(
        self, fleet: FleetId, expected: Head, records: Sequence[Record]
    ) -> Sequence[Entry]:
        entries = await super().append(fleet, expected, records)
        if self.rival is None:
            return entries
        rival, self.rival = self.rival, None
        state = fold(FleetState(fleet=fleet), await self.read(fleet))
        taken = lease.resolve(state, state.lock.epoch, rival, "faster")
        assert not isinstance(taken, lease.NotTheLock)
        await super().append(fleet, state.known, taken)
        raise OutcomeUnknown("the answer was lost")


async def test_a_lost_answer_gives_nobody_the_epoch_of_another() -> None:
    """Our grant is ours, under its own epoch: what was appended after it is somebody else's."""
    store = Outrun(now=lambda: 1.0)
    world = replace(lone_world(), store=store)
    store.rival = GHOST
    held = await acquire(world, FLEET, Want(purpose="push"))

    assert isinstance(held, Held)
    assert (Epoch(1, 1), Epoch(1, 2)) == (
        held.epoch,
        (await read_fleet(world, FLEET)).lock.epoch,
    )
