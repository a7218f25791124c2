"""``aimctl doctor`` and a HOT lock, on a fleet in memory and with real processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.doctor import doctor
from orchestrator.cli.recover import recover
from orchestrator.locksmith.processes import Sighting
from orchestrator.ports import Clock, Transport
from orchestrator.protocol.lease import request_release
from orchestrator.protocol.records import Record
from orchestrator.protocol.types import FleetId, Owner
from orchestrator.service import locks
from orchestrator.service.examination import hear
from orchestrator.service.push import push
from tests.cli.conftest import (
    CONFIG_TEXT,
    Aimctl,
    Desk,
    Gone,
    InMemory,
    held_lock,
    left_hot,
    of_a_ghost,
    seen_by,
)
from tests.cli.doubts import backup, left_deferred, left_in_doubt
from tests.cli.test_programs import END_S, ONE, started
from tests.conftest import Mosquitto
from tests.service.fleet import FLEET, NEW, OLD, Fleet, fleet_of, order
from tests.source import ROOT


@dataclass(kw_only=True)
class Ahead:
    """A clock that is ahead: leases are older than they were."""

    clock: Clock
    by_s: float

    def now(self) -> float:
        return self.clock.now() + self.by_s

    def monotonic(self) -> float:
        return self.clock.monotonic() + self.by_s

    async def sleep(self, delay_s: float) -> None:
        await self.clock.sleep(delay_s)


@dataclass
class Stopped(Gone):
    """A process table in which every owner is stopped."""

    def look_for(self, owner: Owner) -> Sighting:
        return Sighting(here=True, rebooted=False, visible=True, running=True, stopped=True)


@dataclass(kw_only=True)
class Counted:
    """Counts whom somebody connects to."""

    context: InMemory
    fleets: list[FleetId] = field(default_factory=list)

    def counting(self) -> InMemory:
        made = self.context.made

        def connect(fleet: FleetId) -> Any:
            self.fleets.append(fleet)
            return made.connect(fleet)

        return replace(self.context, made=replace(made, connect=connect))


def later(context: InMemory, by_s: float) -> InMemory:
    """The same context, some time after."""
    made = context.made
    return replace(context, made=replace(made, clock=Ahead(clock=made.clock, by_s=by_s)))


def elsewhere(context: InMemory) -> InMemory:
    """The same context, with a broker on another machine."""
    broker = replace(context.settings.broker, value="mqtt://10.0.0.5:1883")
    return replace(context, settings=replace(context.settings, broker=broker))


async def diagnosed(desk: Desk, context: InMemory) -> dict[str, Any]:
    """Run the doctor and return its document; it has exactly one diagnosis."""
    code = await doctor(context=context)
    document = desk.ran(code).document
    assert 1 == len(document["diagnoses"])
    return document


async def test_a_ghost_is_diagnosed_end_to_end(desk: Desk) -> None:
    """Journal, lease, process, broker, devices; the verdict; one command; nothing is changed."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        before = await fleet.store.read(FLEET)
        document = await diagnosed(desk, of_a_ghost(desk, fleet))
        after = await fleet.store.read(FLEET)
    (found,) = document["diagnoses"]
    assert list(before) == list(after)
    assert (True, 0, "aimctl recover --fleet hazard-12") == (
        document["ok"],
        document["exit_code"],
        document["next"],
    )
    assert (lock_id, "ghost, proved", "undecided", "reached", "gone") == (
        found["lock"]["id"],
        *(found[key] for key in ("holder", "work", "broker", "process")),
    )
    assert "the owner is proved gone, and leaves txn 2 undecided" == found["wrong"]
    assert ["d-01", "d-02"] == found["devices"]["heard"]
    names = [one["name"] for one in document["checks"] if one["status"] == "warning"]
    assert [f"lock {lock_id}"] == names


async def test_text_is_a_line_for_each_part(desk: Desk) -> None:
    """What stands on a terminal at 03:12, in this order, ending in the command."""
    async with fleet_of(2) as fleet:
        lock_id = await left_hot(fleet)
        await doctor(context=of_a_ghost(desk, fleet, "text"))
        told = desk.ran(0).out.splitlines()
    first = next(n for n, line in enumerate(told) if line.startswith("fleet hazard-12: HOT"))
    shown = told[first:]
    assert shown[0].startswith(f"fleet hazard-12: HOT, {lock_id} held by ")
    parts = [line.split()[0] for line in shown if line.startswith("  ") and line[2] != " "]
    assert ["journal", "lease", "process", "broker", "devices", "wrong", "next"] == parts
    assert shown[1].startswith("  journal   held, epoch 3, since ")
    assert "txn 2 (t2) is open since" in shown[2]
    assert "TTL 15 s, 15 s left, grace 15 s; by the boot clock" in shown[3]
    assert "has no process with that pid" in shown[4]
    assert "  devices   2 of 2 heard" in shown
    assert "next      aimctl recover --fleet hazard-12" == shown[-1]


