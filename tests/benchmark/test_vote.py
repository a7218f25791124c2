"""The benchmark of a vote compares like with like. No figure of time is asserted."""

from __future__ import annotations

import json

import pytest

from drone_sim.benchmark import vote
from orchestrator.aim.judge import judge_anew


def test_the_plain_simulation_is_the_same_one() -> None:
    """Number by number, in every experiment, at every inertia: only then is it a comparison."""
    assert vote.difference_rad() < vote.ALIKE_RAD


def test_what_is_measured_is_a_whole_verdict() -> None:
    """The three axes are sound, so that nothing is cut short by a refusal."""
    assert ((), 3) == (judge_anew(vote.axes()), len(vote.axes()))


def test_the_document_has_all_three_and_their_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON: verdict, floor, plain; 27 lanes of 2 s at 1 kHz."""
    vote.main(["--rounds", "1", "--output", "json"])
    found = json.loads(capsys.readouterr().out)
    assert (27, 2000, 1) == (found["lanes"], found["samples"], found["rounds"])
    assert {"floor", "plain"} == set(found["ratio"])


def test_the_table_names_the_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    """As text, for people."""
    vote.main(["--rounds", "1"])
    assert "× the floor" in capsys.readouterr().out


@pytest.mark.parametrize("rounds", ["0", "-1", "x", "10001"])
def test_rounds_are_bounded(rounds: str) -> None:
    """Anything else is wrong use."""
    with pytest.raises(SystemExit) as ended:
        vote.main(["--rounds", rounds])
    assert 2 == ended.value.code
