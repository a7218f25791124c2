"""``aimctl lock`` and ``recover`` on a fleet in memory: what they show, and how they end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.cli.locks import force_unlock, lock_list, lock_show
from orchestrator.cli.recover import recover
from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.processes import Sighting
from orchestrator.protocol.records import LockState, begun_record
from orchestrator.protocol.types import DeviceId, Owner, Timeline, TxnId
from orchestrator.service import locks
from orchestrator.service.push import push
from tests.cli.conftest import Desk, InMemory
from tests.service.fleet import FLEET, NEW, OLD, Fleet, fleet_of, order


@dataclass
class Gone:
    """A process table in which whoever held a lock has died."""

    me_as: Owner

    def me(self, program: str) -> Owner:
        return replace(self.me_as, program=program)

    def look_for(self, owner: Owner) -> Sighting:
        return Sighting(here=True, rebooted=False, visible=True, running=False)


async def left_hot(fleet: Fleet) -> str:
    """Install version 1, then leave the lock as a killed push does; return the lock's id."""
    names = list(fleet.drones)
    await push(fleet.world(), order(0, OLD, names))
    world = fleet.world()
    held = await locks.acquire(world, FLEET, "push")
    assert isinstance(held, locks.Held)
    wanted = order(1, NEW, names)
    for blob in wanted.blobs:
        await world.store.put_blob(blob)
    now = world.clock.now()
    begun = begun_record(
        wanted.plan,
        txn=TxnId("t2"),
        seq=2,
        epoch=held.epoch,
        digest=wanted.plan_digest,
        timeline=Timeline(
            vote_by=now, hold_at=now + 0.05, activate_at=now + 0.1, clock_error_s=0.02
        ),
    )
    await locks.append(world, held.state, (begun,))
    return f"{FLEET}@{held.epoch}"


def of_a_ghost(desk: Desk, fleet: Fleet, output: str = "json", **extra: bool) -> InMemory:
    """A context in which every owner is proved dead."""
    context = desk.context(fleet, output, **extra)
    me = context.made.processes.me("aimctl")
    return replace(context, made=replace(context.made, processes=Gone(me)))


async def test_list_names_owner_liveness_and_transaction(desk: Desk) -> None:
    """Free before, held by a live owner, held by a ghost."""
    async with fleet_of(1) as fleet:
        assert 0 == await lock_list(context=desk.context(fleet, "json"))
        assert [] == desk.ran(0).document["locks"]
        lock_id = await left_hot(fleet)
        await lock_list(context=desk.context(fleet, "json"))
        (live,) = desk.ran(0).document["locks"]
        assert (lock_id, "held", "live", 2, []) == (
            live["id"],
            live["state"],
            live["liveness"]["verdict"],
            live["txn"]["seq"],
            live["waiters"],
        )
        await lock_list(context=of_a_ghost(desk, fleet, "text"))
        header, row = desk.ran(0).out.splitlines()
    assert ["LOCK", "STATE", "OWNER", "LIVENESS", "RENEWED", "TXN"] == header.split()
    assert row.startswith(f"{lock_id}  held   ")
    assert "ghost, proved" in row
    assert row.endswith("2 undecided")


async def test_show_takes_a_fleet_or_a_lock_id(desk: Desk) -> None:
    """With an id that is no longer the lock's it ends with 8."""
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        for name in (str(FLEET), lock_id):
            assert 0 == await lock_show(name, context=desk.context(fleet, "json"))
            document = desk.ran(0).document
            assert ("lock", lock_id) == (document["type"], document["id"])
        await lock_show(lock_id, context=desk.context(fleet))
        told = desk.ran(0).out
        with pytest.raises(OperatingError, match="is not the lock any more") as caught:
            await lock_show(f"{FLEET}@1", context=desk.context(fleet))
    assert Exit.PLAN_STALE is caught.value.exit_code
    assert "liveness  live" in told
    assert "txn       2 (t2), undecided" in told


