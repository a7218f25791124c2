"""``drone-sim baseline``: scripts on the same seeds, and ours beside them."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from drone_sim.baseline import SCRIPTS, play
from drone_sim.result import Result, Speed
from drone_sim.scenario import swarm
from drone_sim.scenario.model import Scenario
from orchestrator.protocol.invariants import Violation
from tests.sim.playing import Done, engine, run, valid

SEEDS = "1..60"


def baseline(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    """Compare in this process."""
    return run(capsys, "baseline", *words, "--jobs", "1")


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_counts_what_the_runs_came_to(capsys: pytest.CaptureFixture[str], script: str) -> None:
    """Each rate is that of the runs themselves, and its first seed is one of them."""
    document = valid(baseline(capsys, "--seeds", SEEDS, "--output", "json"))
    ran = {seed: play(swarm.draw(seed), script) for seed in range(1, 61)}
    mixed = [seed for seed, one in ran.items() if one.mixed_s > 1.0]
    left = [seed for seed, one in ran.items() if one.left_mixed]
    assert mixed
    assert left or script == "retained"
    assert document["scripts"][script] == {  # type: ignore[index]
        "seeds": 60,
        "mixed": len(mixed),
        "mixed_rate": round(len(mixed) / 60, 6),
        "first_mixed": mixed[0],
        "left_mixed": len(left),
        "left_mixed_rate": round(len(left) / 60, 6),
        "first_left_mixed": left[0] if left else None,
    }


def test_it_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each script, with its rates; and how to judge ours, which was not asked for."""
    done = baseline(capsys, "--seeds", SEEDS)
    lines = done.out.splitlines()
    assert 0 == done.code
    assert list(SCRIPTS) == [line.split()[0] for line in lines[1:-1]]
    assert all(line.count("%") == 2 for line in lines[1:-1])
    assert f"drone-sim explore --seeds {SEEDS}" in lines[-1]


def test_ours_is_not_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --with-ours nothing is said of ours but the command, which can be run as it is."""
    with engine(speed=Speed.CORES) as asked:
        document = valid(baseline(capsys, "--seeds", "1..3", "--output", "json"))
        assert (None, []) == (document["ours"], asked)
        words = shlex.split(str(document["explore"]))[1:]
        assert 0 == run(capsys, *words, "--jobs", "1").code
    assert [1, 2, 3] == [scenario.seed for scenario, _ in asked]


def test_ours_plays_the_same_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """With the real cores: what they violate is counted, and the bound that follows is told."""
    document = valid(baseline(capsys, "--seeds", "1..40", "--with-ours", "--output", "json"))
    assert document["ours"] == {
        "seeds": 40,
        "mixed": 0,
        "left_mixed": 0,
        "failed": 0,
        "rate_below": pytest.approx(3 / 40),
        "reproduce": None,
    }


def violating(monkeypatch: pytest.MonkeyPatch, broken: dict[int, tuple[str, ...]]) -> None:
    """Let some seeds violate these invariants."""

    def played(scenario: Scenario, **_more: Any) -> Result:
        ids = broken.get(scenario.seed, ())
        violations = tuple(Violation(id=one, text="somehow") for one in ids)
        return Result(scenario=scenario, speed=Speed.CORES, violations=violations)

    monkeypatch.setattr("drone_sim.cores.engine.play", played)


def test_what_ours_violates_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1 or I5 is mixed, I6 is left so; anything at all ends it with 1, and can be reproduced."""
    violating(monkeypatch, {2: ("I5",), 3: ("I1", "I5"), 4: ("I6",), 5: ("I20",)})
    done = baseline(capsys, "--seeds", "1..9", "--with-ours", "--output", "json")
    ours = valid(done)["ours"]
    assert 1 == done.code
    assert ours == {
        "seeds": 9,
        "mixed": 2,
        "left_mixed": 1,
        "failed": 4,
        "rate_below": None,
        "reproduce": "drone-sim replay 2 --speed cores",
    }


def test_a_violation_of_ours_is_told_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row has the rate, and the last line reproduces the first."""
    violating(monkeypatch, {2: ("I5",)})
    done = baseline(capsys, "--seeds", "1..4", "--with-ours")
    row = next(line.split() for line in done.out.splitlines() if line.startswith("ours, cores"))
    assert ["4", "1", "25.00%", "0", "0.00%"] == row[2:]
    assert (1, ["drone-sim replay 2 --speed cores"]) == (done.code, done.reproduce)


def test_seeds_must_be_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is wrong use."""
    assert 2 == baseline(capsys, "--seeds", "many").code
