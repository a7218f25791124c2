"""``aimctl lock list`` and ``show``, and ``recover``: what they say of a fleet in memory."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.cli.locks import lock_list, lock_show
from orchestrator.cli.recover import recover
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol import lease
from orchestrator.protocol.fleet import FleetState
from orchestrator.protocol.records import Record
from orchestrator.protocol.types import FleetId, Ticket
from orchestrator.service import holding, locks
from orchestrator.service.holding import Want
from tests.cli.conftest import Desk, held_lock, left_hot, of_a_ghost, validated
from tests.service.fleet import FLEET, Fleet, fleet_of


async def in_line(fleet: Fleet, ticket: str = "k1") -> None:
    """Stand in the line for the lock."""
    world = fleet.world()

    def rule(state: FleetState) -> tuple[Record, ...]:
        asked = lease.queue(state, world.me("rollout"), "rollout", Ticket(ticket))
        assert not isinstance(asked, lease.Refused)
        return asked

    await locks.change(world, FLEET, rule)


async def asked_to_release(fleet: Fleet) -> None:
    """Ask the holder to let go."""
    world = fleet.world()

    def rule(state: FleetState) -> tuple[Record, ...]:
        asked = lease.request_release(state, state.lock.epoch, world.me("x"), "urgent fix")
        assert not isinstance(asked, lease.NotTheLock)
        return asked

    await locks.change(world, FLEET, rule)


async def test_list_names_owner_liveness_and_transaction(desk: Desk) -> None:
    """Free before, held by a live owner, held by a ghost."""
    async with fleet_of(1) as fleet:
        assert 0 == await lock_list(context=desk.context(fleet, "json"))
        assert [] == desk.ran(0).document["locks"]
        lock_id = await left_hot(fleet)
        await in_line(fleet)
        await lock_list(context=desk.context(fleet, "json"))
        (live,) = desk.ran(0).document["locks"]
        assert (lock_id, "held", "live", 2, ["rollout"]) == (
            live["id"],
            live["state"],
            live["liveness"]["verdict"],
            live["txn"]["seq"],
            [one["purpose"] for one in live["waiters"]],
        )
        await lock_list(context=of_a_ghost(desk, fleet, "text"))
        header, row = desk.ran(0).out.splitlines()
    assert ["LOCK", "STATE", "OWNER", "LIVENESS", "RENEWED", "WAITING", "TXN"] == header.split()
    assert row.startswith(f"{lock_id}  held   ")
    assert "ghost, proved" in row
    assert row.endswith("1, 1 gone  2 undecided")


async def test_watching_the_list_shows_a_document_per_change(desk: Desk) -> None:
    """Ages are no change; a lock that is taken, and one that is given back, are."""
    async with fleet_of(1) as fleet:
        shown: list[str] = []
        context = desk.context(fleet, "jsonl")
        watching = asyncio.create_task(lock_list(watch=True, context=context))
        await until(desk, shown, 1)
        held = await held_lock(fleet)
        await until(desk, shown, 2)
        await holding.renew(fleet.world(), FLEET, held.epoch, held.owner)
        await holding.release(fleet.world(), FLEET, held.epoch, held.owner)
        await until(desk, shown, 3)
        watching.cancel()
        assert 0 == await watching
    states = [[one["state"] for one in validated(line)["locks"]] for line in shown]
    assert [[], ["held"], ["free"]] == states


async def until(desk: Desk, shown: list[str], count: int) -> None:
    """Collect what is written until there are ``count`` lines."""
    async with asyncio.timeout(20):
        while len(shown) < count:
            shown.extend(desk.capsys.readouterr().out.splitlines())
            await asyncio.sleep(0.02)


async def test_watching_as_one_document_is_wrong_use(desk: Desk) -> None:
    """2, and the command that was meant."""
    async with fleet_of(1) as fleet:
        with pytest.raises(OperatingError, match="shows many") as caught:
            await lock_list(watch=True, context=desk.context(fleet, "json"))
    assert Exit.USAGE is caught.value.exit_code
    assert "--output jsonl" in str(caught.value.next_command)


# --- show -------------------------------------------------------------------------------------


async def test_show_takes_a_fleet_or_a_lock_id(desk: Desk) -> None:
    """With an id that never was the lock's it ends with 8."""
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        for name in (str(FLEET), lock_id):
            assert 0 == await lock_show(name, context=desk.context(fleet, "json"))
            document = desk.ran(0).document
            assert ("lock", lock_id) == (document["type"], document["id"])
        with pytest.raises(OperatingError, match="is not the lock any more") as caught:
            await lock_show(f"{FLEET}@77", context=desk.context(fleet))
    assert Exit.PLAN_STALE is caught.value.exit_code


