"""Stories of a yard, to the last word: what the cores say, write and tell people."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.protocol.verbatim import LoudYard
from tests.protocol.word_stories import FRESH, MINE, STORIES

WORDS = Path(__file__).parent / "words"


def told(name: str) -> str:
    """Play a story, and return what was said in it, below what it is about."""
    story = STORIES[name]
    fleet = LoudYard(2 if story in MINE else 3)
    if name not in FRESH:
        fleet.steady()
    story(fleet)
    about = " ".join((story.__doc__ or "").split())
    return "\n".join((f"# {about}", "", *fleet.lines, ""))


@pytest.mark.parametrize("name", STORIES)
def test_every_word_is_the_same(name: str, request: pytest.FixtureRequest) -> None:
    """All that is said comes out as it is written (``--rewrite`` writes it anew)."""
    path = WORDS / f"{name}.txt"
    said = told(name)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(said)
    else:
        assert path.read_text() == said


def test_no_story_is_left_over() -> None:
    """Every file belongs to a story."""
    assert sorted(STORIES) == sorted(path.stem for path in WORDS.glob("*.txt"))
