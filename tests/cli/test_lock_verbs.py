"""The four verbs on a fleet in memory: what each would do, does, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.lock_force import break_glass, force_unlock
from orchestrator.cli.lock_verbs import release, request_release
from orchestrator.cli.recover import recover
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId
from orchestrator.service import holding, locks
from orchestrator.service.push import push
from tests.cli.conftest import (
    Desk,
    Strangers,
    held_lock,
    left_hot,
    of_a_ghost,
    seen_by,
)
from tests.service.fleet import FLEET, NEW, OLD, Fleet, fleet_of, order

D2 = DeviceId("d-02")
Verb = Callable[..., Awaitable[int]]


# --- release ----------------------------------------------------------------------------------


async def test_the_owner_releases(desk: Desk) -> None:
    """A process that is the owner, or was started by it; the lock is free."""
    async with fleet_of(1) as fleet:
        await held_lock(fleet, "calibrate")
        code = await release("hazard-12@1", reason="done", context=desk.context(fleet, "json"))
        document = desk.ran(code).document
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (0, "release", "released") == (code, document["type"], document["action"])
    assert LockState.FREE is state.lock.state


async def test_a_stranger_is_refused_and_told_whom_to_ask(desk: Desk) -> None:
    """6; a living owner is asked, a ghost's lock is recovered."""
    async with fleet_of(1) as fleet:
        await held_lock(fleet, "calibrate")
        ends = []
        for context in (seen_by(Strangers, desk, fleet), of_a_ghost(desk, fleet)):
            with pytest.raises(OperatingError, match="only that process may release") as caught:
                await release("hazard-12@1", reason="done", context=context)
            ends.append((caught.value.exit_code, caught.value.next_command))
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert [
        (Exit.HOT, "aimctl lock request-release hazard-12@1 --reason TEXT"),
        (Exit.HOT, "aimctl recover --fleet hazard-12"),
    ] == ends
    assert LockState.HELD is state.lock.state


async def test_an_open_transaction_is_not_released(desk: Desk) -> None:
    """A lock is never freed in the middle of one, not even by its owner."""
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        with pytest.raises(OperatingError, match="in the middle of one") as caught:
            await release(lock_id, reason="done", context=desk.context(fleet))
    assert Exit.HOT is caught.value.exit_code


# --- request-release --------------------------------------------------------------------------


async def test_a_request_without_an_answer_is_6(desk: Desk) -> None:
    """The holder does not look; the request stands in the journal."""
    async with fleet_of(1) as fleet:
        await held_lock(fleet, "calibrate")
        context = desk.context(fleet, "json")
        code = await request_release("hazard-12@1", reason="fix", wait_s=0.0, context=context)
        ran = desk.ran(code)
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (6, None, False) == (code, ran.document["answer"], ran.document["free"])
    assert state.lock.release_requested is not None
    assert "fix" == state.lock.release_requested.reason
    assert "next      aimctl lock force-unlock hazard-12@1 --dry-run" in ran.err


async def test_a_push_that_is_asked_aborts_and_lets_go(desk: Desk) -> None:
    """0: its answer is told, and the lock is free."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        await fleet.drones[D2].kill()
        pushing = asyncio.create_task(push(fleet.world(), order(1, NEW, list(fleet.drones))))
        world = fleet.world()
        async with asyncio.timeout(10):
            while (state := await locks.read_fleet(world, FLEET)).open is None:
                await world.clock.sleep(0.01)
        lock_id = f"{FLEET}@{state.lock.epoch}"
        context = desk.context(fleet, "json")
        code = await request_release(lock_id, reason="fix", context=context)
        document = desk.ran(code).document
        ended = await pushing
        await fleet.drones[D2].start()
    assert (0, "abort", True) == (code, document["answer"], document["free"])
    assert Exit.ABORTED is ended.exit_code
    assert f"{lock_id} is given back; its owner answered: it aborts first" in document["message"]


async def test_a_ghost_is_not_asked(desk: Desk) -> None:
    """HOT, 6: nobody would answer."""
    async with fleet_of(1) as fleet:
        await held_lock(fleet, "calibrate")
        with pytest.raises(OperatingError, match="HOT") as caught:
            await request_release("hazard-12@1", reason="x", context=of_a_ghost(desk, fleet))
    assert Exit.HOT is caught.value.exit_code


# --- dry runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "would"),
    [
        (release, "refused: only "),
        (request_release, "is gone, and nobody would answer"),
        (force_unlock, "txn 2 is undecided: ABORT is stored in the same write"),
        (break_glass, "each that is not heard to have followed is quarantined"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_dry_run_shows_everything_and_changes_nothing(
    desk: Desk, verb: Verb, would: str
) -> None:
    """Owner, evidence, open transaction, votes, decision, devices in doubt, outcome."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        before = await locks.read_fleet(fleet.world(), FLEET)
        code = await verb(lock_id, dry_run=True, context=of_a_ghost(desk, fleet))
        document = desk.ran(code).document
        await verb(lock_id, dry_run=True, context=of_a_ghost(desk, fleet, "text"))
        told = desk.ran(0)
        after = await locks.read_fleet(fleet.world(), FLEET)
    assert before == after
    facts = [document[key] for key in ("dry_run", "action", "decision", "votes", "exit_code")]
    assert (0, [True, "none", None, 0, 0]) == (code, facts)
    assert verb.__name__.replace("_", "-") == document["type"]
    assert would in document["message"]
    assert "ghost" == document["lock"]["liveness"]["verdict"]
    for line in ("votes     0 of 2 yes", "decision  none yet", "in doubt  no device"):
        assert line in told.out
    assert "dry run: nothing was changed" in told.out
    assert f"next      {document['next']}" in told.err


