"""``aimctl reseed`` on a fleet in memory whose store was restored from a backup."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.cli.locks import lock_show
from orchestrator.cli.reseed import reseed
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId
from orchestrator.service import locks
from orchestrator.service.push import push
from orchestrator.storage.memory import MemoryStore
from tests.cli.conftest import Aimctl, Desk, Gone, InMemory
from tests.service.fleet import FLEET, NEW, OLD, Fleet, fleet_of, order
from tests.service.steps import Killed, killed_at

D2 = DeviceId("d-02")


async def rolled_back(fleet: Fleet) -> MemoryStore:
    """Push versions 1 and 2, and go back to a backup from between them."""
    assert isinstance(fleet.store, MemoryStore)
    await push(fleet.world(), order(0, OLD, list(fleet.drones)))
    backup = fleet.store.backup()
    await push(fleet.world(), order(1, NEW, list(fleet.drones)))
    return backup


def on(
    store: MemoryStore, desk: Desk, fleet: Fleet, output: str = "json", **extra: bool
) -> InMemory:
    """A context with another store."""
    return replace(desk.context(fleet, output, **extra), made=fleet.world(store))


async def test_a_dry_run_names_every_contradiction_and_who_was_heard(desk: Desk) -> None:
    """What each device knows, who is silent, what would be adopted; nothing is changed."""
    async with fleet_of(3) as fleet:
        backup = await rolled_back(fleet)
        await fleet.drones[D2].kill()
        before = await locks.read_fleet(fleet.world(backup), FLEET)
        file = desk.fleet_file(3)
        code = await reseed(fleet=file, dry_run=True, context=on(backup, desk, fleet))
        document = desk.ran(code).document
        await reseed(fleet=file, dry_run=True, context=on(backup, desk, fleet, "text"))
        told = desk.ran(0)
        after = await locks.read_fleet(fleet.world(backup), FLEET)
        await fleet.drones[D2].start()
    assert before == after
    assert (0, "reseed", True, True, "none") == (
        code,
        *(document[key] for key in ("type", "dry_run", "needed", "action")),
    )
    assert ["d-01", "d-03"] == list(document["contradictions"])
    assert {"d-01": 2, "d-03": 2} == {n: one["version"] for n, one in document["heard"].items()}
    assert ["d-02"] == document["unheard"]
    assert "the fleet is at version 2 by the word of its devices" in document["message"]
    assert "aimctl reseed --fleet hazard-12 --reason TEXT --confirm hazard-12" == document["next"]
    for line in ("unheard   d-02", "dry run: nothing was changed"):
        assert line in told.out.splitlines()
    assert "contrary  d-01: " in told.out


async def test_a_confirmed_reseed_adopts_what_the_devices_know(desk: Desk) -> None:
    """0: the journal goes on from their version, and its story says so."""
    async with fleet_of(3) as fleet:
        backup = await rolled_back(fleet)
        file = desk.fleet_file(3)
        context = on(backup, desk, fleet)
        code = await reseed(fleet=file, reason="backup", confirm="hazard-12", context=context)
        document = desk.ran(code).document
        await lock_show(str(FLEET), context=on(backup, desk, fleet))
        story = [one["text"] for one in desk.ran(0).document["history"]]
    assert (0, "reseeded", False) == (code, document["action"], document["dry_run"])
    assert "The journal goes on from version 2" in document["message"]
    assert any("from txn 2 on: backup" in line for line in story)
    assert any("adopted from the devices: txn 2 COMMIT" in line for line in story)


async def test_a_reseed_that_is_not_needed_is_refused(desk: Desk) -> None:
    """A dry run says so with 0; doing it is wrong use, 2."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        file, context = desk.fleet_file(2), desk.context(fleet, "json")
        await reseed(fleet=file, dry_run=True, context=context)
        document = desk.ran(0).document
        with pytest.raises(OperatingError, match="nothing to reseed") as caught:
            await reseed(fleet=file, reason="x", confirm="hazard-12", context=context)
    assert (False, None) == (document["needed"], document["next"])
    assert Exit.USAGE is caught.value.exit_code


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"confirm": "hazard-12"}, "needs --reason"),
        ({"reason": "x\ty", "confirm": "hazard-12"}, "can't be printed"),
        ({"reason": "x"}, "no terminal"),
        ({"reason": "x", "confirm": "hazard"}, "is not hazard-12"),
    ],
)
async def test_a_reseed_that_is_not_ordered_properly_is_wrong_use(
    desk: Desk, options: dict[str, Any], told: str
) -> None:
    """2, and nothing was changed."""
    async with fleet_of(1) as fleet:
        backup = await rolled_back(fleet)
        before = await locks.read_fleet(fleet.world(backup), FLEET)
        context = on(backup, desk, fleet)
        with pytest.raises(OperatingError, match=told) as caught:
            await reseed(fleet=desk.fleet_file(1), context=context, **options)
        after = await locks.read_fleet(fleet.world(backup), FLEET)
    assert (Exit.USAGE, before) == (caught.value.exit_code, after)


