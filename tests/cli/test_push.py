"""``aimctl push`` on a fleet in memory: what it shows, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.cli.main import fail
from orchestrator.cli.plan import plan
from orchestrator.cli.push import push
from orchestrator.errors import Exit, OperatingError
from orchestrator.ports import Transport
from orchestrator.protocol.coordinator import Phase
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId, FleetId
from orchestrator.service import locks
from orchestrator.transport.memory import MemoryTransport
from tests.cli.conftest import Desk, InMemory, Ran, held_lock
from tests.service.fleet import FLEET, Fleet, fleet_of

D2 = DeviceId("d-02")


async def pushed(
    desk: Desk,
    fleet: Fleet,
    rate: int,
    output: str = "json",
    *,
    window_s: float | None = None,
    timeout_s: float | None = None,
) -> Ran:
    """Push a configuration of that rate, without asking."""
    code = await push(
        desk.config(rate),
        fleet=desk.fleet_file(len(fleet.drones)),
        yes=True,
        window_s=window_s,
        timeout_s=timeout_s,
        context=desk.context(fleet, output),
    )
    return desk.ran(code)


async def test_json_is_one_document_and_narration_is_beside_it(desk: Desk) -> None:
    """Exit 0; stdout has the result alone, stderr one line for each phase."""
    async with fleet_of(3) as fleet:
        ran = await pushed(desk, fleet, 90)
    assert (0, "commit", 1) == (ran.code, ran.document["decision"], ran.document["version"])
    assert {"yes"} == {part["vote"] for part in ran.document["devices"].values()}
    assert [
        "lock      hazard-12@1 is ours",
        "begun     txn 1, begun on version 0, 3 members",
        "prepare   3/3 votes",
        "decided   COMMIT",
        "active    3/3",
    ] == ran.err.splitlines()


async def test_text_has_a_line_for_each_device_and_the_end(desk: Desk) -> None:
    """The result stands on stdout, with a word beside every sign, and no escapes."""
    async with fleet_of(2) as fleet:
        ran = await pushed(desk, fleet, 90, "text")
    lines = ran.out.splitlines()
    assert (
        "DEVICE  KIND   VOTE   STATE     VERSION  HELD" == lines[0].removesuffix("NOTE").rstrip()
    )
    assert lines[1].startswith("d-01    drone  ✔ yes  ✔ active  1        ")
    assert "✔ decided COMMIT: every device runs version 1" in lines
    assert "\x1b" not in ran.out


async def test_jsonl_streams_progress_before_the_result(desk: Desk) -> None:
    """Progress documents in the order of the phases, the result last."""
    async with fleet_of(2) as fleet:
        ran = await pushed(desk, fleet, 90, "jsonl")
    *progress, result = ran.documents
    assert ("push", 0) == (result["type"], result["exit_code"])
    assert {"progress"} == {one["type"] for one in progress}
    phases = list(dict.fromkeys(one["phase"] for one in progress))
    expected = [Phase.JOINING, Phase.PREPARING, Phase.DRIVING, Phase.RELEASING, Phase.DONE]
    assert [str(phase) for phase in expected] == phases
    assert (2, 2, "commit") == tuple(progress[-1][key] for key in ("votes", "members", "decision"))


async def test_the_same_again_is_nothing_to_do(desk: Desk) -> None:
    """Exit 0, no transaction."""
    async with fleet_of(2) as fleet:
        await pushed(desk, fleet, 90)
        ran = await pushed(desk, fleet, 90)
    assert (0, None, "") == (ran.code, ran.document["txn"], ran.err)


async def test_a_no_ends_with_4_and_its_reasons(desk: Desk) -> None:
    """Who refused and why stands in a line of its own, and in the result."""
    async with fleet_of(3) as fleet:
        await pushed(desk, fleet, 90)
        fleet.drones[D2].refuses = ("gimbal blocked",)
        ran = await pushed(desk, fleet, 110)
    assert (4, "abort", 1) == (ran.code, ran.document["decision"], ran.document["version"])
    assert ["gimbal blocked"] == ran.document["devices"]["d-02"]["reasons"]
    assert "refused   d-02: gimbal blocked" in ran.err.splitlines()
    assert "decided   ABORT (refused)" in ran.err.splitlines()


async def test_the_timeout_aborts_with_10(desk: Desk) -> None:
    """A silent device and an impatient operator: aborted, and it says why."""
    async with fleet_of(2) as fleet:
        await pushed(desk, fleet, 90)
        await fleet.drones[D2].kill()
        ran = await pushed(desk, fleet, 110, window_s=3.0, timeout_s=2.0)
        assert (10, "abort") == (ran.code, ran.document["decision"])
        assert ["no decision within 2 s"] == ran.document["reasons"]
        await fleet.drones[D2].start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_before_the_decision_aborts_with_130(
    desk: Desk, number: signal.Signals
) -> None:
    """The first Ctrl-C, or SIGTERM, is an abort that is stored before it is told."""
    async with fleet_of(2) as fleet:
        await pushed(desk, fleet, 90)
        await fleet.drones[D2].kill()
        running = asyncio.create_task(pushed(desk, fleet, 110, window_s=8.0))
        await until_open(fleet)
        os.kill(os.getpid(), number)
        ran = await running
        state = await locks.read_fleet(fleet.world(), FLEET)
        await fleet.drones[D2].start()
    assert (130, "abort") == (ran.code, ran.document["decision"])
    assert "interrupt aborting (press again to leave it to `aimctl recover`)" in ran.err
    assert (LockState.FREE, None) == (state.lock.state, state.open)


async def test_a_second_signal_leaves_at_once_with_12(desk: Desk) -> None:
    """Nothing is known then, so it says what to run; the lock stays for `recover`."""
    async with fleet_of(2) as fleet:
        await pushed(desk, fleet, 90)
        await fleet.drones[D2].kill()
        running = asyncio.create_task(pushed(desk, fleet, 110, window_s=8.0))
        await until_open(fleet)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(OperatingError, match="left at once") as caught:
            await running
        await fleet.drones[D2].start()
    assert Exit.UNKNOWN is caught.value.exit_code
    assert "aimctl recover --fleet hazard-12" == caught.value.next_command


async def test_a_signal_before_the_lock_begins_nothing(desk: Desk) -> None:
    """While it connects there is nothing to abort: 130 at once."""
    async with fleet_of(1) as fleet:
        context, silent = desk.context(fleet, "json"), Silent()
        slow = replace(context, made=replace(context.made, connect=silent.connect))
        running = asyncio.create_task(
            push(desk.config(), fleet=desk.fleet_file(1), yes=True, context=slow)
        )
        await silent.asked.wait()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(OperatingError, match="nothing was begun") as caught:
            await running
    assert Exit.INTERRUPTED is caught.value.exit_code


@dataclass
class Silent:
    """A broker that accepts and then says nothing."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def connect(self, _fleet: FleetId) -> AsyncIterator[Transport]:
        self.asked.set()
        await asyncio.Event().wait()
        yield MemoryTransport.__new__(MemoryTransport)  # never reached


