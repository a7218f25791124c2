"""``drone-sim explore``: exit codes, what is printed, what is written."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from drone_sim.checker import goals
from drone_sim.checker.goals import Goal
from drone_sim.explore import traces
from drone_sim.scenario.model import Verb
from drone_sim.scenario.verbs import VERBS
from tests.sim.playing import STORY, engine, explored, from_thirteen, run, valid


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (tmp_path / "two.toml").write_text(STORY)


# --- held ---------------------------------------------------------------------------------------


def test_all_held(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 0 and says how much was played, and what that excludes."""
    with engine():
        done = explored(capsys, "--seeds", "1..100")
    assert 0 == done.code
    assert "✔ seeds 1..100, shells: 100 runs, every invariant held" in done.out
    assert "no violation in 100 runs: at 95 % confidence fewer than 3 % of all seeds" in done.out
    assert [] == done.reproduce


def test_both_ends_are_included(capsys: pytest.CaptureFixture[str]) -> None:
    """1..3 are three seeds."""
    with engine() as asked:
        explored(capsys, "--seeds", "1..3")
    assert [1, 2, 3] == [scenario.seed for scenario, _ in asked]


def test_a_single_seed_is_shown_first(capsys: pytest.CaptureFixture[str]) -> None:
    """What it has drawn stands on stderr, acts and all, before anything is played."""
    with engine():
        done = explored(capsys, "--seeds", "17")
    assert done.err.startswith("seed 17: ")
    assert re.search(r"^  at .* pushes", done.err, re.MULTILINE)
    assert "seed 17: " not in done.out


def test_holds_are_shown_beside_their_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    """The worst of 20 is 2 s of a budget of 10 s."""
    with engine():
        done = explored(capsys, "--seeds", "1..20")
    row = next(line for line in done.out.splitlines() if line.startswith("healthy"))
    assert "healthy 20 2 s 10 s - - - 20%" == " ".join(row.split())


def test_every_cause_stands_beside_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    """However many kinds of faults there were: on the screen, and in the document."""
    kinds = [verb.value for verb in Verb if VERBS[verb].fault]
    with engine(holds=kinds):
        shown = explored(capsys, "--seeds", "1..3")
        told = explored(capsys, "--seeds", "1..3", "--output", "json")
    rows = {line.split()[0] for line in shown.out.splitlines() if " 10 s " in line}
    parts = told.document["speeds"]["shells"]["holds"]
    assert set(kinds) <= rows
    assert set(kinds) <= {part["cause"] for part in parts if part["alone"]["budget_s"] == 10.0}


def test_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With --output json stdout is one line, as its schema says."""
    with engine():
        done = explored(capsys, "--seeds", "1..3", "--output", "json")
    document = valid(done)
    assert (1, "explore", True, [1, 3]) == (
        *(document["schema"], document["type"], document["held"], document["seeds"]),
    )
    assert 3 == done.document["speeds"]["shells"]["committed"]


def test_hashes_are_those_of_the_traces(capsys: pytest.CaptureFixture[str]) -> None:
    """The same seeds have the same hash, other seeds another one."""
    with engine():
        first = explored(capsys, "--seeds", "1..3", "--hash", "--output", "json")
        again = explored(capsys, "--seeds", "1..3", "--hash")
        other = explored(capsys, "--seeds", "2..4", "--hash")
    assert f"hash {first.document['hash']}" == again.out.splitlines()[-1]
    assert again.out.splitlines()[-1] != other.out.splitlines()[-1]
    assert ["seed 1, shells", "seed 2, shells", "seed 3, shells"] == list(first.document["hashes"])


# --- violated -----------------------------------------------------------------------------------


def test_a_violation_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 1 at the first, which is named with its instant, and one line to repeat it."""
    with engine(from_thirteen):
        done = explored(capsys, "--seeds", "1..100")
    assert 1 == done.code
    assert "VIOLATION in seed 13, shells at 2.500 s\n  I5: d-01 operates 1" in done.out
    assert ["drone-sim replay 13 --speed shells"] == done.reproduce
    assert "reproduce: " in done.out.splitlines()[-1]


def test_the_reproduce_line_reproduces_it(capsys: pytest.CaptureFixture[str]) -> None:
    """As it stands, in a shell: the same violation, and the same line."""
    with engine(from_thirteen):
        (line,) = explored(capsys, "--seeds", "1..100").reproduce
        done = run(capsys, *shlex.split(line)[1:])
    assert (1, [line]) == (done.code, done.reproduce)
    assert "I5: d-01 operates 1, d-02 operates 2" in done.out


