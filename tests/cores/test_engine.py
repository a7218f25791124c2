"""The engine of the pure cores: phases, determinism, crashes at every point, mutants."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from drone_sim.cores import prologue
from drone_sim.cores.engine import play
from drone_sim.result import Crash, Speed
from drone_sim.scenario import swarm
from drone_sim.scenario.model import Act, Scenario, Verb
from drone_sim.trace import Kind, Trace
from orchestrator.protocol import coordinator, lease, participant
from orchestrator.protocol.device import Durable, Save
from orchestrator.protocol.fleet import FleetState, Txn
from orchestrator.protocol.messages import Decision
from orchestrator.protocol.records import Begun, Decided, LockState, LockTaken, Record
from orchestrator.protocol.types import DeviceId, Outcome, Owner
from tests.cores.scenarios import (
    D1,
    PUSH,
    act,
    of_kind,
    played,
    records,
    scenario,
    stopped,
    versions,
)
from tests.source import ROOT

SEEDS = range(12)
"""As many seeds as must fail before a run of seeds can be said to find a mutant."""


def test_a_healthy_push_commits() -> None:
    """Version 1, a push and the last push commit, and every device operates what they say."""
    result, events = played(scenario(PUSH))
    assert (Speed.CORES, 3, 0) == (result.speed, result.figures.committed, result.figures.aborted)
    states = of_kind(events, Kind.STATE, operating=3)
    assert {"d-01", "d-02", "d-03"} == {event.who for event in states}


def test_the_phases_follow_each_other() -> None:
    """A story is told up to its end, then everything is healed, then somebody pushes once more."""
    _, events = played(scenario(PUSH, safety_s=5.0))
    assert [(0.0, "safety"), (5.0, "liveness")] == [
        (event.at_s, event.text) for event in of_kind(events, Kind.PHASE)[:2]
    ]
    assert "last push" == of_kind(events, Kind.PHASE)[2].text


def test_a_fresh_fleet_begins_with_nothing() -> None:
    """A fleet that was never configured holds until its first push."""
    town = stopped(scenario(PUSH, fresh=True), 0.5)
    assert (0, {D1: None}) == (town.state.version, {D1: versions(town)[D1]})
    result, _ = played(scenario(PUSH, fresh=True))
    assert 2 == result.figures.committed


def test_the_prologue_is_what_a_push_leaves_behind() -> None:
    """Journal and records of version 1 are those of a first push that was really played."""
    town = stopped(scenario(fresh=True), 0.0)
    saved: dict[str, list[Durable]] = {name: [] for name in town.units}
    store = town.checker.device_stored

    def stored(device: str, before: Durable, after: Durable) -> None:
        saved[device].append(after)
        store(town.units[device].id, before, after)  # type: ignore[index]

    town.checker.device_stored = stored  # type: ignore[method-assign]
    town.pushes = 0
    town.take_place(Act(at_s=0.0, verb=Verb.PUSH, who="founder"))
    owner = town.processes["founder"].owner
    town.run_until(town.now + 5.0)
    begun = next(e.record for e in town.journal if isinstance(e.record, Begun))
    devices = tuple(town.units)
    assert prologue.records(devices, owner, begun.timeline) == tuple(
        entry.record for entry in town.journal
    )
    for name, unit in town.units.items():
        empty = Durable(fleet=unit.disk.fleet, device=unit.disk.device)
        assert list(prologue.steps(empty, begun.timeline)) == saved[name][-4:]


@pytest.mark.parametrize("seed", [3, 16, 59])
def test_the_same_scenario_has_the_same_trace(seed: int) -> None:
    """Two runs of one seed tell the same, byte for byte."""
    first, second = Trace(), Trace()
    play(swarm.draw(seed), trace=first)
    play(swarm.draw(seed), trace=second)
    assert first.digest() == second.digest()


def test_a_trace_changes_nothing() -> None:
    """A run that is watched comes to the same as one that is not."""
    for seed in SEEDS:
        seen = play(swarm.draw(seed), trace=Trace())
        assert seen.figures == play(swarm.draw(seed)).figures


DIGESTS = """
from drone_sim.cores.engine import play
from drone_sim.scenario import swarm
from drone_sim.trace import Trace
for seed in range(12):
    trace = Trace()
    play(swarm.draw(seed), trace=trace)
    print(trace.digest())
