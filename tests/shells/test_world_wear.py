"""What breaks under an agent in the world of whole shells: disks, hooks, and clocks that drift."""

from __future__ import annotations

import asyncio

import pytest

from drone_sim.disk import nothing_survives
from drone_sim.mutants import MUTANTS
from drone_sim.scenario.model import Link, SimulatedDevice
from drone_sim.shells.broker import SimBroker
from drone_sim.shells.computer import ACTIVE_DIRECTORY, Computer, Site
from drone_sim.shells.fleetware import sample_fleetware
from drone_sim.shells.loop import Process
from drone_sim.shells.network import Network
from drone_sim.shells.seams import Seams
from drone_sim.shells.touched import ORCHESTRATORS, Touched, is_crystal
from drone_sim.shells.truth import Truth
from drone_sim.trace import Kind
from orchestrator.protocol.types import DeviceId
from tests.shells.plays import THREE, Played, played, scenario
from tests.shells.virtual import simulated

D1, D2 = DeviceId("d-01"), DeviceId("d-02")
KILLED = "at 0.9 s d-02 is killed at write {} for 0.1 s"
PUSH = "at 1 s mira pushes"
DARK = "at 1.5 s d-02 loses power"
FORGOTTEN = "X: d-02: an honest disk has a record from before the durable one"


def with_mutant(name: str, *lines: str) -> list[str]:
    """What is found in a story where the product has this bug."""
    with MUTANTS[name].applied():
        run = played(scenario(*lines))
    return [str(found) for found in run.result.violations]


def acts(run: Played, verb: str) -> list[float]:
    """When acts of this kind took place."""
    return [event.at_s for event in run.of(Kind.ACT) if event.detail["verb"] == verb]


# --- a write that is cut short ------------------------------------------------------------------


def test_a_crash_that_is_only_armed_excuses_nothing() -> None:
    """It begins when the disk dies; where that never happens, nothing has happened."""
    run = played(scenario("at 1 s d-02 loses power at write 200", "at 2 s mira pushes"))

    assert run.result.held
    assert 0 == run.result.figures.acts["crash-at-write"]


def test_a_crash_at_a_write_begins_with_that_write() -> None:
    """Not when it was said: until then no hold is due to it."""
    run = played(scenario("at 0.5 s d-02 loses power at write 10", PUSH))

    assert run.result.held
    assert [True] == [at_s > 1.0 for at_s in acts(run, "crash-at-write")]


@pytest.mark.parametrize("write", range(1, 26, 3))
def test_an_agent_that_is_killed_at_a_write_goes_on(write: int) -> None:
    """Whatever it has left, and though the power goes after that."""
    run = played(scenario(KILLED.format(write), PUSH, DARK))

    assert () == run.result.violations
    assert 3 == len(acts(run, "crash-at-write") + acts(run, "crash") + acts(run, "push"))


def test_what_a_killed_agent_has_left_is_not_durable() -> None:
    """An agent that believes what it reads has told what the next power loss takes."""
    assert [FORGOTTEN] == with_mutant("believes-what-it-reads", KILLED.format(20), PUSH, DARK)


@simulated
async def test_a_power_loss_takes_what_an_agent_that_is_gone_had_not_synced() -> None:
    """Its computer was on: with the agent still away, the memory of the system is lost."""
    kept = [await after_a_kill(power=False), await after_a_kill(power=True)]
    assert [b"unsynced", b""] == kept


async def after_a_kill(*, power: bool) -> bytes | None:
    """What stands in a file that an agent has not synced, after a kill, when it starts again."""
    computer = Box()
    computer.power_on()
    file = computer.disk.create(ACTIVE_DIRECTORY / "file")
    computer.disk.sync_directory(ACTIVE_DIRECTORY)
    file.write(b"unsynced")
    computer.kill_agent(1.0)
    if power:
        computer.fail(0.5, survives=nothing_survives)
    await asyncio.sleep(2)
    return computer.disk.read(ACTIVE_DIRECTORY / "file", 100)


class Box(Computer):
    """A computer on which nothing runs for long."""

    def __init__(self) -> None:
        made = scenario()
        ware = sample_fleetware((("d-01", "drone"),))
        site = Site(
            seed=1,
            truth=Truth(made, ware.id, None),
            ware=ware,
            broker=SimBroker(Network(seed=1), seed=1),
            seams=Seams(),
        )
        super().__init__(site, made.devices[0])

    async def _run(self, process: Process) -> None:
        await asyncio.sleep(100)

    def _has_power(self) -> bool:
        return True

    def _stopped(self) -> None:
        pass

    def _aim_changed(self) -> None:
        pass


def test_an_honest_disk_has_no_torn_record() -> None:
    """Whoever writes the record in place is found out, before anything is repaired."""
    found = with_mutant("writes-its-record-in-place", KILLED.format(15), PUSH)
    assert ["X: d-02: an honest disk has a torn participant record"] == found


# --- a write that fails -------------------------------------------------------------------------


def test_a_device_whose_disk_fails_votes_no() -> None:
    """It says why, keeps running, and takes the next version."""
    run = played(scenario("at 1 s the disk of d-02 fails for 4 s", "at 2 s mira pushes"))

    assert run.result.held
    assert ["abort", "commit"] == run.outcomes()
    assert "d-02: disk: " in str(run.records("decided")[0].detail["refused"])
    assert "input/output error" in str(run.records("decided")[0].detail["refused"])
    assert ["is down"] not in [[event.text] for event in run.of(Kind.PROCESS, "d-02")]
    assert run.result.goals["disk-write-failed"]