async def test_a_dry_run_shows_everything_and_changes_nothing(desk: Desk) -> None:
    """Owner, evidence, open transaction, votes, decision, devices in doubt, outcome."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        before = await locks.read_fleet(fleet.world(), FLEET)
        code = await force_unlock(lock_id, dry_run=True, context=of_a_ghost(desk, fleet))
        document = desk.ran(code).document
        await force_unlock(lock_id, dry_run=True, context=of_a_ghost(desk, fleet, "text"))
        told = desk.ran(0)
        after = await locks.read_fleet(fleet.world(), FLEET)
    assert before == after
    assert (0, True, "none", None, 0) == (
        code,
        document["dry_run"],
        document["action"],
        document["decision"],
        document["votes"],
    )
    assert "txn 2 is undecided: ABORT is stored in the same write" in document["message"]
    assert "ghost" == document["lock"]["liveness"]["verdict"]
    for line in ("votes     0 of 2 yes", "decision  none yet", "in doubt  no device"):
        assert line in told.out
    assert "dry run: nothing was changed" in told.out
    assert f"next      aimctl lock force-unlock {lock_id} --reason TEXT --confirm" in told.err


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
        await fleet.drones[DeviceId("d-02")].kill()
        code = await force_unlock(
            lock_id,
            reason="test",
            confirm=lock_id,
            fleet=desk.fleet_file(2),
            context=desk.context(fleet, "json"),
        )
        ran = desk.ran(code)
        await fleet.drones[DeviceId("d-02")].start()
    assert (5, ["d-02"]) == (ran.code, ran.document["deferred"])
    assert "next      aimctl recover --fleet hazard-12" in ran.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"confirm": "{id}"}, "needs --reason"),
        ({"reason": "  ", "confirm": "{id}"}, "needs --reason"),
        ({"reason": "x" * 501, "confirm": "{id}"}, "more than 500"),
        ({"reason": "x"}, "no terminal"),
        ({"reason": "x", "confirm": "hazard-12@9"}, "is not hazard-12@3"),
        ({"reason": "x", "confirm": "{id}", "fleet": "{other}"}, "the lock is hazard-12's"),
    ],
)
async def test_an_unlock_that_is_not_ordered_properly_is_wrong_use(
    desk: Desk, options: dict[str, str], told: str
) -> None:
    """2, and nothing was changed."""
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        other = desk.other_fleet(1)
        given = {key: value.format(id=lock_id, other=other) for key, value in options.items()}
        context = desk.context(fleet)
        with pytest.raises(OperatingError, match=told) as caught:
            await force_unlock(lock_id, context=context, **given)  # type: ignore[arg-type]
        state = await locks.read_fleet(fleet.world(), FLEET)
    assert Exit.USAGE is caught.value.exit_code
    assert LockState.HELD is state.lock.state


@pytest.mark.parametrize(("typed", "code"), [("hazard-12@3\n", 0), ("y\n", 130), ("", 130)])
async def test_a_terminal_asks_to_type_the_lock_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """Nothing but the lock id will do."""
    monkeypatch.setattr("orchestrator.cli.locks.ask", lambda _question: typed)
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        context = desk.context(fleet, "json", person=True)
        ran = desk.ran(await force_unlock(lock_id, reason="test", context=context))
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
        await fleet.drones[DeviceId("d-02")].kill()
        context = desk.context(fleet, "json")
        running = asyncio.create_task(
            force_unlock(lock_id, reason="x", confirm=lock_id, context=context)
        )
        world = fleet.world()
        async with asyncio.timeout(10):
            while (await locks.read_fleet(world, FLEET)).lock.state is LockState.HELD:
                await world.clock.sleep(0.01)
        running.cancel()
        with pytest.raises(OperatingError, match="which is safe") as caught:
            await running
        await fleet.drones[DeviceId("d-02")].start()
        assert 0 == await recover(context=of_a_ghost(desk, fleet))
    assert Exit.UNKNOWN is caught.value.exit_code


# --- recover ----------------------------------------------------------------------------------


async def test_recover_resolves_a_ghost(desk: Desk) -> None:
    """The undecided transaction is aborted, the fleet is whole."""
    async with fleet_of(2) as fleet:
        await left_hot(fleet)
        code = await recover(context=of_a_ghost(desk, fleet))
        document = desk.ran(code).document
    assert (0, "recover", "abort") == (code, document["type"], document["decision"])
    assert {"active"} == set(document["devices"].values())


async def test_recover_never_takes_a_living_owners_lock(desk: Desk) -> None:
    """That is HOT, 6."""
    async with fleet_of(1) as fleet:
        await left_hot(fleet)
        with pytest.raises(OperatingError, match="HOT") as caught:
            await recover(context=desk.context(fleet))
    assert Exit.HOT is caught.value.exit_code


async def test_recover_without_any_fleet_has_nothing_to_do(desk: Desk) -> None:
    """0, and a document that says so."""
    async with fleet_of(1) as fleet:
        code = await recover(context=desk.context(fleet, "json"))
    assert {"schema": 1, "type": "recoveries", "fleets": [], "exit_code": 0} == desk.ran(
        code
    ).document


async def test_recover_of_several_fleets_goes_on_after_a_hot_one(desk: Desk) -> None:
    """Each fleet has its element; the exit code is the first that is not 0."""
    async with fleet_of(1) as fleet:
        await left_hot(fleet)
        world = fleet.world()
        held = await locks.acquire(world, FLEET.__class__("yard"), "push")
        assert isinstance(held, locks.Held)
        assert held.epoch.number == 1
        code = await recover(context=desk.context(fleet, "json"))
        document = desk.ran(code).document
    assert (6, ["hot", "hot"]) == (code, [one["type"] for one in document["fleets"]])
    assert ["hazard-12", "yard"] == [one["fleet"] for one in document["fleets"]]