async def test_doubt_is_counted_and_dated(desk: Desk) -> None:
    """Devices that have voted and wait are named, with the transaction and since when."""
    async with fleet_of(2) as fleet:
        await left_in_doubt(fleet)
        document = await diagnosed(desk, of_a_ghost(desk, fleet))
    devices = document["diagnoses"][0]["devices"]
    assert ["d-01", "d-02"] == sorted([*devices["prepared"], *devices["in_doubt"]])
    assert 2 == devices["oldest_doubt"]["seq"]


@pytest.mark.parametrize(
    ("after_s", "holder", "command"),
    [
        (1.0, "live", "aimctl lock request-release hazard-12@3 --reason TEXT"),
        (20.0, "suspect", "sleep 11 && aimctl recover --fleet hazard-12"),
        (40.0, "ghost", "aimctl recover --fleet hazard-12"),
    ],
)
async def test_an_owner_who_can_not_be_seen_is_judged_by_its_lease(
    desk: Desk, after_s: float, holder: str, command: str
) -> None:
    """Within its TTL it is asked; within the grace one waits; then it is recovered."""
    async with fleet_of(1) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        await held_lock(fleet, "maintenance")
        document = await diagnosed(desk, later(desk.context(fleet, "json"), after_s))
    assert (holder, command) == (document["diagnoses"][0]["holder"], document["next"])


async def test_a_stopped_owner_is_waited_for(desk: Desk) -> None:
    """It can't answer, and its lease runs out: TTL and grace from now."""
    async with fleet_of(1) as fleet:
        await left_hot(fleet)
        document = await diagnosed(desk, seen_by(Stopped, desk, fleet))
    assert "paused" == document["diagnoses"][0]["holder"]
    assert document["next"].startswith("sleep ")
    assert document["next"].endswith(" && aimctl recover --fleet hazard-12")


async def test_a_living_owner_that_does_not_answer_may_be_forced(desk: Desk) -> None:
    """A request is told with its age; first one waits for the answer, then one need not."""
    async with fleet_of(1) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        held = await held_lock(fleet, "maintenance")
        world = fleet.world()

        def rule(state: Any) -> tuple[Record, ...]:
            asked = request_release(state, held.epoch, world.me("aimctl"), "urgent fix")
            assert isinstance(asked, tuple)
            return asked

        await locks.change(world, FLEET, rule)
        fresh = await diagnosed(desk, desk.context(fleet, "json"))
        late = await diagnosed(desk, later(desk.context(fleet, "json"), 8.0))
        await doctor(context=later(desk.context(fleet), 8.0))
        told = desk.ran(0).out
    assert "aimctl status --fleet hazard-12 --watch" == fresh["next"]
    assert "aimctl lock force-unlock hazard-12@3 --dry-run" == late["next"]
    assert late["diagnoses"][0]["release_asked_at"] is not None
    assert re.search(r"\((8|9|1\d) s ago\); not answered", told) is not None


async def test_without_a_broker_nobody_is_asked(desk: Desk) -> None:
    """One that belongs here is started; one elsewhere leaves break-glass, where a ghost holds."""
    async with fleet_of(1) as fleet:
        lock_id = await left_hot(fleet)
        fleet.broker.stop()
        here = await diagnosed(desk, of_a_ghost(desk, fleet))
        there = await diagnosed(desk, elsewhere(of_a_ghost(desk, fleet)))
        fleet.broker.start()
    assert (11, "aimctl broker run") == (here["exit_code"], here["next"])
    assert (11, f"aimctl lock break-glass {lock_id} --dry-run") == (
        there["exit_code"],
        there["next"],
    )
    assert [] == there["diagnoses"][0]["devices"]["heard"]


async def test_a_fleet_that_is_well_is_not_asked(desk: Desk) -> None:
    """A free lock and nobody deferred: the devices are left alone, and nothing is diagnosed."""
    async with fleet_of(1) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        counted = Counted(context=desk.context(fleet, "json"))
        assert 0 == await doctor(context=counted.counting())
        document = desk.ran(0).document
    assert [FleetId("doctor")] == counted.fleets
    assert ([], "aimctl plan CONFIG --fleet FLEET") == (document["diagnoses"], document["next"])


async def test_devices_that_wait_under_a_free_lock_are_answered(desk: Desk) -> None:
    """Somebody who missed a decision is named, and `recover` answers."""
    async with fleet_of(2) as fleet:
        await left_deferred(fleet)
        document = await diagnosed(desk, desk.context(fleet, "json"))
    (found,) = document["diagnoses"]
    assert ("nobody", ["d-02"]) == (found["holder"], found["devices"]["deferred"])
    assert "aimctl recover --fleet hazard-12" == document["next"]