async def until_open(fleet: Fleet) -> None:
    """Wait until a transaction is open."""
    world = fleet.world()
    async with asyncio.timeout(10):
        while (await locks.read_fleet(world, FLEET)).open is None:
            await world.clock.sleep(0.01)


# --- asking -----------------------------------------------------------------------------------


async def test_without_a_terminal_it_never_asks(desk: Desk) -> None:
    """Exit 2, and the command to run instead; nothing was begun."""
    async with fleet_of(1) as fleet:
        with pytest.raises(OperatingError, match="no terminal") as caught:
            await push(desk.config(), fleet=desk.fleet_file(1), context=desk.context(fleet))
        assert 0 == (await locks.read_fleet(fleet.world(), FLEET)).head
    assert Exit.USAGE is caught.value.exit_code
    assert str(caught.value.next_command).endswith("--yes --store memory:")


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("yes\n", 0), ("\n", 130), ("no\n", 130)])
async def test_only_a_yes_is_a_yes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """The difference is shown on stderr first; everything but y and yes begins nothing."""
    monkeypatch.setattr("orchestrator.cli.push.ask", lambda _question: typed)
    async with fleet_of(1) as fleet:
        context: InMemory = desk.context(fleet, "json", person=True)
        found = desk.ran(await push(desk.config(), fleet=desk.fleet_file(1), context=context))
    assert (code, code) == (found.code, found.document["exit_code"])
    assert "1 × d-01, their first configuration" in found.err
    assert "  + yaw.rate_max_deg_s: 90" in found.err


# --- plans ------------------------------------------------------------------------------------


async def test_a_plan_file_is_pushed_and_then_stale(desk: Desk, home: Path) -> None:
    """`plan --out` freezes it; it can be pushed once, then 8."""
    async with fleet_of(2) as fleet:
        file, out = desk.fleet_file(2), home / "change.json"
        context = desk.context(fleet, "json")
        ran = desk.ran(await plan(desk.config(), fleet=file, out=out, context=context))
        assert (0, True, str(out)) == (
            ran.code,
            ran.document["changes"],
            ran.document["out"],
        )
        assert f"aimctl push {out} --fleet {file}" in ran.document["next"]
        assert 0 == await push(out, fleet=file, yes=True, context=context)
        with pytest.raises(OperatingError, match="stale") as caught:
            await push(out, fleet=file, yes=True, context=context)
    assert Exit.PLAN_STALE is caught.value.exit_code