async def test_show_answers_every_question_of_the_night(desk: Desk) -> None:
    """Who owns it, do they live and why, what is in flight, who waits, what was asked."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        await in_line(fleet)
        await asked_to_release(fleet)
        assert 0 == await lock_show(str(FLEET), context=of_a_ghost(desk, fleet, "text"))
        told = desk.ran(0).out
        pid = fleet.world().me("x").pid
    lines = told.splitlines()
    assert f"lock      {lock_id}   held" == lines[0]
    assert lines[1].endswith(f", aimctl push, pid {pid}")
    assert "liveness  ghost, proved" == lines[2]
    assert f"          pid {pid} is gone: " in told
    assert "txn       2 (t2), undecided; 2 members, begun " in told
    assert "asked     to release, by " in told
    assert "answer    no answer yet" in lines
    assert "waiting   1. " in told
    assert "; ghost, proved: gone" in told


async def test_show_tells_the_story_of_all_holdings_or_of_one(desk: Desk) -> None:
    """Time, who and what; a lock id that is over shows its own story, and 8."""
    async with fleet_of(1) as fleet:
        await left_hot(fleet)
        await lock_show(str(FLEET), context=desk.context(fleet, "json"))
        whole = desk.ran(0).document
        code = await lock_show(f"{FLEET}@1", context=desk.context(fleet, "json"))
        first = desk.ran(code)
        await lock_show(f"{FLEET}@1", context=desk.context(fleet, "text"))
        told = desk.ran(0).out
    kinds = ["lock_taken", "begun", "decided", "ended", "lock_released"]
    assert [*kinds, "lock_taken", "begun"] == [one["kind"] for one in whole["history"]]
    assert (8, 8, "hazard-12@1", kinds) == (
        first.code,
        first.document["exit_code"],
        first.document["holding"],
        [one["kind"] for one in first.document["history"]],
    )
    assert {fleet_owner(whole)} == {
        one["who"].rpartition(", aimctl")[0] for one in whole["history"]
    }
    assert "note      hazard-12@1 is not the lock any more" in first.err
    assert "story of hazard-12@1" in told.splitlines()
    assert "decided COMMIT: every member voted yes" in told


def fleet_owner(document: dict[str, object]) -> str:
    """The user and host of the owner."""
    owner = document["owner"]
    assert isinstance(owner, dict)
    return f"{owner['user']}@{owner['host']}"


async def test_show_ends_with_what_each_way_out_would_do(desk: Desk) -> None:
    """The gentlest first; `recover` only for a ghost; a free lock has none."""
    async with fleet_of(2) as fleet:
        await held_lock(fleet, "calibrate")
        await lock_show(str(FLEET), context=desk.context(fleet, "json"))
        idle = {way["name"]: way["would"] for way in desk.ran(0).document["ways"]}
        await lock_show(str(FLEET), context=of_a_ghost(desk, fleet))
        gone = {way["name"]: way["would"] for way in desk.ran(0).document["ways"]}
        await lock_show(str(FLEET), context=desk.context(fleet))
        last = desk.ran(0).out.splitlines()[-4:]
    assert ["release", "request-release", "force-unlock", "break-glass"] == list(idle)
    assert "the lock is free: it is ours, and nothing is open" == idle["release"]
    assert "no transaction is open: the epoch rises, and the lock is free" == idle["force-unlock"]
    assert ["release", "request-release", "recover", "force-unlock", "break-glass"] == list(gone)
    assert gone["release"].startswith("refused: only ")
    assert gone["request-release"].endswith("is gone, and nobody would answer")
    commands = ["release", "request-release", "force-unlock", "break-glass"]
    assert [f"aimctl lock {name} hazard-12@1" for name in commands] == [
        line.partition("  ")[0] for line in last
    ]


async def test_show_of_a_transaction_says_what_becomes_of_it(desk: Desk) -> None:
    """Undecided: each verb says that it aborts, and what is left to the devices."""
    async with fleet_of(2) as fleet:
        await left_hot(fleet)
        await lock_show(str(FLEET), context=desk.context(fleet, "json"))
        would = {way["name"]: way["would"] for way in desk.ran(0).document["ways"]}
    assert "refused: txn 2 is open" in would["release"]
    assert (
        "asks the owner, who aborts txn 2 unless it is decided first" in would["request-release"]
    )
    assert "txn 2 is undecided: ABORT is stored in the same write" in would["force-unlock"]
    assert "each that is not heard to have followed is quarantined" in would["break-glass"]


async def test_a_free_lock_is_for_the_first_in_line(desk: Desk) -> None:
    """There is nothing to get out of, and it says whose turn it is."""
    async with fleet_of(1) as fleet:
        held = await held_lock(fleet)
        await in_line(fleet)
        await holding.release(fleet.world(), FLEET, held.epoch, held.owner)
        await lock_show(str(FLEET), context=desk.context(fleet))
        last = desk.ran(0).out.splitlines()[-1]
    assert last.startswith("the lock is free: it is for ")
    assert ", aimctl rollout, pid " in last


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
        held = await holding.acquire(fleet.world(), FleetId("yard"), Want(purpose="push"))
        assert isinstance(held, locks.Held)
        code = await recover(context=desk.context(fleet, "json"))
        document = desk.ran(code).document
    assert (6, ["hot", "hot"]) == (code, [one["type"] for one in document["fleets"]])
    assert ["hazard-12", "yard"] == [one["fleet"] for one in document["fleets"]]
