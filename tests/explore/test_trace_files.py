"""Trace files: what was written is what is played again, and what was changed is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drone_sim.explore import traces
from drone_sim.explore.runs import Case
from drone_sim.result import Crash, Result, Speed
from drone_sim.scenario.documents import Recorded, encode
from orchestrator.staging.notes import InvalidInput
from tests.explore import fakes

CASE = replace(
    fakes.case(speed=Speed.SHELLS),
    crashes=(Crash(at=5), Crash(at=9, await_=True)),
    mutant="no-fence",
    traced=True,
)


def written(path: Path, case: Case = CASE) -> Result:
    """Write the trace of a case."""
    result = fakes.result(case, fakes.MIXED, at_s=2.5)
    traces.write(path, case, result, config="a.conf", fleet="f.toml")
    return result


def test_the_same_case_comes_out(tmp_path: Path) -> None:
    """Scenario, seed, speed, crashes and mutant are those of the run."""
    written(tmp_path / "t.trace")
    found = traces.load(tmp_path / "t.trace").case()
    expected = (CASE.scenario(), CASE.seed, CASE.speed, CASE.crashes, CASE.mutant)
    assert expected == (found.scenario(), found.seed, found.speed, found.crashes, found.mutant)


def test_it_can_be_played_at_another_speed(tmp_path: Path) -> None:
    """The file's is the usual one."""
    written(tmp_path / "t.trace")
    assert Speed.CORES is traces.load(tmp_path / "t.trace").case(Speed.CORES).speed


def test_it_says_what_happened(tmp_path: Path) -> None:
    """Violations, whose files they were, and every event of the run."""
    result = written(tmp_path / "t.trace")
    found = traces.load(tmp_path / "t.trace")
    assert result.trace is not None
    assert found.header is not None
    assert ["I5: d-01 operates 1, d-02 operates 2"] == found.header.violations
    assert ("a.conf", "f.toml") == (found.header.config, found.header.fleet)
    assert tuple(result.trace.lines()) == found.lines


def test_a_run_that_goes_the_same_way_is_known(tmp_path: Path) -> None:
    """And so is one that does not."""
    result = written(tmp_path / "t.trace")
    other = fakes.held(replace(CASE, seed=99))
    found = traces.load(tmp_path / "t.trace")
    assert result.trace is not None
    assert other.trace is not None
    assert (True, False) == (found.is_like(result.trace), found.is_like(other.trace))


def test_a_scenario_alone_can_be_replayed(tmp_path: Path) -> None:
    """The document without a run: there is nothing to compare with."""
    file = tmp_path / "s.json"
    file.write_bytes(encode(Recorded(scenario=fakes.STORY, crashes=CASE.crashes)))
    found = traces.load(file)
    assert (fakes.STORY, CASE.crashes, Speed.CORES, None) == (
        *(found.case().scenario(), found.case().crashes, found.case().speed),
        found.header,
    )


def changed(path: Path, was: str, now: str) -> Path:
    """Change the text of a file."""
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now, 1))
    return path


@pytest.mark.parametrize(
    ("was", "now", "why"),
    [
        pytest.param("the story begins", "it begins", "not those that were", id="an event"),
        pytest.param('"schema":1,"type":"trace"', '"schema":1,"type":"trace","x":1', "x", id="x"),
        pytest.param('"seed":3', '"seed":"3"', "seed", id="a type"),
        pytest.param('"verb":"push"', '"verb":"fly"', "verb", id="a verb"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path: Path, was: str, now: str, why: str) -> None:
    """It would be read as something else than what happened."""
    written(tmp_path / "t.trace")
    with pytest.raises(InvalidInput, match=why):
        traces.load(changed(tmp_path / "t.trace", was, now))


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    """Its first line alone says nothing of what to play."""
    written(tmp_path / "t.trace")
    first = (tmp_path / "t.trace").read_text().splitlines()[0]
    (tmp_path / "t.trace").write_text(first)
    with pytest.raises(InvalidInput, match="no scenario"):
        traces.load(tmp_path / "t.trace")
