"""``aimctl status``, ``history``, ``show`` and ``abort`` on a fleet in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from orchestrator.cli.history import abort, history, show
from orchestrator.cli.status import status
from orchestrator.cli.view import Document, JsonlView
from orchestrator.errors import Exit, OperatingError
from orchestrator.protocol.types import DeviceId, TxnId
from orchestrator.service.push import push
from tests.cli.conftest import Desk
from tests.cli.test_push import pushed, until_open
from tests.service.fleet import FLEET, NEW, OLD, Fleet, fleet_of, order

D2 = DeviceId("d-02")


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