def test_it_is_shrunk_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """One push on one device is left; the file replays the same violation."""
    with engine(from_thirteen):
        done = explored(capsys, "--seeds", "1..100")
        again = run(capsys, "replay", "drone-sim-seed-13-shells.trace")
    assert "shrunk to 1 device and 1 act (were " in done.out
    assert "trace  drone-sim-seed-13-shells.trace" in done.out
    case = traces.load(Path("drone-sim-seed-13-shells.trace")).case()
    assert (1, [Verb.PUSH]) == (
        len(case.scenario().devices),
        [act.verb for act in case.scenario().acts],
    )
    assert 1 == again.code


def test_it_may_be_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """--shrink 0 plays nothing more than the trace needs."""
    with engine(from_thirteen) as asked:
        explored(capsys, "--seeds", "13", "--shrink", "0")
    assert [13, 13] == [scenario.seed for scenario, _ in asked]


def test_a_directory_that_can_not_be_written_is_no_reason_to_fail(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody has asked for the file: that it is missing is a note."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with engine(from_thirteen):
        done = explored(capsys, "--seeds", "13")
    assert (1, 1) == (done.code, len(done.reproduce))
    assert "note: the report can't be written" in done.err


def test_it_goes_on_if_it_is_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    """All violations are counted, the first is the one to reproduce."""
    with engine(from_thirteen):
        done = explored(capsys, "--seeds", "1..15", "--keep-going", "--output", "json")
    document = valid(done)
    assert [13, 14, 15] == [one["seed"] for one in done.document["failures"]]
    assert "drone-sim replay 13 --speed shells" == document["reproduce"]
    assert 3 == done.document["speeds"]["shells"]["failed"]


def test_a_mutant_that_is_not_there_is_wrong_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is played."""
    monkeypatch.setattr("drone_sim.cli.asked.mutants", lambda: {"no-fence": None})
    with engine() as asked:
        done = explored(capsys, "--seeds", "1", "--mutant", "no-fense")
    assert (2, []) == (done.code, asked)
    assert "known are no-fence" in done.err


def test_a_mutant_is_played_at_its_own_speed(capsys: pytest.CaptureFixture[str]) -> None:
    """What only whole shells have is not looked for in the cores."""
    with engine() as asked:
        done = run(
            capsys, "explore", "--seeds", "1..3", "--mutant", "writes-in-place", "--jobs", "1"
        )
    assert (0, 3) == (done.code, len(asked))
    assert "seeds 1..3, shells: 3 runs" in done.out


def test_a_real_mutant_is_caught_and_reproduced(capsys: pytest.CaptureFixture[str]) -> None:
    """With the real engine; without the mutant the same seed holds."""
    words = ("explore", "--seeds", "1..40", "--jobs", "1", "--shrink", "30")
    done = run(capsys, *words, "--mutant", "votes-first")
    (line,) = done.reproduce
    assert "I13" in done.out
    assert (1, 1) == (done.code, run(capsys, *shlex.split(line)[1:]).code)
    healthy = [word for word in shlex.split(line)[1:] if word not in {"--mutant", "votes-first"}]
    assert 0 == run(capsys, *healthy).code


# --- goals --------------------------------------------------------------------------------------


def with_goals(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these be the goals that must be seen."""
    monkeypatch.setattr(
        goals, "GOALS", {name: Goal(name=name, text=f"what {name} is") for name in names}
    )


def test_a_goal_that_was_not_seen_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is asked for, however few seeds there were; the missing ones are listed."""
    with_goals(monkeypatch, "zombie-fenced", "torn-tail")
    with engine():
        done = explored(capsys, "--seeds", "1..3", "--goals")
    assert 1 == done.code
    assert "NOT SEEN: zombie-fenced, torn-tail" in done.out
    assert "zombie-fenced: what zombie-fenced is" in done.out
    assert ["drone-sim explore --seeds 1..3 --speed shells --goals"] == done.reproduce


def test_goals_are_not_judged_after_a_violation(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended early: what was not seen might have come. The violation is the reason."""
    with_goals(monkeypatch, "torn-tail")
    with engine(from_thirteen):
        done = explored(capsys, "--seeds", "11..20", "--goals")
    assert "NOT SEEN" not in done.out
    assert ["drone-sim replay 13 --speed shells"] == done.reproduce


@pytest.mark.parametrize(("seeds", "code"), [("1..999", 0), ("1..1000", 1)])
def test_a_thousand_seeds_must_have_seen_every_goal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, seeds: str, code: int
) -> None:
    """Nobody has to ask for it."""
    with_goals(monkeypatch, "zombie-fenced")
    with engine():
        assert code == explored(capsys, "--seeds", seeds).code


