"""``drone-sim run``, stories under many seeds, and every wrong use of both."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.sim.playing import SHELLS, STORY, engine, explored, from_thirteen, run, valid


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "two.toml").write_text(STORY)


# --- stories ------------------------------------------------------------------------------------


def test_a_story_is_played_once(capsys: pytest.CaptureFixture[str]) -> None:
    """With the seed that it has itself."""
    with engine() as asked:
        done = run(capsys, "run", "two.toml", *SHELLS)
    assert (0, [7]) == (done.code, [scenario.seed for scenario, _ in asked])
    assert "✔ two, shells: 7 s in " in done.out
    assert "✔ two.toml, shells: 1 run, every invariant held" in done.out


def test_a_story_is_played_with_many_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """The seeds feed its chances; the line to repeat one names the story."""
    with engine(from_thirteen) as asked:
        done = explored(capsys, "--seeds", "11..20", "--scenario", "two.toml")
    assert ["drone-sim replay 13 --speed shells --scenario two.toml"] == done.reproduce
    assert {"two"} == {scenario.name for scenario, _ in asked[:3]}


def test_a_crash_at_every_seam(capsys: pytest.CaptureFixture[str]) -> None:
    """One run without, one with a crash at each of the four seams that the first one had."""
    with engine() as asked:
        done = run(capsys, "run", "two.toml", "--crash", "each", *SHELLS)
    assert [(), (1,), (2,), (3,), (4,)] == [
        tuple(crash.at for crash in more["crashes"]) for _, more in asked
    ]
    assert "5 runs, every invariant held" in done.out


def test_a_crash_where_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """The third seam and the second callback."""
    with engine() as asked:
        run(capsys, "run", "two.toml", "--crash", "3,a2", *SHELLS, "--output", "json")
    ((_, more),) = asked
    assert [(3, False), (2, True)] == [(one.at, one.await_) for one in more["crashes"]]


def test_a_failing_crash_can_be_reproduced(capsys: pytest.CaptureFixture[str]) -> None:
    """The line says where somebody died."""
    with engine(lambda scenario: scenario.name == "two"):
        done = run(capsys, "run", "two.toml", "--crash", "3", *SHELLS)
        (line,) = done.reproduce
        assert 1 == run(capsys, *shlex.split(line)[1:]).code
    assert "drone-sim replay two.toml --speed shells --crash 3" == line


def test_run_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """As its schema says."""
    with engine():
        done = run(capsys, "run", "two.toml", *SHELLS, "--output", "json")
    assert (["two.toml"], True) == (valid(done)["scenarios"], valid(done)["held"])


# --- wrong use ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["explore"], id="no seeds"),
        pytest.param(["explore", "--seeds", "x"], id="no number"),
        pytest.param(["explore", "--seeds", "5..1"], id="backwards"),
        pytest.param(["explore", "--seeds", "1..99999999999"], id="too many"),
        pytest.param(["explore", "--seeds", "1", "--speed", "warp"], id="unknown speed"),
        pytest.param(["explore", "--seeds", "1", "--jobs", "0"], id="nobody plays"),
        pytest.param(["explore", "--seeds", "1", "--shrink", "-1"], id="less than nothing"),
        pytest.param(["explore", "--seeds", "1", "--scenario", "nowhere"], id="no story"),
        pytest.param(["run"], id="nothing to run"),
        pytest.param(["run", "nowhere.toml"], id="missing file"),
        pytest.param(["run", "two.toml", "--crash", "all"], id="unknown crash"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """It ends with 2, told on stderr; stdout stays empty, nothing is played."""
    with engine() as asked:
        done = run(capsys, *words)
    assert (2, "", []) == (done.code, done.out, asked)
    assert done.err.startswith("ERROR: ")


def test_wrong_use_as_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With --output json there is one in any case."""
    done = run(capsys, "explore", "--seeds", "x", "--output", "json")
    assert ("error", 2) == (valid(done)["type"], valid(done)["exit_code"])


def test_a_story_that_is_wrong_is_told_by_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As the linter tells it: file, line, and what would be right."""
    (tmp_path / "bad.toml").write_text(STORY.replace("mira pushes", "mira flies"))
    done = run(capsys, "run", "bad.toml")
    assert 2 == done.code
    assert "bad.toml:6" in done.err


def test_a_story_is_not_begun_without_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    """A crash at each point takes hours: that the page can't be written is told before."""
    with engine() as asked:
        done = run(capsys, "run", "two.toml", "--crash", "each", "--html", ".", *SHELLS)
    assert (2, []) == (done.code, asked)
    assert "ERROR: --html . can't be written: it is a directory; nothing was begun" in done.err