"""


def test_hash_seeds_change_nothing() -> None:
    """Two processes with different hash seeds tell the same."""
    told = {
        subprocess.run(
            [sys.executable, "-c", DIGESTS],
            cwd=ROOT,
            env={"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert 1 == len(told)


# --- crashes ------------------------------------------------------------------------------------

SHORT = scenario(PUSH, devices=2, safety_s=4.0)


def test_every_seam_is_numbered() -> None:
    """A run counts its points of I/O; each number is one at which somebody can die."""
    result, _ = played(SHORT)
    assert result.figures.seams > 40
    _, events = played(SHORT, Crash(at=result.figures.seams + 1))
    assert [] == of_kind(events, Kind.PROCESS, what="killed")


@pytest.mark.parametrize("await_", [False, True])
def test_a_crash_at_any_point_breaks_nothing(*, await_: bool) -> None:
    """Whoever dies at the n-th seam, or before the n-th step: the story ends well."""
    result, _ = played(SHORT)
    points = result.figures.awaits if await_ else result.figures.seams
    for at in range(1, points + 1):
        found = play(SHORT, crashes=[Crash(at=at, await_=await_)])
        assert () == found.violations, at


def test_a_coordinator_dies_where_it_is_told_to() -> None:
    """At the seam of its first append the pusher dies: nothing of it is in the journal."""
    _, events = played(SHORT, Crash(at=1))
    assert ["ops"] == [event.who for event in of_kind(events, Kind.PROCESS, what="killed")]
    assert ["last"] == [event.detail["owner"] for event in records(events, "lock_taken")]


def test_a_device_that_dies_comes_back_a_second_later() -> None:
    """At the seam of a device's write it loses power, and is up again after a second."""
    result, _ = played(SHORT)
    for at in range(1, result.figures.seams + 1):
        _, events = played(SHORT, Crash(at=at))
        down = of_kind(events, Kind.STATE, up=False)
        if down:
            up = [e for e in of_kind(events, Kind.STATE, up=True) if e.at_s > down[0].at_s]
            assert 1.0 == pytest.approx(
                next(e.at_s for e in up if e.who == down[0].who) - down[0].at_s
            )
            return
    pytest.fail("no seam is a device's")


def test_two_crashes_may_be_asked_for() -> None:
    """A run may be crashed at a pair of points."""
    _, events = played(SHORT, Crash(at=1), Crash(at=2, await_=True))
    assert ["ops"] == [event.who for event in of_kind(events, Kind.PROCESS, what="killed")]


# --- what is not there ---------------------------------------------------------------------------


def test_what_does_not_exist_is_passed_over() -> None:
    """Acts on devices and processes that a smaller scenario has not any more do nothing."""
    stray = [
        act(1.5, Verb.CRASH, "d-99"),
        act(1.5, Verb.KILL, who="nobody"),
        act(1.6, Verb.CUT, "nobody", "d-99", for_s=1.0),
        act(1.7, Verb.RETIRE, "d-99", who="somebody"),
        act(1.8, Verb.DECIDE, "d-99", who="somebody", word="abort"),
        act(99.0, Verb.CRASH, D1),
    ]
    result, _ = played(scenario(PUSH, *stray))
    assert 3 == result.figures.committed


# --- mutants of the product ----------------------------------------------------------------------


class ActivatesAtOnce(participant.Participant):
    """Activates when it hears of the COMMIT, not at the instant that was agreed."""

    def _obey(self, message: Decision, now: float) -> None:
        super()._obey(message, now)
        if self._writing is not None and self._writing.durable.pending is not None:
            pending = replace(self._writing.durable.pending, hold_at=0.0, activate_at=0.0)
            durable = replace(self._writing.durable, pending=pending)
            self._writing = replace(self._writing, durable=durable)
            self._writes = (Save(durable=durable),)


class CommitsUnasked(coordinator.Coordinator):
    """Does not wait for the votes."""

    def _decide(self, txn: Txn, silent: Mapping[DeviceId, None], now: float) -> Decided | None:
        return self._decided(txn, Outcome.COMMIT, "why not", {})


def just_steal(state: FleetState, _epoch: object, by: Owner, *_: object) -> tuple[Record, ...]:
    """Take the lock, and decide nothing, under the old epoch."""
    epoch = state.lock.epoch
    taken = LockTaken(
        epoch=epoch, state=LockState.RESOLVING, owner=by, purpose="resolve", reason="mine"
    )
    return (taken,)


def found(story: Scenario) -> set[str]:
    """The invariants that a story breaks."""
    return {one.id for one in play(story).violations}


def test_a_mutant_of_the_device_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that is put into its module while a run lasts is the one that runs."""
    monkeypatch.setattr(participant, "Participant", ActivatesAtOnce)
    assert "I5" in set().union(*(found(swarm.draw(seed)) for seed in SEEDS))


def test_a_mutant_of_the_coordinator_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with the orchestrator's core."""
    monkeypatch.setattr(coordinator, "Coordinator", CommitsUnasked)
    assert {"I3"} <= found(scenario(PUSH))


def test_a_mutant_of_a_rule_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with the rules of the lock."""
    monkeypatch.setattr(lease, "resolve", just_steal)
    force = Act(at_s=1.1, verb=Verb.FORCE_UNLOCK, who="other")
    assert "I9" in found(scenario(PUSH, force))


def test_what_breaks_inside_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A core that raises ends the run with a violation of its own kind, not with a traceback."""

    def broken(*_args: object, **_options: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(participant.Participant, "_consider", broken)
    assert {"X"} == found(scenario(PUSH))