async def test_a_dry_run_of_break_glass_names_whom_it_would_quarantine(desk: Desk) -> None:
    """Every member that is not heard to be where the decision leaves it."""
    async with fleet_of(3) as fleet:
        lock_id = await left_hot(fleet)
        await fleet.drones[D2].kill()
        await break_glass(lock_id, dry_run=True, context=desk.context(fleet, "json"))
        document = desk.ran(0).document
        await break_glass(lock_id, dry_run=True, context=desk.context(fleet))
        told = desk.ran(0)
        await fleet.drones[D2].start()
    assert ["d-02"] == document["quarantined"]
    assert "not heard to have followed   d-02" in told.out.splitlines()
    assert f"next      aimctl lock break-glass {lock_id} --reason TEXT --confirm" in told.err


# --- force-unlock, break-glass ----------------------------------------------------------------


async def test_a_confirmed_unlock_frees_the_lock_and_names_the_decision(desk: Desk) -> None:
    """0 whichever way it was decided; the same id again is 8."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        context = desk.context(fleet, "json")
        code = await force_unlock(lock_id, reason="test", confirm=lock_id, context=context)
        document = desk.ran(code).document
        state = await locks.read_fleet(fleet.world(), FLEET)
        assert (0, "abort", "resolved", []) == (
            code,
            document["decision"],
            document["action"],
            document["deferred"],
        )
        assert (LockState.FREE, 1) == (state.lock.state, state.version)
        with pytest.raises(OperatingError, match="is not held") as caught:
            await force_unlock(lock_id, reason="test", confirm=lock_id, context=context)
    assert Exit.PLAN_STALE is caught.value.exit_code


async def test_an_unlock_with_a_deferred_device_ends_with_5(desk: Desk) -> None:
    """A device that is off is named, and `recover` is the next command."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        await fleet.drones[D2].kill()
        code = await force_unlock(
            lock_id,
            reason="test",
            confirm=lock_id,
            fleet=desk.fleet_file(2),
            context=desk.context(fleet, "json"),
        )
        ran = desk.ran(code)
        await fleet.drones[D2].start()
    assert (5, ["d-02"]) == (ran.code, ran.document["deferred"])
    assert "next      aimctl recover --fleet hazard-12" in ran.err


async def test_break_glass_names_everybody_that_it_has_quarantined(desk: Desk) -> None:
    """5: the lock is free at once; who was heard has re-joined, who was not is named."""
    async with fleet_of(3) as fleet:
        lock_id = await left_hot(fleet)
        await fleet.drones[D2].kill()
        file = desk.fleet_file(3)
        given: dict[str, Any] = {"reason": "test", "confirm": lock_id, "fleet": file}
        code = await break_glass(lock_id, **given, context=desk.context(fleet, "text"))
        ran = desk.ran(code)
        state = await locks.read_fleet(fleet.world(), FLEET)
        await fleet.drones[D2].start()
    assert (5, LockState.FREE, {D2}) == (code, state.lock.state, set(state.quarantined))
    assert "quarantined: d-02. Not enabled until they have re-joined" in ran.out.splitlines()
    assert "txn 2: ABORT; " in ran.out


async def test_break_glass_needs_no_broker(desk: Desk) -> None:
    """The lock is free and everybody is in quarantine, by name: nobody could be told."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        fleet.broker.stop()
        given: dict[str, Any] = {"reason": "test", "confirm": lock_id}
        code = await break_glass(lock_id, **given, context=desk.context(fleet, "json"))
        document = desk.ran(code).document
        state = await locks.read_fleet(fleet.world(), FLEET)
        fleet.broker.start()
    assert (5, False, ["d-01", "d-02"]) == (code, document["dry_run"], document["quarantined"])
    assert LockState.FREE is state.lock.state


async def test_two_operators_at_once_see_one_winner(desk: Desk) -> None:
    """One ends with 0, the other with 8, whichever came first."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)

        async def force() -> int:
            context = desk.context(fleet, "json")
            try:
                return await force_unlock(lock_id, reason="t", confirm=lock_id, context=context)
            except OperatingError as error:
                return int(error.exit_code)

        codes = await asyncio.gather(force(), force())
    assert [0, 8] == sorted(codes)


