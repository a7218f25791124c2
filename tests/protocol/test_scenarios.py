"""Stories of a fleet, word for word: what changes in them changes the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.protocol.scripts import parse, play, render

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_story_is_the_same(path: Path, request: pytest.FixtureRequest) -> None:
    """The transcript comes out as it is written (``--rewrite`` writes it anew)."""
    written = path.read_text()
    told = render(play(parse(written)))
    if request.config.getoption("--rewrite", default=False):
        path.write_text(told)
    else:
        assert written == told


def test_there_are_stories() -> None:
    """The directory is found, and so is every story that the README promises."""
    assert len(SCENARIOS) >= 12
