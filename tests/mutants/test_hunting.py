"""Measuring how many seeds it takes, and the command that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drone_sim.explore.runs import Case
from drone_sim.mutants import MUTANTS, hunting
from drone_sim.mutants.__main__ import main
from drone_sim.mutants.hunting import Hunt, hunt, median, row
from drone_sim.result import Result
from orchestrator.protocol.invariants import Violation

NAME = "votes-first"
CAUGHT = Violation(id="I13", text="a yes that was never stored")


def always(case: Case) -> Result:
    """A run in which the violation shows, whatever is switched on."""
    return Result(scenario=case.scenario(), speed=case.speed, violations=(CAUGHT,))


def hunted(seeds: int, *, caught: bool = True) -> Hunt:
    """A hunt that took so many seeds."""
    return Hunt(mutant=NAME, first=1, seeds=seeds, caught=CAUGHT if caught else None)


def test_what_it_is_not_said_to_break_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A violation of another id leaves the mutant uncaught, and is remembered."""
    other = replace(MUTANTS[NAME], breaks=("I30",))
    monkeypatch.setattr(hunting, "MUTANTS", {NAME: other})
    assert Hunt(mutant=NAME, first=1, seeds=1, others=((1, "I13"),)) == hunt(NAME, 1, 1)


def test_what_shows_without_it_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seed that violates the same invariant without the mutant says nothing of it."""
    monkeypatch.setattr(hunting, "play", always)
    assert Hunt(mutant=NAME, first=1, seeds=3) == hunt(NAME, 1, 3)


def test_the_median_is_a_number_that_was_measured() -> None:
    """Of an even number of hunts it is the worse one of the two in the middle."""
    assert 9 == median([hunted(40), hunted(1), hunted(9), hunted(2)]).seeds


def test_who_got_away_is_worse_than_any_number() -> None:
    """A mutant that was not caught is the worst, and said to have got away."""
    shown = row(MUTANTS[NAME], [hunted(3), hunted(2, caught=False), hunted(1)])
    assert "| I13 | 3, 3, over 2 |" in shown


def test_the_command_shows_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each mutant, and how many seeds it took."""
    assert 0 == main(["--runs", "1", "--limit", "50", "--jobs", "1", NAME])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(f"| {NAME} | a yes is stored before it is said | cores | I13 | ")
    assert lines[-1].startswith("1 mutants, median ")


def test_the_command_fails_where_one_gets_away(capsys: pytest.CaptureFixture[str]) -> None:
    """A mutant that nobody catches is a hole in the checker: exit code 1, and its name."""
    assert 1 == main(["--runs", "1", "--limit", "1", "--jobs", "1", "believes-its-commit"])
    assert "not always caught: believes-its-commit" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["no-such-bug"], ["--runs", "0"], ["--limit", "1001"]])
def test_wrong_use_ends_with_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is played then."""
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert 2 == ended.value.code
    assert "usage: python -m drone_sim.mutants" in capsys.readouterr().err
