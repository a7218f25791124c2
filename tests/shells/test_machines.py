"""
Simulated machines give the evidence that the kernel gives: the same judgement, on the same cases.

The cases are those of tests/locksmith/test_processes.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from drone_sim.shells.loop import Process, spawn
from drone_sim.shells.machines import NAMESPACE, Machine, SimProcesses
from orchestrator.locksmith.processes import Sighting
from orchestrator.protocol.types import Owner
from tests.shells.virtual import simulated


async def live() -> None:
    """Live until killed."""
    await asyncio.sleep(1e9)


class Host:
    """A machine, and processes on it that live."""

    def __init__(self, name: str = "aim-control") -> None:
        self.machine = Machine(name)

    def start(self, name: str, *, parent: Process | None = None) -> Process:
        """Start a process."""
        process = Process(name)
        self.machine.admit(process, parent=parent)
        spawn(process, live())
        return process

    def seen_by(self, process: Process) -> SimProcesses:
        """Return the table as a process sees it."""
        return SimProcesses(self.machine, process)

    def owner(self, process: Process) -> Owner:
        """Return a process as the owner of a lock."""
        return self.seen_by(process).me("aimctl push")


@simulated
async def test_a_process_finds_itself() -> None:
    """Its identity is its own, and it runs."""
    host = Host()
    first, second = host.start("push"), host.start("serve")
    assert first.pid != second.pid
    assert ("aim-control", "machine-aim-control") == (first.machine, host.owner(first).machine_id)
    for process in (first, second):
        seen = host.seen_by(process).look_for(host.owner(process))
        expected = Sighting(
            here=True,
            rebooted=False,
            visible=True,
            running=True,
            ticks_now=process.started,
            boot_now=host.machine.boot_id,
        )
        assert expected == seen


@simulated
async def test_a_killed_process_is_seen_gone() -> None:
    """Nothing has its pid any more."""
    host = Host()
    dead, watcher = host.start("push"), host.start("serve")
    owner = host.owner(dead)
    dead.kill()
    seen = host.seen_by(watcher).look_for(owner)
    assert (True, True, False, None) == (seen.here, seen.visible, seen.running, seen.ticks_now)


@simulated
async def test_a_paused_process_runs_and_is_seen_stopped() -> None:
    """SIGSTOP is not death."""
    host = Host()
    paused, watcher = host.start("push"), host.start("serve")
    paused.pause()
    seen = host.seen_by(watcher).look_for(host.owner(paused))
    assert (True, True) == (seen.running, seen.stopped)


@simulated
async def test_a_reused_pid_is_another_process() -> None:
    """Somebody else has the pid of the dead, with other start ticks; the living keep their own."""
    host = Host()
    dead, watcher = host.start("push"), host.start("serve")
    owner = host.owner(dead)
    too_early = host.machine.reuse(dead)
    dead.kill()
    done = [host.machine.reuse(dead) for _ in range(2)]
    seen = host.seen_by(watcher).look_for(owner)
    assert (False, [True, False]) == (too_early, done)
    assert (True, False) == (seen.visible, seen.running)
    assert seen.ticks_now not in {None, owner.start_ticks}


@simulated
async def test_a_reboot_ends_all_and_is_known_by_its_id() -> None:
    """Every process is dead; who looks afterwards knows that the machine was started again."""
    host = Host()
    dead, other = host.start("push"), host.start("serve")
    owner, before = host.owner(dead), host.machine.boot_id
    await asyncio.sleep(10)
    host.machine.reboot()
    again = host.start("serve")
    seen = host.seen_by(again).look_for(owner)
    assert [False, False, True] == [process.alive for process in (dead, other, again)]
    assert (True, True, False, False) == (seen.here, seen.rebooted, seen.visible, seen.running)
    assert before != host.machine.boot_id
    assert 10.0 == host.machine.booted_s
    assert dead.pid == again.pid


@simulated
async def test_another_machine_says_nothing() -> None:
    """Of a process elsewhere nothing is known, dead or alive."""
    here, there = Host("here"), Host("there")
    watcher, stranger = here.start("serve"), there.start("push")
    stranger.kill()
    seen = here.seen_by(watcher).look_for(there.owner(stranger))
    expected = Sighting(
        here=False,
        rebooted=False,
        visible=False,
        running=False,
        boot_now=here.machine.boot_id,
    )
    assert expected == seen


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (True, False, True, True, False), id="the-owner"),
        pytest.param({"start_ticks": 778}, (True, False, True, False, False), id="pid-reuse"),
        pytest.param({"pid": 4122}, (True, False, True, False, False), id="gone"),
        pytest.param({"boot_id": "b0"}, (True, True, False, False, False), id="rebooted-host"),
        pytest.param(
            {"pid_namespace": "pid:[2]"},
            (True, False, False, False, False),
            id="another-namespace",
        ),
        pytest.param(
            {"boot_id": "b9", "machine_id": "m9"},
            (False, False, False, False, False),
            id="another-machine",
        ),
        pytest.param(
            {"boot_id": "unknown"},
            (True, False, False, False, True),
            id="a-boot-that-is-not-known-is-no-other-boot",
        ),
        pytest.param(
            {"pid_namespace": "unknown"},
            (True, False, False, False, True),
            id="a-namespace-that-is-not-known",
        ),
        pytest.param(
            {"start_ticks": 0},
            (True, False, False, False, True),
            id="an-owner-that-did-not-know-its-own-start",
        ),
    ],
)
def test_owners_are_judged_as_the_kernel_does(
    changes: dict[str, object], expected: tuple[bool, ...]
) -> None:
    """The cases that are fabricated for the real table, one by one."""

    @simulated
    async def story() -> None:
        host = Host()
        owner, watcher = host.owner(host.start("push")), host.start("serve")
        seen = host.seen_by(watcher).look_for(replace(owner, **changes))  # type: ignore[arg-type]
        found = (seen.here, seen.rebooted, seen.visible, seen.running, seen.hidden)
        assert expected == found

    story()


@simulated
async def test_children_descend() -> None:
    """A process descends from itself and from whoever has started it, directly or not."""
    host = Host()
    holder = host.start("hold-lock")
    shell = host.start("sh", parent=holder)
    push, stranger = host.start("push", parent=shell), host.start("push")
    owner = host.owner(holder)
    found = [host.seen_by(one).descends_from(owner) for one in (holder, shell, push, stranger)]
    assert [True, True, True, False] == found


@simulated
async def test_orphans_have_lost_their_origin() -> None:
    """Once a parent between them is dead, nothing is known of where a process came from."""
    host = Host()
    holder = host.start("hold-lock")
    shell = host.start("sh", parent=holder)
    push = host.start("push", parent=shell)
    owner = host.owner(holder)
    shell.kill()
    assert not host.seen_by(push).descends_from(owner)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"start_ticks": 778}, id="pid-reuse"),
        pytest.param({"start_ticks": 0}, id="an-owner-that-did-not-know-its-own-start"),
        pytest.param({"pid": 4122}, id="another-process"),
        pytest.param({"boot_id": "b0"}, id="another-boot"),
        pytest.param({"pid_namespace": "unknown"}, id="a-namespace-that-is-not-known"),
    ],
)
def test_nobody_descends_from_who_is_not_the_owner(changes: dict[str, object]) -> None:
    """The owner is found by boot, namespace, pid and start ticks, or not at all."""

    @simulated
    async def story() -> None:
        host = Host()
        holder = host.start("hold-lock")
        push = host.start("push", parent=holder)
        owner = replace(host.owner(holder), **changes)  # type: ignore[arg-type]
        assert not host.seen_by(push).descends_from(owner)

    story()


@simulated
async def test_every_machine_begins_in_the_first_namespace() -> None:
    """Equal namespaces of two machines are not one: boot and machine tell them apart."""
    here, there = Host("here"), Host("there")
    first, second = here.start("push"), there.start("push")
    assert NAMESPACE == here.owner(first).pid_namespace == there.owner(second).pid_namespace
    assert first.pid == second.pid
    assert not here.seen_by(first).look_for(there.owner(second)).running
