"""The stories that ship, played: what comes of them, word for word, and as it was expected."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from drone_sim.cores import engine as cores
from drone_sim.explore.ends import end_of, unmet
from drone_sim.result import Result, Speed
from drone_sim.scenario.story import load
from drone_sim.shells import engine as shells
from drone_sim.trace import Trace
from tests.scenario.stories import SHIPPED
from tests.scenario.transcripts import records, transcript

GOLDEN = Path(__file__).parent / "golden"
PLAYS: dict[Speed, Callable[..., Result]] = {
    Speed.CORES: cores.play,
    Speed.SHELLS: shells.play,
}


@cache
def played(path: Path, speed: Speed) -> Result:
    """What came of a story."""
    return PLAYS[speed](load(path).scenario, trace=Trace())


everything = pytest.mark.parametrize(
    ("path", "speed"),
    [
        pytest.param(path, speed, id=f"{path.stem}-{speed.value}")
        for path in SHIPPED
        for speed in PLAYS
    ],
)


@everything
def test_the_story_comes_out_as_it_is_written(
    path: Path, speed: Speed, request: pytest.FixtureRequest
) -> None:
    """The transcript is the one in the file (``--rewrite`` writes it anew)."""
    golden = GOLDEN / f"{path.stem}.{speed.value}.txt"
    told = transcript(played(path, speed))
    assert played(path, speed).held, told
    if request.config.getoption("--rewrite"):
        golden.write_text(told)
    assert golden.read_text() == told


@everything
def test_the_story_ends_as_expected(path: Path, speed: Speed) -> None:
    """No invariant breaks, and the end is the one that the story file expects."""
    result = played(path, speed)
    assert result.trace is not None
    end = end_of(result.trace.events, fresh=result.scenario.fresh)
    assert ((), []) == (result.violations, list(unmet(load(path).expected, end)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_both_speeds_write_the_same_journal(path: Path) -> None:
    """The pure cores and the whole shells write the same records, in the same order."""
    told = [records(played(path, speed)) for speed in PLAYS]
    assert told[0] == told[1]


def test_every_transcript_has_its_story() -> None:
    """No transcript of a story that is gone is left behind."""
    wanted = {f"{path.stem}.{speed.value}.txt" for path in SHIPPED for speed in PLAYS}
    assert wanted == {path.name for path in GOLDEN.iterdir()}
