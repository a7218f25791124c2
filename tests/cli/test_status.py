"""``aimctl status``, ``history``, ``show`` and ``abort`` on a fleet in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from orchestrator.cli.history import abort, history, show
from orchestrator.cli.recover import recover
from orchestrator.cli.status import status, troubles
from orchestrator.cli.view import Document, JsonlView
from orchestrator.errors import Exit, OperatingError
from orchestrator.locksmith.processes import LinuxProcesses
from orchestrator.protocol.fleet import Lock
from orchestrator.protocol.records import LeaseHorizon, Record, Verb
from orchestrator.protocol.types import DeviceId, Epoch, Outcome, TxnId
from orchestrator.service import locks
from orchestrator.service.devices import Word, decide, retire, settle
from orchestrator.service.push import push
from orchestrator.service.reading import FleetView
from orchestrator.service.reseeding import run as reseed
from orchestrator.service.resolving import break_glass
from orchestrator.service.results import LockView
from tests.cli.conftest import Desk, left_hot, of_a_ghost
from tests.cli.doubts import D2, backup, held_in_doubt
from tests.cli.test_push import pushed, until_open
from tests.service.fleet import FLEET, NEW, OLD, TIMING, Fleet, fleet_of, order, resolving


async def two_versions(fleet: Fleet) -> None:
    """Install version 1, and abort txn 2."""
    names = list(fleet.drones)
    await push(fleet.world(), order(0, OLD, names))
    fleet.drones[D2].refuses = ("gimbal blocked",)
    await push(fleet.world(), order(1, NEW, names))


async def test_status_names_every_device(desk: Desk) -> None:
    """One fleet of the store is one document, with INTERFACE's keys."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        code = await status(context=desk.context(fleet, "json"))
        document = desk.ran(code).document
    assert (0, "status", "hazard-12", 1, False, []) == (
        code,
        *(document[key] for key in ("type", "fleet", "version", "split", "exceptions")),
    )
    assert {"active"} == {one["state"] for one in document["devices"].values()}
    assert "free" == document["lock"]["state"]


async def test_status_of_devices_that_need_a_look(desk: Desk) -> None:
    """Silent, deferred and excepted ones are named above the table."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        await fleet.drones[D2].kill()
        await status(fleet=desk.fleet_file(3), context=desk.context(fleet))
        told = desk.ran(0).out.splitlines()
        await fleet.drones[D2].start()
    assert "fleet hazard-12   version 1" in told[0]
    assert "lock      free" == told[1]
    assert "offline   d-02" in told
    rows = {line.split()[0]: line for line in told if line.startswith("d-")}
    assert "✔ active" in rows["d-01"]
    assert "○ offline" in rows["d-02"]
    assert "· unknown" in rows["d-03"]


async def said(desk: Desk, fleet: Fleet) -> list[str]:
    """What `status` says of the fleet, as text."""
    await status(context=of_a_ghost(desk, fleet, "text"))
    return desk.ran(0).out.splitlines()


def entry(lease_s: float | None, until: float, *devices: str) -> Record:
    """A record of leases."""
    names = tuple(DeviceId(name) for name in devices)
    return LeaseHorizon(lease_s=lease_s, until=until, devices=names, leased=names)


async def append(fleet: Fleet, record: Record) -> None:
    """Write what somebody else would."""
    await locks.change(fleet.world(), FLEET, lambda _state: (record,))


async def test_status_names_who_is_quarantined_and_excepted(desk: Desk) -> None:
    """By name, with what enable_lease = "none" makes of them; recover is what helps."""
    async with fleet_of(2) as fleet:
        await left_hot(fleet)
        fleet.broker.stop()
        await break_glass(fleet.world(), resolving(Epoch(1, 3)))
        fleet.broker.start()
        await status(context=desk.context(fleet, "json"))
        document = desk.ran(0).document
        told = await said(desk, fleet)
    assert {True} == {one["quarantined"] for one in document["devices"].values()}
    assert "quarantined d-01, d-02" in told
    assert 'excepted  d-01, d-02 (enable_lease = "none")' in told
    assert "next      aimctl recover --fleet hazard-12" in told


async def test_status_says_how_long_leases_are(desk: Desk) -> None:
    """With leases there is no exception for a device that has one, and a retired one is named."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        word = Word(fleet=FLEET, device=D2, reason="lost at sea")
        await retire(fleet.world(), word)
        without = await said(desk, fleet)
        until = fleet.world().clock.now() + 60
        await append(fleet, entry(30.0, until, "d-01", "d-02"))
        leased = await said(desk, fleet)
        await status(context=desk.context(fleet, "json"))
        document = desk.ran(0).document
    assert {"retired   d-02", 'excepted  d-02 (enable_lease = "none")'} < set(without)
    assert {"retired   d-02", "leases    of 30 s, renewed by `aimctl serve`"} < set(leased)
    assert not [line for line in leased if line.startswith("excepted")]
    assert (30.0, True) == (document["enable_lease_s"], document["devices"]["d-02"]["retired"])