async def test_a_holder_that_waits_for_its_devices_is_forced(desk: Desk) -> None:
    """The push that is in the middle of its votes ends fenced, 7; the forced unlock with 0."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        await fleet.drones[D2].kill()
        pushing = asyncio.create_task(push(fleet.world(), order(1, NEW, list(fleet.drones))))
        world = fleet.world()
        async with asyncio.timeout(10):
            while (state := await locks.read_fleet(world, FLEET)).open is None:
                await world.clock.sleep(0.01)
        await fleet.drones[D2].start()
        lock_id = f"{FLEET}@{state.lock.epoch}"
        context = desk.context(fleet, "json")
        code = await force_unlock(lock_id, reason="stuck", confirm=lock_id, context=context)
        document = desk.ran(code).document
        ended = await pushing
    assert (0, "abort", Exit.FENCED) == (code, document["decision"], ended.exit_code)


@pytest.mark.parametrize("verb", [force_unlock, break_glass])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"confirm": "{id}"}, "needs --reason"),
        ({"reason": "  ", "confirm": "{id}"}, "needs --reason"),
        ({"reason": "x" * 501, "confirm": "{id}"}, "more than 500"),
        ({"reason": "a\nlock released", "confirm": "{id}"}, "can't be printed"),
        ({"reason": "x"}, "no terminal"),
        ({"reason": "x", "confirm": "hazard-12@9"}, "is not hazard-12@3"),
        ({"reason": "x", "confirm": "{id}", "fleet": "{other}"}, "the lock is hazard-12's"),
    ],
)
async def test_an_unlock_that_is_not_ordered_properly_is_wrong_use(
    desk: Desk, verb: Verb, options: dict[str, str], told: str
) -> None:
    """2, and nothing was changed."""
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        other = desk.other_fleet(1)
        given = {key: value.format(id=lock_id, other=other) for key, value in options.items()}
        with pytest.raises(OperatingError, match=told) as caught:
            await verb(lock_id, context=desk.context(fleet), **given)
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert Exit.USAGE is caught.value.exit_code
    assert LockState.HELD is state.lock.state


@pytest.mark.parametrize("verb", [force_unlock, break_glass])
@pytest.mark.parametrize(("typed", "code"), [("hazard-12@3\n", 0), ("y\n", 130), ("", 130)])
async def test_a_terminal_asks_to_type_the_lock_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, verb: Verb, typed: str, code: int
) -> None:
    """Nothing but the lock id will do."""
    monkeypatch.setattr("orchestrator.cli.push.ask", lambda _question: typed)
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        context = desk.context(fleet, "json", person=True)
        ran = desk.ran(await verb(lock_id, reason="test", context=context))
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert (code, code) == (ran.code, ran.document["exit_code"])
    assert (LockState.FREE if code == 0 else LockState.HELD) is state.lock.state
    assert "outcome   txn 2 is undecided" in ran.err


async def test_a_fleet_file_that_is_of_no_use_keeps_nobody_from_the_way_out(
    desk: Desk, home: Path
) -> None:
    """One that stands in the directory, unnamed and broken, is told of and passed over."""
    (home / "hazard-12.toml").write_text("fleet = 1")
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        context = desk.context(fleet, "json")
        ran = desk.ran(await force_unlock(lock_id, reason="x", confirm=lock_id, context=context))
    assert 0 == ran.code
    assert "note      the file of hazard-12 is of no use: default timing" in ran.err


async def test_ctrl_c_while_resolving_says_how_to_go_on(desk: Desk) -> None:
    """12: whoever runs `recover` finishes what was begun."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        await fleet.drones[D2].kill()
        context = desk.context(fleet, "json")
        running = asyncio.create_task(
            force_unlock(lock_id, reason="x", confirm=lock_id, context=context)
        )
        await until_taken(fleet)
        running.cancel()
        with pytest.raises(OperatingError, match="which is safe") as caught:
            await running
        await fleet.drones[D2].start()
        assert 0 == await recover(context=of_a_ghost(desk, fleet))
    assert Exit.UNKNOWN is caught.value.exit_code


async def until_taken(fleet: Fleet) -> None:
    """Wait until somebody has taken the lock from its holder."""
    world = fleet.world()
    async with asyncio.timeout(10):
        while (await locks.read_fleet(world, FLEET)).lock.state is LockState.HELD:
            await world.clock.sleep(0.01)


async def test_a_forced_lock_is_fenced_for_its_former_owner(desk: Desk) -> None:
    """What held it can't release what it has lost: 8, by its old id."""
    async with fleet_of(1) as fleet:
        held = await held_lock(fleet, "calibrate")
        context = desk.context(fleet, "json")
        lock_id = f"{FLEET}@{held.epoch}"
        assert 0 == await force_unlock(lock_id, reason="x", confirm=lock_id, context=context)
        with pytest.raises(OperatingError) as caught:
            await release(lock_id, reason="done", context=context)
        with pytest.raises(OperatingError) as fenced:
            await holding.release(fleet.world(), FLEET, held.epoch, held.owner)
    assert (Exit.PLAN_STALE, Exit.FENCED) == (caught.value.exit_code, fenced.value.exit_code)
