"""What wears out: flash, disks, hooks, batteries, and the pid of a process that is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from drone_sim.cores import battery, rules
from drone_sim.cores.battery import Battery
from drone_sim.cores.party import Unit
from drone_sim.disk import BROKEN, FULL
from drone_sim.scenario.model import Act, SimulatedDevice, Verb
from drone_sim.shells import battery as shells_battery
from orchestrator.protocol.records import LockState
from orchestrator.protocol.types import DeviceId, Owner
from tests.cores.scenarios import (
    D1,
    D2,
    LINK,
    PUSH,
    act,
    arrived,
    played,
    records,
    scenario,
    stopped,
    versions,
)

SERVE: Final = Act(at_s=0.0, verb=Verb.SERVE, who="server")
CUT: Final = act(1.0, Verb.CUT, D1, for_s=4.0)


def pid_alone(owner: Owner, ticks: int | None) -> bool:
    """Take a process for the owner if it has its pid, whenever it was started."""
    return ticks is not None


# --- pids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "seen"), [(Verb.KILL, LockState.RESOLVING), (Verb.REUSE_PID, LockState.HELD)]
)
def test_a_reused_pid_deceives_who_looks_at_the_pid_alone(
    monkeypatch: pytest.MonkeyPatch, verb: Verb, seen: LockState
) -> None:
    """With start ticks unheeded, the program that has it now is taken for the owner."""
    monkeypatch.setattr(rules, "runs", pid_alone)
    gone = act(1.7, verb, who="ops")
    town = stopped(scenario(PUSH, CUT, gone, act(1.8, Verb.RECOVER, who="near")), 2.0)
    assert seen is town.state.lock.state


def test_a_reused_pid_deceives_nobody_who_looks_at_the_start() -> None:
    """The product's rule sees that the owner is gone: `recover` resolves at once."""
    gone = act(1.7, Verb.REUSE_PID, who="ops")
    town = stopped(scenario(PUSH, CUT, gone, act(1.8, Verb.RECOVER, who="near")), 2.0)
    assert LockState.RESOLVING is town.state.lock.state


# --- flash and disks ----------------------------------------------------------------------------


def test_damaged_flash_has_other_bytes_until_the_device_has_written_them_anew() -> None:
    """While it is down the active file is no configuration; before it operates it is one."""
    town = stopped(scenario(SERVE, act(2.0, Verb.DAMAGE, D1)), 2.5)
    unit = town.units[DeviceId(D1)]
    assert (False, False) == (unit.up, unit.active in town.configurations)
    town.run_until(town.now + 2.0)
    assert (1, True) == (versions(town)[D1], unit.active in town.configurations)


def test_a_damaged_file_that_nobody_writes_anew_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that takes the name of a file for its bytes operates what nobody has pushed."""
    monkeypatch.setattr("drone_sim.cores.units.Units._write_active", _trusting)
    with pytest.raises(AssertionError, match="I27"):
        played(scenario(SERVE, act(2.0, Verb.DAMAGE, D1)))


def _trusting(_town: object, _unit: Unit, _digest: object) -> None:
    """Take the active file as it is."""


@pytest.mark.parametrize(("word", "why"), [("error", BROKEN), ("space", FULL)])
def test_a_disk_that_fails_stores_no_yes(word: str, why: str) -> None:
    """The device votes no, with the reason of its disk; afterwards a push gets through."""
    fails = act(0.5, Verb.DISK_FAILS, D1, for_s=2.0, word=word)
    _, events = played(scenario(SERVE, PUSH, fails, act(4.0, Verb.PUSH, who="later")))
    decided = [event.detail["outcome"] for event in records(events, "decided")]
    assert ["abort", "commit"] == decided[:2]
    assert any(why in event.text for event in arrived(events, "vote", "ops"))


def test_a_write_that_fails_fails_once() -> None:
    """What it was about is written the next time: the push aborts at the most."""
    fails = act(0.9, Verb.FAIL_AT_WRITE, D1, amount=1)
    town = stopped(scenario(SERVE, PUSH, fails, act(4.0, Verb.PUSH, who="later")), 6.0)
    assert (None, 1) == (town.units[DeviceId(D1)].fails_by, len(set(versions(town).values())))


def test_a_device_may_be_killed_at_a_write() -> None:
    """A disk that lies keeps what was written: the power stayed on."""
    lies = act(0.5, Verb.DISK_LIES, D1, for_s=5.0)
    kill = act(0.9, Verb.CRASH_AT_WRITE, D1, amount=11, word="kill")
    town = stopped(scenario(SERVE, PUSH, lies, kill), 1.5)
    unit = town.units[DeviceId(D1)]
    assert unit.lies is not None
    assert (False, True) == (unit.up, unit.disk != unit.lies.durable)


def test_hooks_may_be_killed_half_way() -> None:
    """Some activations come through, some don't: over a few seeds both are seen."""
    seen = set()
    for seed in range(8):
        dying = act(0.9, Verb.HOOK_FAILS, D1, for_s=1.5, word="half-way")
        town = stopped(scenario(SERVE, PUSH, dying, seed=seed), 2.0)
        seen.add(versions(town)[D1])
    assert {None, 2} == seen