async def test_status_shows_a_person_who_decided_otherwise(desk: Desk) -> None:
    """First as undecided, then as HEURISTIC_MIXED; it goes on being shown."""
    async with fleet_of(2) as fleet:
        txn = await held_in_doubt(fleet)
        word = Word(fleet=FLEET, device=D2, reason="must land")
        await decide(fleet.world(), word, txn, Outcome.COMMIT, TIMING)
        before = await said(desk, fleet)
        await recover(context=of_a_ghost(desk, fleet))
        after = await said(desk, fleet)
        await status(context=desk.context(fleet, "json"))
        document = desk.ran(0).document
    user = LinuxProcesses().me("aimctl").user
    assert f"heuristic d-02: commit by {user}, nothing is decided" in before
    mixed = f"HEURISTIC_MIXED: commit by {user}, decided was abort"
    assert f"heuristic d-02: {mixed}" in after
    assert "next      aimctl devices show d-02 --fleet hazard-12" in after
    assert {"d-02": mixed} == document["heuristics"]
    assert mixed == document["devices"]["d-02"]["heuristic"]


async def test_mixed_is_bold_red() -> None:
    """It is the one thing that two versions in one fleet come from on purpose."""
    lock = LockView(fleet=FLEET, config="", lock=Lock(), liveness=None, txn=None)
    mixed = "HEURISTIC_MIXED: commit by mira, decided was abort"
    view = FleetView(fleet=FLEET, version=1, digest=None, lock=lock, heuristics={D2: mixed})
    assert (f"heuristic d-02: {mixed}", "bold red") in troubles(view)


async def test_status_of_a_store_that_was_rolled_back(desk: Desk) -> None:
    """Each device that contradicts it is named; a reseed, and nothing else, is recommended."""
    async with fleet_of(1) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        old = backup(fleet)
        await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        rolled_back = replace(fleet, store=old)
        await status(context=desk.context(rolled_back, "json"))
        document = desk.ran(0).document
        told = await said(desk, rolled_back)
    assert "it has seen epoch" in document["contradictions"]["d-01"]
    found = [line for line in told if line.startswith(("ROLLED BACK", "next"))]
    assert found[0].startswith("ROLLED BACK  the store was, or is not this fleet's: d-01: it has")
    assert ["next      aimctl reseed --fleet hazard-12 --dry-run"] == found[1:]


async def test_status_never_sends_somebody_to_a_living_owners_lock(desk: Desk) -> None:
    """Devices in doubt under a living owner are at work: there is no next command."""
    async with fleet_of(2) as fleet:
        await held_in_doubt(fleet)
        await status(context=desk.context(fleet))
        told = desk.ran(0).out.splitlines()
    assert "in doubt  d-01, d-02" in told
    assert not [line for line in told if line.startswith("next")]


async def test_status_without_any_fleet(desk: Desk) -> None:
    """An empty store is no error."""
    async with fleet_of(1) as fleet:
        assert 0 == await status(context=desk.context(fleet, "json"))
        assert [] == desk.ran(0).document["fleets"]
        with pytest.raises(OperatingError, match="there is no fleet 'yard'") as caught:
            await status(fleet="yard", context=desk.context(fleet))
    assert Exit.USAGE is caught.value.exit_code


async def test_status_of_a_transaction_ends_by_its_outcome(desk: Desk) -> None:
    """0 for a COMMIT that all have followed, 4 for an ABORT, 2 for one that nobody knows."""
    async with fleet_of(2) as fleet:
        await two_versions(fleet)
        context = desk.context(fleet, "json")
        assert 0 == await status("hazard-12/1", context=context)
        desk.ran(0)
        assert 4 == await status("hazard-12/2", watch=True, context=context)
        assert "status" == desk.ran(4).document["type"]
        with pytest.raises(OperatingError, match="no transaction t9") as caught:
            await status("t9", context=context)
    assert Exit.USAGE is caught.value.exit_code


@dataclass
class Shown(JsonlView):
    """Keeps what is shown, for a test that waits for it."""

    kept: list[Document] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, document: Document, text: object) -> None:
        self.kept.append(document)
        self.news.set()

    async def until(self, version: int) -> None:
        async with asyncio.timeout(20):
            while not self.kept or self.kept[-1]["version"] != version:
                self.news.clear()
                await self.news.wait()