async def test_a_store_that_was_rolled_back_goes_before_its_ghost(desk: Desk) -> None:
    """The device is named with what it has seen; 1; reseed, and not recover."""
    async with fleet_of(1) as fleet:
        await left_hot(fleet)
        old = backup(fleet)
        await doctor_recovers(desk, fleet)
        await push(fleet.world(), order(1, NEW, list(fleet.drones)))
        context = of_a_ghost(desk, fleet)
        document = await diagnosed(desk, replace(context, made=replace(context.made, store=old)))
    (found,) = document["diagnoses"]
    assert (1, False) == (document["exit_code"], document["ok"])
    assert "aimctl reseed --fleet hazard-12 --dry-run" == document["next"] == found["next"]
    assert "it has seen epoch" in found["contradictions"]["d-01"]
    assert "the store was rolled back, or is not this fleet's: d-01: it" in found["wrong"]


async def test_what_begins_while_devices_are_heard_is_no_contradiction(desk: Desk) -> None:
    """They know of a push that the first look at the journal could not; the last one does."""
    async with fleet_of(1) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        world = fleet.world()

        @asynccontextmanager
        async def connect(name: FleetId) -> AsyncIterator[Transport]:
            await push(fleet.world(), order(1, NEW, list(fleet.drones)))
            async with world.connect(name) as transport:
                yield transport

        found = await hear(replace(world, connect=connect), FLEET)
    assert (2, {}) == (found.state.version, found.contradictions)
    assert 2 == max(one.state.version for one in found.witness.devices.values() if one.state)


async def doctor_recovers(desk: Desk, fleet: Fleet) -> None:
    """Do what the doctor recommends for a ghost."""
    assert 0 == await recover(context=of_a_ghost(desk, fleet))
    desk.ran(0)


async def test_a_broken_journal_is_told_and_not_built_on(desk: Desk) -> None:
    """No diagnosis is made of it; the next command looks at it."""
    async with fleet_of(1) as fleet:
        await push(fleet.world(), order(0, OLD, list(fleet.drones)))
        first, *_, last = await fleet.store.read(FLEET)
        await fleet.store.append(FLEET, last.head, (first.record,))
        code = await doctor(context=desk.context(fleet, "json"))
        document = desk.ran(code).document
    assert (1, [], "aimctl history --fleet hazard-12") == (
        code,
        document["diagnoses"],
        document["next"],
    )


# --- real processes ---------------------------------------------------------------------------


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + END_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def killed_push(home: Path, *arguments: str) -> None:
    """End a push with SIGKILL when it is about to decide."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "push", *arguments],
        cwd=home,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "AIMCTL_FAULT": "kill@append:decided:before",
        },
        timeout=END_S,
        check=False,
        capture_output=True,
    )
    assert -9 == done.returncode


def test_a_copied_database_that_is_put_back_is_named(
    aimctl: Aimctl, home: Path, mosquitto: Callable[..., Mosquitto]
) -> None:
    """A real device contradicts it: doctor and status name it, and recommend a reseed."""
    (home / "one.toml").write_text(ONE)
    for rate in (80, 90, 100):
        (home / f"{rate}.conf").write_text(CONFIG_TEXT.format(rate=float(rate)))
    place = ("--broker", mosquitto().url, "--store", "sqlite:///j.db")
    with started(
        home,
        *("agent", "--device", "x-1", "--fleet", "one", "--state-dir", "state"),
        *("--active", "active.conf", "--hook", "true", *place),
    ):
        wait_until(lambda: aimctl("status", "--fleet", "one", *place).out.count("empty") == 1)
        assert 0 == aimctl("push", "80.conf", "--fleet", "one", "--yes", *place).code
        killed_push(home, "90.conf", "--fleet", "one", "--yes", *place)
        ghost = aimctl("doctor", "--output", "json", *place)
        assert (0, "aimctl recover --fleet one") == (ghost.code, ghost.document["next"])
        shutil.copy(home / "j.db", home / "backup.db")
        assert 0 == aimctl("recover", "--fleet", "one", *place).code
        assert 0 == aimctl("push", "100.conf", "--fleet", "one", "--yes", *place).code
        for path in home.glob("j.db*"):
            path.unlink()
        shutil.copy(home / "backup.db", home / "j.db")
        ran = aimctl("doctor", "--output", "json", *place)
        status = aimctl("status", *place).out
    (found,) = ran.document["diagnoses"]
    assert 100.0 == json.loads((home / "active.conf").read_text())["yaw"]["rate_max_deg_s"]
    assert (1, "aimctl reseed --fleet one --dry-run") == (ran.code, ran.document["next"])
    assert ["x-1"] == list(found["contradictions"])
    assert "ROLLED BACK  the store was, or is not this fleet's: x-1: it has seen" in status
    assert "next      aimctl reseed --fleet one --dry-run" in status.splitlines()
