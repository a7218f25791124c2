"""``drone-sim replay``: a seed, a story or a file, line by line."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from drone_sim.cli.documents import document_schemas
from drone_sim.cli.replay import is_about
from drone_sim.cli.stepping import Stepper
from drone_sim.scenario.model import Scenario
from drone_sim.trace import Event, Kind, Value
from tests.sim.playing import Done, engine, run

SHELLS = ("--speed", "shells")
STORY = """\
name = "two"
about = "Two drones and a push."
devices = 2
seed = 7
story = "at 0 s mira pushes"
"""


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(STORY)


def always(_scenario: Scenario) -> bool:
    """Nothing holds."""
    return True


def replayed(capsys: pytest.CaptureFixture[str], *words: str) -> Done:
    """Replay with shells."""
    return run(capsys, "replay", *words, *SHELLS)


def test_every_line_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The story of a seed on stderr, what happens on stdout, then the verdict."""
    with engine():
        done = replayed(capsys, "two.toml")
    assert done.err.startswith("two: 2 devices")
    assert [
        "    1.500 state     d-01       d-01 operates 1",
        "    1.500 state     d-02       d-02 operates 1",
        "✔ every invariant held",
    ] == done.out.splitlines()
    assert 0 == done.code


def test_a_violation_is_the_end_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 1, what does not hold, and one line to repeat it."""
    with engine(always):
        done = replayed(capsys, "two.toml")
    assert [
        "VIOLATION at 2.500 s",
        "  I5: d-01 operates 1, d-02 operates 2",
        "reproduce: drone-sim replay two.toml --speed shells",
    ] == done.out.splitlines()[2:]
    assert 1 == done.code


def test_only_one_device_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """--device leaves out what is about others."""
    with engine():
        done = replayed(capsys, "two.toml", "--device", "d-02")
    assert "d-02 operates 1" in done.out
    assert "d-01" not in done.out


def test_several_devices_may_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with a --device of its own, before or after what is replayed."""
    with engine():
        done = run(capsys, "replay", "--device", "d-01", "--device=d-02", "two.toml", *SHELLS)
    assert (0, 3) == (done.code, len(done.out.splitlines()))


def event(kind: Kind, who: str, **detail: Value) -> Event:
    """An event."""
    return Event(at_s=1.0, kind=kind, who=who, text="", detail=detail)


@pytest.mark.parametrize(
    ("happened", "shown"),
    [
        (event(Kind.STATE, "d-01"), True),
        (event(Kind.STATE, "d-02"), False),
        (event(Kind.MESSAGE, "mira", to="d-01", end="sent"), True),
        (event(Kind.ACT, "world", target="d-02, d-01", verb="crash"), True),
        (event(Kind.ACT, "world", target="d-011", verb="crash"), False),
        (event(Kind.PHASE, "world"), True),
        (event(Kind.VIOLATION, "I5"), True),
        (event(Kind.JOURNAL, "journal", record="decided"), False),
    ],
)
def test_what_is_about_a_device(happened: Event, shown: bool) -> None:  # noqa: FBT001 - a table
    """Its own events, what is sent to it, what is done to it; and the turns of the story."""
    assert shown == is_about(happened, ("d-01",))


def test_a_device_that_is_not_there_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """A filter that matches nothing would look like a run without events."""
    with engine():
        done = replayed(capsys, "two.toml", "--device", "d-99")
    assert (2, "") == (done.code, done.out)
    assert "there are d-01, d-02" in done.err


def test_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With --output json stdout is one line, with every event, as its schema says."""
    with engine(always):
        done = replayed(capsys, "two.toml", "--output", "json")
    document = done.document
    Draft202012Validator(document_schemas()["replay"]).validate(document)
    assert (False, ["d-01", "d-02"]) == (
        document["held"],
        [one["who"] for one in document["events"]],
    )
    assert "drone-sim replay two.toml --speed shells" == document["reproduce"]
    assert "" == done.err


def test_a_file_that_goes_another_way_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """The code has changed since it was written: the first event that differs is named."""
    with engine():
        run(capsys, "run", "two.toml", *SHELLS, "--trace", "t.trace")
        same = run(capsys, "replay", "t.trace")
    with engine(version=2):
        other = run(capsys, "replay", "t.trace")
        document = run(capsys, "replay", "t.trace", "--output", "json").document
    assert "another way" not in same.err
    assert "from event 1 on it goes another way" in other.err
    assert document["as_before"] is False


def test_conditions_are_those_of_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Crash points go to the engine."""
    with engine() as asked:
        replayed(capsys, "two.toml", "--crash", "3,a2")
    ((_, more),) = asked
    assert [(3, False), (2, True)] == [(one.at, one.await_) for one in more["crashes"]]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["nowhere.toml"], id="missing file"),
        pytest.param(["two.toml", "--scenario", "two.toml"], id="two stories"),
        pytest.param(["1", "--config", "a.conf"], id="half a fleet"),
        pytest.param(["1", "--crash", "each"], id="not one run"),
        pytest.param(["1", "--crash", "x"], id="no crash point"),
        pytest.param([], id="nothing"),
    ],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """It ends with 2, and nothing is played."""
    with engine() as asked:
        done = replayed(capsys, *words)
    assert (2, "", []) == (done.code, done.out, asked)
    assert done.err.startswith("ERROR: ")


def test_a_file_that_is_no_trace_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is missing."""
    Path("x.json").write_text("{}")
    done = replayed(capsys, "x.json")
    assert 2 == done.code
    assert "x.json: error: scenario" in done.err


# --- step by step -------------------------------------------------------------------------------

LINES = [f"line {number}" for number in range(1, 9)]


def shown(*answers: str) -> list[str]:
    """The lines that a person sees who answers like this, and then leaves."""
    stepper, given, seen = Stepper(), iter([*answers, "q"]), list[str]()
    for line in LINES:
        seen.append(line)
        if not stepper.wants_more(line) and not stepper.take(next(given)):
            break
    return seen


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        ([], 1),
        ([""], 2),
        (["", ""], 3),
        (["3"], 4),
        (["3", "2"], 6),
        (["/line 6"], 6),
        (["/line 6", ""], 7),
        (["/nowhere"], 8),
        (["a"], 8),
        (["what?"], 2),
        (["0"], 2),
    ],
)
def test_a_person_steps(answers: list[str], count: int) -> None:
    """Enter is one line, a number so many, /text up to one with it, a all, q leaves."""
    assert LINES[:count] == shown(*answers)


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_asked_after_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed ends the line, so nothing stands between the lines; q leaves in between."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal("q\n"))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "dumb")
    with engine():
        from drone_sim.cli import main  # noqa: PLC0415 - with the streams of this test

        assert 0 == main(["replay", "two.toml", "--step", *SHELLS])
    assert "d-01 operates 1  ▸ left at line 1 of 2\n" in out.getvalue()
    assert "d-02 operates 1" not in out.getvalue()


def test_elsewhere_all_lines_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """--step changes nothing where nobody can press a key."""
    with engine():
        assert replayed(capsys, "two.toml").out == replayed(capsys, "two.toml", "--step").out
