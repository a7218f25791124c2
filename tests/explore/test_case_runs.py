"""One run: its scenario, its engine, its mutant, and what happens when the simulator breaks."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from drone_sim.explore import runs
from drone_sim.explore.fleets import on_fleet
from drone_sim.explore.runs import BROKEN, Case
from drone_sim.result import Crash, Result, Speed
from drone_sim.scenario import swarm
from drone_sim.scenario.model import Scenario
from drone_sim.shells import engine
from drone_sim.trace import Trace
from orchestrator.errors import Exit, OperatingError
from orchestrator.staging.load import load_fleet, read
from orchestrator.staging.samples import samples_directory
from tests.explore import fakes


def test_a_seed_is_a_scenario() -> None:
    """Without a story the seed draws everything."""
    assert swarm.draw(17) == Case(seed=17, speed=Speed.CORES).scenario()


def test_a_story_takes_the_seed() -> None:
    """The seed of a case feeds the chances of its story, and changes nothing else."""
    assert replace(fakes.STORY, seed=99) == fakes.case(99).scenario()


def test_a_fleet_of_ones_own_keeps_its_devices_and_its_timing() -> None:
    """The file says who they are and how they are paced; the rest is the seed's."""
    fleet = load_fleet(read(samples_directory() / "fleets" / "hazard-12.toml")).file
    scenario = on_fleet(fleet)(5)
    assert tuple(device.id for device in fleet.device) == scenario.names
    assert (None, 0.05, 5.0, None) == (
        *(scenario.pace.window_s, scenario.pace.clock_error_s),
        *(scenario.pace.settle_s, scenario.pace.lease_s),
    )
    assert swarm.draw(5, devices=on_fleet(fleet).devices).acts == scenario.acts


def test_a_case_goes_to_another_process() -> None:
    """What comes out of a pickle is the same case."""
    case = replace(fakes.case(), crashes=(Crash(at=5),), mutant="m")
    assert case == pickle.loads(pickle.dumps(case))


def test_the_engine_is_given_all_of_the_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenario, crashes, a trace where one is wanted, the fleet's files."""
    given: list[object] = []

    def play(scenario: Scenario, **more: object) -> Result:
        given.append((scenario, more))
        return Result(scenario=scenario, speed=Speed.SHELLS)

    monkeypatch.setattr(engine, "play", play)
    case = replace(fakes.case(speed=Speed.SHELLS), crashes=(Crash(at=5),))
    runs.play(case)
    expected = {"trace": None, "crashes": (Crash(at=5),), "fleetware": None}
    assert [(fakes.STORY, expected)] == given
    runs.play(replace(case, traced=True))
    assert isinstance(given[1][1]["trace"], Trace)  # type: ignore[index]


def test_an_error_of_the_simulator_keeps_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of an engine is told as a violation, with its kind and its place."""

    def play(scenario: Scenario, **_more: object) -> Result:
        raise KeyError(scenario.names[0])

    monkeypatch.setattr(engine, "play", play)
    (violation,) = runs.play(fakes.case(8, Speed.SHELLS)).violations
    assert BROKEN == violation.id
    assert "KeyError in the simulator itself: 'd-01' (tests.explore" in violation.text


def test_a_run_without_end_keeps_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended after so much computing, and told as a violation with its place."""

    def play(scenario: Scenario, **_more: object) -> Result:
        while scenario.devices:
            pass
        return Result(scenario=scenario, speed=Speed.SHELLS)

    monkeypatch.setattr(engine, "play", play)
    monkeypatch.setitem(runs.ENDLESS_S, Speed.SHELLS, 0.05)
    (violation,) = runs.play(fakes.case(8, Speed.SHELLS)).violations
    assert violation.text.startswith("no end after 0.05 s of computing (tests.explore")


def test_an_error_while_drawing_keeps_its_seed() -> None:
    """The source of scenarios is a part of the simulator too."""

    def broken(seed: int) -> Scenario:
        raise ValueError(seed)

    result = runs.play(Case(seed=8, speed=Speed.CORES, source=broken))
    assert (8, (BROKEN,)) == (result.scenario.seed, tuple(v.id for v in result.violations))


def test_ran_keeps_the_hash_and_not_the_trace() -> None:
    """A hash over all lines is what two machines compare."""
    ran = runs.ran(replace(fakes.case(5), hashed=True), fakes.held)
    traced = fakes.held(replace(fakes.case(5), traced=True)).trace
    assert traced is not None
    assert (traced.digest(), None) == (ran.digest, ran.result)


def test_ran_keeps_a_trace_that_was_asked_for() -> None:
    """The page of a run that held is drawn from it."""
    ran = runs.ran(replace(fakes.case(5), traced=True), fakes.held)
    assert ran.as_result().trace is not None


def test_what_is_left_of_a_run_is_its_figures() -> None:
    """As a result it has its name, its figures and its goals, and no devices."""
    result = runs.ran(fakes.case(5), fakes.held).as_result()
    assert ("a story", 5, ()) == (
        result.scenario.name,
        result.scenario.seed,
        result.scenario.devices,
    )
    assert fakes.figures(5) == result.figures


# --- mutants ------------------------------------------------------------------------------------


class Switch:
    """A mutant that tells whether it is on."""

    def __init__(self) -> None:
        self.on = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        self.on = True
        yield
        self.on = False


def test_a_mutant_is_on_while_it_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    """And off again afterwards, whatever happened."""
    switch = Switch()
    seen: list[bool] = []

    def play(scenario: Scenario, **_more: object) -> Result:
        seen.append(switch.on)
        return Result(scenario=scenario, speed=Speed.SHELLS)

    monkeypatch.setattr(engine, "play", play)
    monkeypatch.setattr(runs, "mutants", lambda: {"no-fence": switch})
    runs.play(replace(fakes.case(speed=Speed.SHELLS), mutant="no-fence"))
    runs.play(fakes.case(speed=Speed.SHELLS))
    assert ([True, False], False) == (seen, switch.on)


def test_an_unknown_mutant_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names those that there are."""
    monkeypatch.setattr(runs, "mutants", lambda: {"no-fence": Switch()})
    with pytest.raises(OperatingError, match="known are no-fence") as refused:
        runs.play(replace(fakes.case(), mutant="no-fense"))
    assert Exit.USAGE == refused.value.exit_code