async def test_watching_tells_changes_until_ctrl_c(desk: Desk) -> None:
    """Without a terminal each change is told once; Ctrl-C ends it with 0; json needs jsonl."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        shown = Shown()
        context = replace(desk.context(fleet, "jsonl"), view=shown)
        watching = asyncio.create_task(status(watch=True, context=context))
        await shown.until(1)
        await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        await shown.until(2)
        watching.cancel()
        assert 0 == await watching
        with pytest.raises(OperatingError, match="--watch shows many") as caught:
            await status(watch=True, context=desk.context(fleet, "json"))
    states = [str(document) for document in shown.kept]
    assert len(states) == len(set(states))
    assert Exit.USAGE is caught.value.exit_code


async def test_history_and_show_tell_the_journal(desk: Desk) -> None:
    """All records in order; of one transaction its own, who refused, and why."""
    async with fleet_of(2) as fleet:
        await two_versions(fleet)
        await history(context=desk.context(fleet, "json"))
        (story,) = desk.ran(0).document["fleets"]
        await show("2", fleet=FLEET, context=desk.context(fleet, "json"))
        document = desk.ran(0).document
        await show("hazard-12/2", context=desk.context(fleet))
        told = desk.ran(0).out
    kinds = ["lock_taken", "begun", "decided", "ended", "lock_released"]
    assert [*kinds, *kinds] == [entry["kind"] for entry in story["entries"]]
    assert ["begun", "decided", "ended"] == [entry["kind"] for entry in document["entries"]]
    assert {"d-02": ["gimbal blocked"]} == document["refused"]
    assert "txn 2 of fleet hazard-12: ABORT" == told.splitlines()[0]
    assert "refused   d-02: gimbal blocked" in told


async def test_show_lists_the_quarantined(desk: Desk) -> None:
    """As the transaction ended, whatever became of them since; its exit code is 5."""
    async with fleet_of(2) as fleet:
        await left_hot(fleet)
        await break_glass(fleet.world(), resolving(Epoch(1, 3)))
        await show("hazard-12/2", context=desk.context(fleet, "json"))
        document = desk.ran(0).document
        await show("hazard-12/2", context=desk.context(fleet))
        told = desk.ran(0).out.splitlines()
        await history(context=desk.context(fleet))
        story = desk.ran(0).out
    assert ["d-01", "d-02"] == document["quarantined"]
    assert "quarantined d-01, d-02" in told
    assert [line for line in told if line.startswith("because   lock hazard-12@3 was resolved")]
    assert "ended, quarantined: d-01, d-02" in story


async def test_history_tells_what_people_said_of_devices(desk: Desk) -> None:
    """Who, of which device, and why."""
    async with fleet_of(2) as fleet:
        txn = await held_in_doubt(fleet)
        word = Word(fleet=FLEET, device=D2, reason="must land")
        await decide(fleet.world(), word, txn, Outcome.ABORT, TIMING)
        await recover(context=of_a_ghost(desk, fleet))
        await settle(fleet.world(), replace(word, reason="seen"))
        await retire(fleet.world(), replace(word, reason="lost at sea"))
        await history(context=desk.context(fleet))
        told = desk.ran(0).out
    assert f"lets d-02 operate as if {txn} were ABORT: must land" in told
    assert "has settled the heuristic outcome of d-02: seen" in told
    assert "d-02 retired by " in told


async def test_show_finds_what_a_reseed_has_relisted(desk: Desk) -> None:
    """A transaction that the journal had lost is told as far as the devices knew it."""
    async with fleet_of(1) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        old = backup(fleet)
        await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        mended = replace(fleet, store=old)
        await reseed(mended.world(), resolving(verb=Verb.RESEED, command="reseed"))
        await show("hazard-12/2", context=desk.context(mended, "json"))
        document = desk.ran(0).document
    assert ("commit", 2) == (document["decision"], document["seq"])
    assert "adopted from the devices by a reseed" == document["cause"]


async def test_abort_is_obeyed_by_the_living_owner(desk: Desk) -> None:
    """The one who asks ends with 0, the push with 4; both were read from the store."""
    async with fleet_of(2) as fleet:
        await pushed(desk, fleet, 90)
        await fleet.drones[D2].kill()
        running = asyncio.create_task(pushed(desk, fleet, 110, window_s=4.0))
        await until_open(fleet)
        code = await abort("hazard-12/2", reason="wrong file", context=desk.context(fleet))
        ran = await running
        await fleet.drones[D2].start()
    assert (0, 4) == (code, ran.code)
    assert "txn 2: decided ABORT: the fleet is unchanged" in ran.out


async def test_abort_of_a_commit_is_refused(desk: Desk) -> None:
    """A decision never changes: 5; an unknown transaction: 2."""
    async with fleet_of(2) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        context = desk.context(fleet)
        for txn, code in (("hazard-12/1", Exit.ACTIVATING), (TxnId("t9"), Exit.USAGE)):
            with pytest.raises(OperatingError) as caught:
                await abort(txn, reason="x", context=context)
            assert code is caught.value.exit_code