@pytest.mark.parametrize(("typed", "code"), [("hazard-12\n", 0), ("yes\n", 130), ("", 130)])
async def test_a_terminal_asks_to_type_the_fleets_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """Nothing but the name will do, and what would be done is shown first."""
    monkeypatch.setattr("orchestrator.cli.push.ask", lambda _question: typed)
    async with fleet_of(2) as fleet:
        backup = await rolled_back(fleet)
        context = on(backup, desk, fleet, person=True)
        ran = desk.ran(await reseed(fleet=desk.fleet_file(2), reason="x", context=context))
        state = await locks.read_fleet(fleet.world(backup), FLEET)
    assert (code, code) == (ran.code, ran.document["exit_code"])
    assert (2 if code == 0 else 1) == state.version
    assert "contrary  d-01: " in ran.err


async def test_a_reseed_in_the_middle_shows_in_the_lock_and_goes_on(desk: Desk) -> None:
    """5 while somebody is to be heard: the lock says so, break-glass refuses, the same goes on."""
    async with fleet_of(2) as fleet:
        assert isinstance(fleet.store, MemoryStore)
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        backup = await in_doubt(fleet)
        await fleet.drones[D2].kill()
        file = desk.fleet_file(2)
        given: dict[str, Any] = {"fleet": file, "reason": "backup", "confirm": "hazard-12"}
        code = await reseed(**given, context=on(backup, desk, fleet))
        stuck = desk.ran(code)
        await lock_show(str(FLEET), context=on(backup, desk, fleet))
        lock = desk.ran(0).document
        await lock_show(str(FLEET), context=on(backup, desk, fleet, "text"))
        told = desk.ran(0).out
        await fleet.drones[D2].start()
        later = on(backup, desk, fleet)
        gone = replace(later.made, processes=Gone(later.made.me("reseed")))
        code = await reseed(**given, context=replace(later, made=gone))
        done = desk.ran(code)
        state = await locks.read_fleet(fleet.world(backup), FLEET)
    assert (5, "resolving", True) == (stuck.code, lock["state"], lock["reseeding"])
    assert "aimctl reseed --fleet hazard-12" in stuck.document["next"]
    assert "reseed    under way: it has not heard all devices yet" in told.splitlines()
    ways = {way["name"]: way["would"] for way in lock["ways"]}
    assert ways["break-glass"].startswith("refused: a reseed is under way")
    assert (0, LockState.FREE) == (done.code, state.lock.state)


async def in_doubt(fleet: Fleet) -> MemoryStore:
    """Leave both devices in doubt about a transaction that a restored backup has lost."""
    assert isinstance(fleet.store, MemoryStore)
    backup = fleet.store.backup()
    fatal = killed_at("append:decided:before")
    with pytest.raises(Killed):
        await push(fleet.world(faults=fatal), order(1, NEW, list(fleet.drones)))
    return backup


@pytest.mark.parametrize(
    "arguments",
    [
        ("reseed", "--fleet", "{file}", "--reason", "x", "--confirm", "hazard-12"),
        ("devices", "retire", "d-01", "--fleet", "{file}", "--reason", "x", "--confirm", "d-01"),
        ("devices", "settle", "d-01", "--fleet", "{file}", "--reason", "x"),
        ("lock", "force-unlock", "hazard-12@1", "--reason", "x", "--confirm", "hazard-12@1"),
        ("lock", "break-glass", "hazard-12@1", "--reason", "x", "--confirm", "hazard-12@1"),
        ("lock", "request-release", "hazard-12@1", "--reason", "x"),
        ("lock", "release", "hazard-12@1", "--reason", "x"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_store_that_is_not_there_is_never_worked_on(
    aimctl: Aimctl, desk: Desk, arguments: tuple[str, ...]
) -> None:
    """A mistyped path changes nothing, and is not told as done: 11, and no file is made."""
    file, store = desk.fleet_file(2), desk.home / "typo.db"
    given = [one.format(file=file) for one in arguments]
    ran = aimctl(*given, "--store", f"sqlite:///{store}")
    assert (11, False) == (ran.code, store.exists())
    assert "does not exist; nothing was begun" in ran.err