@pytest.mark.parametrize("write", [6, 8, 9, 10, 11, 13, 14, 15])
def test_one_write_before_the_vote_that_fails_is_a_no(write: int) -> None:
    """Of the staged bytes and of the record: what could not be synced is no yes."""
    line = f"at 0.9 s the disk of d-02 fails at write {write} with no space left"
    run = played(scenario(line, PUSH))

    assert run.result.held
    assert ["abort", "commit"] == run.outcomes()
    assert "no space left" in str(run.records("decided")[0].detail["refused"])


def test_a_failed_sync_is_not_made_good_by_another() -> None:
    """An agent that syncs once more has told what the next power loss takes."""
    line = "at 0.9 s the disk of d-02 fails at write 20"
    assert [FORGOTTEN] == with_mutant("syncs-once-more", line, PUSH, DARK)


def test_a_failure_begins_with_the_write_that_fails() -> None:
    """It takes no time; where it never comes, nothing has happened."""
    comes = played(scenario("at 0.5 s the disk of d-02 fails at write 10", PUSH))
    never = played(scenario("at 0.5 s the disk of d-02 fails at write 200", PUSH))

    assert [True] == [at_s > 1.0 for at_s in acts(comes, "fail-at-write")]
    assert [] == acts(never, "fail-at-write")


def test_an_agent_that_cannot_start_for_its_disk_is_started_again() -> None:
    """As whoever looks after programs does it; nobody has to replace the unit."""
    run = played(
        scenario(
            "at 1 s the disk of d-02 fails for 4 s",
            "at 2 s d-02 is killed",
            "at 1 s ada serves for 8 s",
        )
    )

    assert run.result.held
    assert None is run.state_at("d-02", 4.9)["operating"]
    assert 1 == run.state_at("d-02", 8.0)["operating"]


# --- a hook that dies ---------------------------------------------------------------------------


def test_hooks_that_are_killed_half_way_are_told_again() -> None:
    """Obeyed or not: in the end the device operates what was decided."""
    run = played(
        scenario(
            "at 1 s the controller of everybody fails half-way for 6 s",
            "at 2 s mira pushes",
            "at 1 s ada serves for 8 s",
        )
    )

    assert run.result.held
    assert [2, 2, 2] == [run.state_at(name, 9.0)["operating"] for name in ("d-01", "d-02", "d-03")]


# --- clocks that nobody touches -----------------------------------------------------------------

LOPSIDED = tuple(
    SimulatedDevice(id=one.id, link=Link(delay_s=0.002, up_s=0.04), drift_ppm=90.0)
    for one in THREE
)


def test_a_bound_that_is_wrong_by_itself_is_no_excuse() -> None:
    """Where nobody has touched a clock, the product has measured wrongly."""
    with MUTANTS["halves-the-round-trip"].applied():
        run = played(scenario(PUSH, devices=LOPSIDED))
    (found,) = run.result.violations

    assert "X" == found.id
    assert "ms off, and nobody touched a clock" in found.text


def test_a_bound_that_does_not_age_is_found_after_a_silence() -> None:
    """A crystal's drift is small, and grows for as long as nobody measures."""
    quiet = scenario("at 600 s mira pushes", devices=LOPSIDED, safety_s=610.0)
    with MUTANTS["never-drifts"].applied():
        wrong = played(quiet)
    right = played(quiet)

    assert ["X"] == [found.id for found in wrong.result.violations]
    assert right.result.held


def test_a_clock_that_an_act_has_put_wrong_is_excused() -> None:
    """Its bound is wrong, and that is nobody's fault but the act's."""
    run = played(scenario("at 1 s the clock of d-02 jumps by 2 s for 3 s", "at 2 s mira pushes"))
    assert run.result.held


@pytest.mark.parametrize("who", [D1, ORCHESTRATORS])
def test_who_is_touched_is_excused_until_it_has_asked_anew(who: str) -> None:
    """The answer to a HELLO that was sent before the end may still be wrong."""
    touched = Touched()
    touched.began(who, "jump")
    during = touched.excuses(D1, 5.0)
    touched.ended(who, "jump", 7.0)

    assert (True, True, False) == (during, touched.excuses(D1, 7.0), touched.excuses(D1, 7.1))


def test_nobody_is_excused_for_anothers_clock() -> None:
    """Devices measure orchestrators, not each other."""
    touched = Touched()
    touched.began(D2, "jump")
    assert not touched.excuses(D1, 0.0)


def test_two_things_that_are_wrong_end_each_for_itself() -> None:
    """A clock that has jumped and drifts is wrong until both are over."""
    touched = Touched()
    touched.began(D1, "jump")
    touched.began(D1, "drift")
    touched.ended(D1, "jump", 1.0)
    assert touched.excuses(D1, 9.0)


def test_a_crystal_drifts_within_what_the_bound_allows() -> None:
    """A worse one is a fault of the scenario."""
    assert (True, True, False) == (is_crystal(0.0), is_crystal(-200.0), is_crystal(201.0))


# --- when all is healed -------------------------------------------------------------------------


@pytest.mark.parametrize("healed_s", [10.9, 11.1, 11.3, 11.5, 11.7])
def test_the_last_push_waits_for_who_takes_its_connection_for_dead(healed_s: float) -> None:
    """The broker has a session of it, whose answer was lost: nothing reaches it for a while."""
    cut = "at 4 s cut d-02 from the broker on the way down"
    assert played(scenario("at 0 s mira pushes", cut, safety_s=healed_s)).result.held