def test_the_headline_says_what_the_exit_code_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every invariant held and it failed all the same: no tick, on a terminal nor on the page."""
    with_goals(monkeypatch, "zombie-fenced", "torn-tail")
    with engine():
        done = explored(capsys, "--seeds", "1..3", "--goals", "--html", "page.html")
    assert (1, 0) == (done.code, done.out.count("✔"))
    assert done.out.startswith(
        "✘ seeds 1..3, shells: 3 runs, every invariant held, but 2 goals were never seen\n"
    )
    page = Path("page.html").read_text()
    assert "FAILED: every invariant held in 3 runs, but" in page
    assert "never seen, shells: zombie-fenced, torn-tail" in page
    assert 'class="verdict good"' not in page.split("<article")[0]


def test_the_summary_says_what_the_exit_code_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the same words as the terminal."""
    with_goals(monkeypatch, "torn-tail")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    with engine():
        explored(capsys, "--seeds", "1..3", "--goals")
    headline = (tmp_path / "summary.md").read_text().splitlines()[0]
    said = "every invariant held, but 1 goal was never seen"
    assert f"### ❌ seeds 1..3, shells: 3 runs, {said}" == headline


# --- files --------------------------------------------------------------------------------------


def test_junit_has_a_case_for_each_seed(capsys: pytest.CaptureFixture[str]) -> None:
    """The one that failed says how to reproduce it."""
    with engine(from_thirteen):
        explored(capsys, "--seeds", "11..20", "--junit", "report.xml")
    cases = list(ET.parse("report.xml").iter("testcase"))
    assert ["seed 11", "seed 12", "seed 13"] == [case.get("name") for case in cases]
    failure = cases[-1].find("failure")
    assert failure is not None
    assert "reproduce: drone-sim replay 13 --speed shells" in (failure.text or "")


def test_goals_are_a_case_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was never seen fails in the report as well."""
    with_goals(monkeypatch, "torn-tail")
    with engine():
        explored(capsys, "--seeds", "1..3", "--goals", "--junit", "report.xml")
    failure = ET.parse("report.xml").find("testsuite/testcase[@name='goals']/failure")
    assert failure is not None
    assert "never seen: torn-tail" == failure.get("message")


def test_a_page_shows_the_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """It has the shrunk run with its lanes, and the figures of all."""
    with engine(from_thirteen):
        done = explored(capsys, "--seeds", "11..20", "--html", "page.html")
    page = Path("page.html").read_text()
    assert "page   page.html" in done.out
    assert "drone-sim replay drone-sim-seed-13-shells.trace" in page


def test_a_shrunk_failure_is_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    """It is the same run made smaller: the headline has as many runs as the terminal."""
    with engine(from_thirteen):
        explored(capsys, "--seeds", "11..20", "--html", "page.html")
    assert "VIOLATED in 1 of 3 runs." in Path("page.html").read_text()


def test_the_trace_of_the_only_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing failed: the file has the run itself."""
    with engine():
        done = explored(capsys, "--seeds", "5", "--trace", "t.trace")
    assert 0 == done.code
    assert 5 == traces.load(Path("t.trace")).case().seed


@pytest.mark.parametrize("option", ["--junit", "--html", "--trace"])
def test_a_report_that_can_not_be_written_is_wrong_use(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """It is found out before anything is played: what, where, why, and what to do."""
    with engine() as asked:
        done = explored(capsys, "--seeds", "1..3", option, "nowhere/report")
    why = "there is no directory nowhere; nothing was begun"
    assert (2, []) == (done.code, asked)
    assert [
        f"ERROR: {option} nowhere/report can't be written: {why}",
        "  next  mkdir -p nowhere",
    ] == done.err.splitlines()


def test_a_report_stays_as_it_is_until_there_is_another(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whoever interrupts a run, or mistypes it, still has the last one."""
    before = {"r.xml": "the last one", ".r.xml.new": "half", ".r.xml.0.new": "somebody's"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    with engine():
        done = explored(capsys, "--seeds", "1..3", "--junit", "r.xml", "--html", "no/page.html")
    assert 2 == done.code
    assert before == {name: (tmp_path / name).read_text() for name in before}
    assert sorted((*before, "two.toml")) == sorted(one.name for one in tmp_path.iterdir())


def test_two_reports_are_two_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Under one name the later would replace the other."""
    with engine() as asked:
        done = explored(capsys, "--seeds", "1..3", "--junit", "r", "--html", "./r")
    assert (2, []) == (done.code, asked)
    assert "--junit and --html name one file" in done.err


def test_github_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An annotation on stderr, and a summary with the figures and the command."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    with engine(from_thirteen):
        done = explored(capsys, "--seeds", "11..20", "--output", "json")
    assert "::error title=I5 in seed 13::I5: d-01 operates 1, d-02 operates 2%0A" in done.err
    summary = (tmp_path / "summary.md").read_text()
    assert "### ❌ seeds 11..20, shells: 3 runs, 1 of them violated" in summary
    assert "drone-sim replay 13 --speed shells" in summary
    assert json.loads(done.out)["type"] == "explore"