async def test_a_plan_of_other_members_is_stale(desk: Desk, home: Path) -> None:
    """The fleet file has a device more than the plan: 8, and its name."""
    async with fleet_of(2) as fleet:
        context, out = desk.context(fleet, "json"), home / "change.json"
        await plan(desk.config(), fleet=desk.fleet_file(2), out=out, context=context)
        with pytest.raises(OperatingError, match=r"have changed since \(d-03\)") as caught:
            await push(out, fleet=desk.fleet_file(3), yes=True, context=context)
    assert Exit.PLAN_STALE is caught.value.exit_code


async def test_a_plan_of_another_fleet_is_wrong_use(desk: Desk, home: Path) -> None:
    """A push names the fleet twice on purpose: 2."""
    async with fleet_of(2) as fleet:
        context, out = desk.context(fleet, "json"), home / "change.json"
        await plan(desk.config(), fleet=desk.fleet_file(2), out=out, context=context)
        with pytest.raises(OperatingError, match="for fleet hazard-12, not for yard") as caught:
            await push(out, fleet=desk.other_fleet(2), yes=True, context=context)
    assert Exit.USAGE is caught.value.exit_code


async def test_plan_says_with_3_that_changes_are_pending(desk: Desk) -> None:
    """`--detailed-exitcode`: 3 before the push, 0 after it; the difference by device."""
    async with fleet_of(2) as fleet:
        file, context = desk.fleet_file(2), desk.context(fleet, "json")
        await pushed(desk, fleet, 90)
        code = await plan(desk.config(110), fleet=file, detailed_exitcode=True, context=context)
        document = desk.ran(code).document
        assert 3 == code
        assert [
            {
                "devices": ["d-01", "d-02"],
                "changes": [{"path": "yaw.rate_max_deg_s", "old": 90, "new": 110}],
            }
        ] == document["groups"]
        code = await plan(desk.config(90), fleet=file, detailed_exitcode=True, context=context)
        document = desk.ran(code).document
        assert (0, False, ["d-01", "d-02"]) == (code, document["changes"], document["unchanged"])


async def test_a_plan_is_told_as_text(desk: Desk) -> None:
    """Grouped by equal change, and the exact push below."""
    async with fleet_of(2) as fleet:
        await pushed(desk, fleet, 90)
        file = desk.fleet_file(2)
        ran = desk.ran(await plan(desk.config(110), fleet=file, context=desk.context(fleet)))
    assert [
        "aim_lock_config.conf on fleet hazard-12, from version 1: 2 devices, bundle",
        "2 × d-01, d-02",
        "  ~ yaw.rate_max_deg_s: 90 → 110",
        f"next      aimctl push {desk.config(110)} --fleet {file} --store memory:",
    ] == [
        line.partition(" bundle ")[0] + (" bundle" if " bundle " in line else "")
        for line in ran.out.splitlines()
        if line
    ]


@pytest.mark.parametrize(
    ("window_s", "timeout_s"),
    [(0.01, None), (4000.0, None), (None, 0.0), (None, float("nan"))],
)
async def test_durations_that_make_no_sense_are_wrong_use(
    desk: Desk, window_s: float | None, timeout_s: float | None
) -> None:
    """Nothing is begun."""
    async with fleet_of(1) as fleet:
        with pytest.raises(OperatingError, match="seconds") as caught:
            await pushed(desk, fleet, 90, window_s=window_s, timeout_s=timeout_s)
    assert Exit.USAGE is caught.value.exit_code


async def test_a_hot_lock_is_told_as_interface_says(desk: Desk) -> None:
    """Exit 6; who holds it, what for, and the way out."""
    async with fleet_of(1) as fleet:
        await held_lock(fleet)
        context = desk.context(fleet, "json")
        with pytest.raises(OperatingError) as caught:
            await push(desk.config(), fleet=desk.fleet_file(1), yes=True, context=context)
        desk.capsys.readouterr()
        ran = desk.ran(fail(context.view, caught.value))
    assert (6, "hot", 6) == (ran.code, ran.document["type"], ran.document["exit_code"])
    first, held, purpose, following = ran.err.splitlines()
    assert "ERROR: aim_lock_config.conf: HOT" == first
    assert held.startswith("  held by   ")
    assert "(running; last renewal " in held
    assert held.endswith(", epoch 1")
    assert "  for       push on fleet hazard-12, no transaction is open" == purpose
    assert "  next      aimctl lock force-unlock hazard-12@1 --dry-run" == following
    assert json.loads(ran.out)["lock"]["owner"]["pid"] == os.getpid()