# --- batteries ----------------------------------------------------------------------------------


def fleet(percent: float, kind: str) -> tuple[SimulatedDevice, ...]:
    """A device with so much left, and another one."""
    return (
        SimulatedDevice(id=D1, kind=kind, link=LINK, battery_percent=percent),
        SimulatedDevice(id=D2, link=LINK),
    )


@pytest.mark.parametrize(("kind", "version"), [("drone", 1), ("node", 2)])
def test_a_battery_drains_by_flying(kind: str, version: int) -> None:
    """A drone is below the reserve after 8 s, and votes no; a node is not."""
    later = act(10.0, Verb.PUSH, who="ops")
    story = scenario(SERVE, later, devices=2, safety_s=14.0)
    town = stopped(replace(story, devices=fleet(20.3, kind)), 13.0)
    assert version == town.state.version


def test_a_battery_runs_out_in_the_middle_of_a_story() -> None:
    """0.004 % last for 2 s on the ground; then the device is off until it is charged."""
    low = act(1.0, Verb.LOW_BATTERY, D1, amount=0.004, for_s=4.0)
    town = stopped(scenario(SERVE, low), 2.9)
    unit = town.units[DeviceId(D1)]
    ups = [unit.up]
    for _ in range(2):
        town.run_until(town.now + 1.5)
        ups.append(unit.up)
    assert [True, False, True] == ups


def test_a_charge_above_the_reserve_is_no_fault() -> None:
    """Nothing comes of it, so no figure says that there was one."""
    result, _ = played(scenario(SERVE, PUSH, act(0.9, Verb.LOW_BATTERY, D1, amount=60)))
    assert 0 == result.figures.acts["low-battery"]


def test_a_drone_that_has_landed_drains_as_if_it_stood() -> None:
    """From 11 % it flies for 25 s, down to 10 %; then it is 5,000 s until nothing is left."""
    drone = Battery(charge=11.0, since=100.0, flies=True, hovers=False)
    assert [10.5, 10.0, 9.8] == pytest.approx(
        [drone.percent(100.0 + after_s) for after_s in (12.5, 25.0, 125.0)]
    )
    assert 5125.0 == pytest.approx(drone.empty_at())


def test_what_happened_before_its_time_costs_nothing() -> None:
    """The prologue is before the reading: the charge is that of the story's start."""
    assert 50.0 == Battery(charge=50.0, since=100.0, flies=True).percent(90.0)


@pytest.mark.parametrize("name", ["FLYING_PERCENT_S", "HOVERING_PERCENT_S", "GROUNDED_PERCENT_S"])
def test_both_speeds_drain_alike(name: str) -> None:
    """A battery lasts as long among pure cores as among whole shells."""
    assert getattr(shells_battery, name) == getattr(battery, name)
