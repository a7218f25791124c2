"""Many runs in many processes: the same as one after the other in this one."""

from __future__ import annotations

import pytest

from drone_sim.explore.figures import Tally, tallied
from drone_sim.explore.pool import Pool
from drone_sim.explore.runs import Case, Play, Ran
from drone_sim.result import Speed
from orchestrator.errors import Exit, OperatingError
from tests.explore import fakes


def played(
    cases: list[Case], playing: Play, *, jobs: int = 1, keep_going: bool = False
) -> list[Ran]:
    """Play all cases."""
    with Pool(jobs=jobs, playing=playing) as pool:
        return list(pool.run(cases, keep_going=keep_going))


def seeds(outcomes: list[Ran]) -> list[int]:
    """The seeds of some runs."""
    return [ran.case.seed for ran in outcomes]


def sums(outcomes: list[Ran]) -> Tally:
    """Their sums, without how long it took."""
    tally = tallied(outcomes)
    tally.cpu_s = 0.0
    return tally


def test_two_processes_give_what_one_gives() -> None:
    """Outcomes come in the order of the cases, and their sums are equal to the last bit."""
    cases = fakes.cases(1, 100)
    alone, together = played(cases, fakes.held), played(cases, fakes.held, jobs=2)
    assert list(range(1, 101)) == seeds(together)
    assert sums(alone) == sums(together)


@pytest.mark.parametrize("jobs", [1, 2])
def test_it_stops_at_the_lowest_seed_that_fails(jobs: int) -> None:
    """Whoever finds one first: seed 13 is the last outcome."""
    outcomes = played(fakes.cases(1, 80), fakes.thirteenth_fails, jobs=jobs)
    assert list(range(1, 14)) == seeds(outcomes)
    assert [13] == [ran.case.seed for ran in outcomes if not ran.held]


@pytest.mark.parametrize("jobs", [1, 2])
def test_it_goes_on_if_it_is_told_to(jobs: int) -> None:
    """Every case is played, and every failure is there."""
    outcomes = played(fakes.cases(1, 40), fakes.thirteenth_fails, jobs=jobs, keep_going=True)
    assert list(range(1, 41)) == seeds(outcomes)
    assert [13, 23, 33] == [ran.case.seed for ran in outcomes if not ran.held]


def test_a_pool_plays_again() -> None:
    """After a run that was ended early its processes play the next one."""
    with Pool(jobs=2, playing=fakes.thirteenth_fails) as pool:
        first = list(pool.run(fakes.cases(1, 200)))
        second = list(pool.run(fakes.cases(14, 20, Speed.SHELLS)))
    assert 13 == first[-1].case.seed
    assert list(range(14, 21)) == seeds(second)


def test_a_process_that_dies_is_told_with_its_seeds() -> None:
    """Out of memory is no violation, and no silence."""
    with pytest.raises(OperatingError, match="seed 5, shells") as died:
        played(fakes.cases(1, 8, Speed.SHELLS), fakes.fifth_kills_its_process, jobs=2)
    assert Exit.UNEXPECTED == died.value.exit_code


def test_ctrl_c_ends_with_what_was_done() -> None:
    """The run in which it comes is finished, the next is not begun."""
    with Pool(jobs=1, playing=fakes.third_interrupts) as pool:
        outcomes = list(pool.run(fakes.cases(1, 10)))
    assert pool.interrupted
    assert [1, 2, 3] == seeds(outcomes)


def test_ctrl_c_lets_each_process_finish_its_run() -> None:
    """What was begun by then is handed back in order, and nothing else."""
    with Pool(jobs=2, playing=fakes.held) as pool:
        outcomes: list[Ran] = []
        for ran in pool.run(fakes.cases(1, 5000)):
            outcomes.append(ran)
            if len(outcomes) == 3:
                fakes.third_interrupts(fakes.case(3))
    assert pool.interrupted
    found = seeds(outcomes)
    assert sorted(found) == found
    assert len(found) < 5000


def test_only_what_failed_keeps_its_scenario() -> None:
    """A hundred thousand runs that held need no room for their scenarios."""
    outcomes = played(fakes.cases(12, 13), fakes.thirteenth_fails)
    assert [None, fakes.STORY.acts] == [
        None if ran.result is None else ran.result.scenario.acts for ran in outcomes
    ]
